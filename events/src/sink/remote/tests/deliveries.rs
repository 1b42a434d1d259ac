//! Deliveries: their order, failures and ends.

use super::*;

#[test]
fn events_are_delivered_in_order_and_accepted_once_each() {
    let system = System::default();
    let sink = sink(&system, 4, 16, 8);
    let mut connection = Connection::new("app", "device");
    for start in [0, 100, 200] {
        publish(&mut connection, &sink, start..start + 100);
    }
    connection.recorder.wait_accepted(300);
    assert_eq!(system.taken("app"), numbers(0..300));
    sink.close(LONG).unwrap();
    assert_eq!((sink.stats().accepted, sink.stats().queued), (300, 0));
}

#[test]
fn a_connection_is_told_only_up_to_its_oldest_unfinished_event() {
    let (system, sink, mut connection) = start(Mood::Holding, 16, 1);
    publish(&mut connection, &sink, 0..4);
    system.wait_held(4);
    system.answer(2, true);
    system.answer(1, true);
    assert_eq!(connection.recorder.told().accepted, []);
    system.answer(0, true);
    connection.recorder.wait_accepted(3);
    assert_eq!(connection.recorder.told().up_to(), 3);
    system.answer(0, true);
    connection.recorder.wait_accepted(4);
}

#[test]
fn after_a_failure_everything_behind_it_waits_and_goes_again_in_order() {
    let (system, sink, mut connection) = start(Mood::Holding, 3, 1);
    publish(&mut connection, &sink, 0..10);
    system.wait_held(3);
    system.set("app", Mood::Taking);
    // The system goes away: nothing that is under way is taken.
    for _ in 0..3 {
        system.answer(0, false);
    }
    connection.recorder.wait_accepted(10);
    assert_eq!(system.taken("app"), numbers(0..10));
    closes_well(&sink, 3);
}

#[test]
fn a_failing_system_is_tried_with_one_delivery_at_a_time() {
    let (system, sink, mut connection) = start(Mood::Failing, 100, 1);
    publish(&mut connection, &sink, 0..50);
    let tried = || system.0.lock().unwrap().deliveries.clone();
    wait_for("tries", || tried().len() >= 53);
    // The first burst finds out; then only the oldest is tried.
    assert_eq!(tried()[50..53], [["0"], ["0"], ["0"]]);
    assert_eq!(failure(&sink), "application app: down");
    system.set("app", Mood::Taking);
    connection.recorder.wait_accepted(50);
    assert_eq!(system.taken("app"), numbers(0..50));
}

#[test]
fn an_application_whose_system_is_away_holds_up_no_other() {
    let system = System::default();
    system.set("dead", Mood::Failing);
    system.set("mute", Mood::Holding);
    let sink = sink(&system, 1, 4, 1);
    let mut dead = Connection::new("dead", "device");
    let mut mute = Connection::new("mute", "device");
    let mut good = Connection::new("good", "device");
    publish(&mut dead, &sink, 0..50);
    publish(&mut mute, &sink, 0..50);
    publish(&mut good, &sink, 0..500);
    good.recorder.wait_accepted(500);
    assert_eq!(dead.recorder.told().accepted, []);
    assert_eq!(mute.recorder.told().accepted, []);
}

#[test]
fn a_refused_batch_is_taken_apart_and_only_the_bad_event_is_refused() {
    let (system, sink, mut connection) = start(Mood::Picky, 1, 10);
    publish_texts(
        &mut connection,
        &sink,
        &["0", "1", "bad", "3", "bad too", "5"],
    );
    connection.recorder.wait_accepted(6);
    assert_eq!(system.taken("app"), ["0", "1", "3", "5"]);
    let refused = connection.recorder.told().refused.clone();
    let rejected = Refusal::Rejected;
    assert_eq!(refused, [(0, 3, rejected), (0, 5, rejected)]);
    publish(&mut connection, &sink, 6..9);
    connection.recorder.wait_accepted(9);
    assert_eq!(
        system.0.lock().unwrap().deliveries.last().unwrap()[..],
        ["6", "7", "8"],
        "together again"
    );
    sink.close(LONG).unwrap();
    assert_eq!((sink.stats().refused, sink.stats().accepted), (2, 7));
}

