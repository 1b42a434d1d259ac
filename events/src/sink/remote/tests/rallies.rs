//! Deliveries that come back for the sake of others, and those that go alone.

use super::*;

fn again() -> Outcome {
    Outcome::Again("given up".to_owned())
}

#[test]
fn what_is_refused_in_company_goes_alone_and_only_the_bad_event_is_refused() {
    let (system, sink, mut connection) = start(Mood::Holding, 4, 1);
    publish_texts(&mut connection, &sink, &["0", "bad", "2", "3", "4"]);
    system.wait_held(4);
    for _ in 0..3 {
        system.answer_with(0, Outcome::Doubted("in company".to_owned()));
    }
    system.answer_with(0, again());
    // Each of those that are in doubt by itself, to the end.
    for (payload, outcome) in [
        ("0", Outcome::Accepted),
        (
            "bad",
            Outcome::Refused(Refusal::TooLarge, "large".to_owned()),
        ),
        ("2", Outcome::Accepted),
    ] {
        system.wait_held(1);
        let state = system.0.lock().unwrap();
        let alone = &state.held[0];
        assert_eq!(alone.payloads, [payload]);
        assert!(alone.ticket.is_alone());
        drop(state);
        system.answer_with(0, outcome);
    }
    system.wait_held(2);
    assert!(!system.0.lock().unwrap().held[0].ticket.is_alone());
    system.answer(0, true);
    system.answer(0, true);
    connection.recorder.wait_accepted(5);
    assert_eq!(system.taken("app"), ["0", "2", "3", "4"]);
    let refused = connection.recorder.told().refused.clone();
    assert_eq!(refused, [(0, 2, Refusal::TooLarge)]);
    closes_well(&sink, 0);
}

#[test]
fn what_was_given_up_goes_again_in_order_when_all_of_it_has_come_back() {
    let (system, sink, mut connection) = start(Mood::Holding, 3, 1);
    publish(&mut connection, &sink, 0..10);
    system.wait_held(3);
    system.set("app", Mood::Taking);
    for _ in 0..3 {
        system.answer_with(0, again());
    }
    connection.recorder.wait_accepted(10);
    assert_eq!(system.taken("app"), numbers(0..10));
    closes_well(&sink, 0);
}

#[test]
fn a_courier_that_has_begun_anew_does_not_overtake_itself() {
    let (system, sink, mut connection) = start(Mood::Holding, 10, 1);
    publish(&mut connection, &sink, 0..3);
    system.wait_held(3);
    {
        let mut state = system.0.lock().unwrap();
        state.generation += 1;
        state.moods.insert("app".to_owned(), Mood::Taking);
    }
    publish(&mut connection, &sink, 3..6);
    // Taken from the queue behind those, which so had their chance.
    let mut other = Connection::new("other", "device");
    publish(&mut other, &sink, 0..1);
    other.recorder.wait_accepted(1);
    assert_eq!(system.taken("app"), numbers(0..0));
    for _ in 0..3 {
        system.answer_with(0, again());
    }
    connection.recorder.wait_accepted(6);
    assert_eq!(system.taken("app"), numbers(0..6));
}

#[test]
fn a_lane_waits_for_what_its_courier_wants_to_have_back_first_and_others_do_not() {
    let (system, sink, mut connection) = start(Mood::Holding, 10, 1);
    system.0.lock().unwrap().holds = true;
    publish(&mut connection, &sink, 0..5);
    system.wait_held(1);
    // Taken from the queue behind those, which so had their chance.
    let mut other = Connection::new("other", "device");
    publish(&mut other, &sink, 0..1);
    other.recorder.wait_accepted(1);
    assert_eq!(system.0.lock().unwrap().held.len(), 1);
    system.answer(0, true);
    system.wait_held(4);
    for _ in 0..4 {
        system.answer(0, true);
    }
    connection.recorder.wait_accepted(5);
    assert_eq!(system.taken("app"), numbers(0..5));
}

#[test]
fn what_is_given_up_over_and_over_is_in_trouble() {
    let (system, sink, mut connection) = start(Mood::GivingUp, 1, 1);
    publish(&mut connection, &sink, 0..3);
    wait_for("the trouble", || sink.stats().failed_commits > 0);
    assert_eq!(failure(&sink), "application app: given up");
    system.set("app", Mood::Taking);
    connection.recorder.wait_accepted(3);
    assert_eq!(system.taken("app"), numbers(0..3));
}

#[test]
fn an_event_that_is_likely_to_be_refused_is_not_in_the_company_of_others() {
    let (system, sink, mut connection) = start(Mood::Holding, 10, 10);
    publish_texts(&mut connection, &sink, &["0", "1"]);
    system.wait_held(1);
    publish_texts(&mut connection, &sink, &["large", "3", "4"]);
    let mut other = Connection::new("other", "device");
    publish(&mut other, &sink, 0..1);
    other.recorder.wait_accepted(1);
    for (payloads, alone) in [
        (&["0", "1"][..], false),
        (&["large"], true),
        (&["3", "4"], false),
    ] {
        system.wait_held(1);
        let state = system.0.lock().unwrap();
        assert_eq!(state.held.len(), 1);
        assert_eq!(state.held[0].payloads, payloads);
        assert_eq!(state.held[0].ticket.is_alone(), alone);
        drop(state);
        system.answer(0, true);
    }
    connection.recorder.wait_accepted(5);
}