#[test]
fn a_delivery_that_breaks_off_is_sent_again() {
    let (system, sink, mut connection) = start(Mood::Careless, 1, 1);
    let sequence = connection.publish(&sink, "temp", b"0");
    wait_for("the trouble", || sink.stats().failed_commits > 0);
    system.set("app", Mood::Taking);
    connection.recorder.wait_accepted(sequence);
}

#[test]
fn room_comes_back_only_with_the_outcome() {
    let system = System::default();
    system.set("app", Mood::Holding);
    let system_of_sink = system.clone();
    let fake = move || Fake {
        system: system_of_sink,
        lanes: 1,
        window: 1,
        most: 1000,
    };
    let sink = Remote::start("far", remote(2_000, 1, None), fake).unwrap();
    let mut connection = Connection::new("app", "device");
    while sink.has_room("app") {
        connection.publish(&sink, "temp", b"1");
    }
    system.wait_held(1);
    assert!(!sink.has_room("app"));
    connection.ask_for_room(&sink);
    assert!(connection.recorder.told().rooms.is_empty());
    system.set("app", Mood::Taking);
    system.answer(0, true);
    connection.recorder.wait_room();
    connection.recorder.wait_accepted(connection.last());
}

#[test]
fn closing_delivers_what_is_left_or_says_how_much_was_not_taken() {
    let system = System::default();
    system.set("app", Mood::Holding);
    let slow = sink(&system, 1, 1, 100);
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &slow, 0..10);
    system.wait_held(1);
    thread::scope(|scope| {
        let closing = scope.spawn(|| slow.close(LONG));
        system.set("app", Mood::Taking);
        system.answer(0, true);
        assert_eq!(closing.join().unwrap(), Ok(()));
    });
    assert_eq!(connection.recorder.told().up_to(), 10);

    system.set("app", Mood::Failing);
    let dead = sink(&system, 1, 1, 100);
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &dead, 0..10);
    let patience = Duration::from_millis(1);
    assert_eq!(dead.close(patience), Err(Unfinished { events: 10 }));
    assert_eq!(connection.recorder.told().accepted, []);
}

#[test]
fn a_system_is_looked_for_before_there_are_events() {
    let system = System::default();
    system.0.lock().unwrap().away = true;
    let sink = sink(&system, 1, 1, 1);
    wait_for("the first look", || failure(&sink) == "nobody there");
    system.0.lock().unwrap().away = false;
    wait_for("a look that finds it", || sink.health() == Health::Up);
}

#[test]
fn applications_in_trouble_leave_room_for_the_others() {
    let system = System::default();
    system.set("dead", Mood::Failing);
    system.set("mute", Mood::Holding);
    let sink = sink(&system, 1, 4, 1);
    let payload = vec![b'x'; 10_000];
    let mut troubled = Vec::new();
    for application in ["dead", "mute"] {
        let mut connection = Connection::new(application, "device");
        // The first events show the trouble; without it they would have the whole queue.
        wait_for("the application to be closed", || {
            if sink.has_room(application) && sink.stats().queued_bytes < 600_000 {
                connection.publish(&sink, "temp", &payload);
            }
            !sink.has_room(application)
        });
        connection.ask_for_room(&sink);
        troubled.push(connection);
    }
    assert!(sink.has_room("good"));
    let mut good = Connection::new("good", "device");
    for _ in 0..200 {
        let sequence = good.publish(&sink, "temp", &payload);
        good.recorder.wait_accepted(sequence);
    }
    for connection in &troubled {
        assert!(connection.recorder.told().rooms.is_empty());
    }
    system.set("dead", Mood::Taking);
    troubled[0].recorder.wait_room();
    assert!(troubled[1].recorder.told().rooms.is_empty());
    assert!(sink.has_room("dead") && !sink.has_room("mute"));
}
