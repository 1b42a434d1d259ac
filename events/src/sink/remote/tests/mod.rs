mod spill;

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;

use super::*;
use crate::record::Record;
use crate::sink::Refusal;
use crate::sink::testing::Connection;

const PLENTY: usize = 1 << 20;
const LONG: Duration = Duration::from_secs(60);

/// A remote system that the test commands.
#[derive(Clone, Default)]
struct System(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Payloads that were taken, by application, in order.
    taken: HashMap<String, Vec<String>>,
    deliveries: Vec<Vec<String>>,
    held: Vec<Held>,
    moods: HashMap<String, Mood>,
    /// Nobody is there to be looked for.
    away: bool,
}

struct Held {
    application: String,
    payloads: Vec<String>,
    ticket: Ticket,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Taking,
    Holding,
    Failing,
    /// Refuses deliveries with a payload that starts with `bad`.
    Picky,
    /// Forgets about deliveries.
    Careless,
}

impl System {
    fn set(&self, application: &str, mood: Mood) {
        let mut state = self.0.lock().unwrap();
        state.moods.insert(application.to_owned(), mood);
    }

    fn taken(&self, application: &str) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.taken.get(application).cloned().unwrap_or_default()
    }

    fn wait_held(&self, count: usize) {
        let until = std::time::Instant::now() + LONG;
        while self.0.lock().unwrap().held.len() < count {
            assert!(std::time::Instant::now() < until, "deliveries never came");
            thread::yield_now();
        }
    }

    /// Takes the held delivery of that index, or has it fail.
    fn answer(&self, index: usize, takes: bool) {
        let mut state = self.0.lock().unwrap();
        let held = state.held.remove(index);
        if takes {
            state.take(&held.application, held.payloads);
            held.ticket.answer(Outcome::Accepted);
        } else {
            held.ticket.answer(Outcome::retry("not now"));
        }
    }
}

impl State {
    fn take(&mut self, application: &str, payloads: Vec<String>) {
        let taken = self.taken.entry(application.to_owned()).or_default();
        taken.extend(payloads);
    }
}

struct Fake {
    system: System,
    lanes: u16,
    window: usize,
    most: usize,
}

impl Courier for Fake {
    fn lanes(&self) -> u16 {
        self.lanes
    }

    fn window(&self) -> usize {
        self.window
    }

    fn most(&self) -> (usize, usize) {
        (self.most, 1 << 20)
    }

    async fn probe(&mut self) -> Result<(), String> {
        if self.system.0.lock().unwrap().away {
            return Err("nobody there".to_owned());
        }
        Ok(())
    }

    async fn send(&mut self, application: &str, events: Vec<Bytes>, ticket: Ticket) {
        let payload = |event: &Bytes| {
            let payload = Record::read(event).unwrap().payload().to_vec();
            String::from_utf8(payload).unwrap()
        };
        let payloads: Vec<String> = events.iter().map(payload).collect();
        let mut state = self.system.0.lock().unwrap();
        state.deliveries.push(payloads.clone());
        match state.moods.get(application).copied().unwrap_or_default() {
            Mood::Taking => {}
            Mood::Picky if payloads.iter().any(|payload| payload.starts_with("bad")) => {
                return ticket.answer(Outcome::Refused(Refusal::Rejected, "bad".to_owned()));
            }
            Mood::Picky => {}
            Mood::Failing => return ticket.answer(Outcome::retry("down")),
            Mood::Careless => return drop(ticket),
            Mood::Holding => {
                let application = application.to_owned();
                return state.held.push(Held {
                    application,
                    payloads,
                    ticket,
                });
            }
        }
        state.take(application, payloads);
        ticket.answer(Outcome::Accepted);
    }
}

fn remote(queue_bytes: usize, lanes: u16, spill: Option<SpillOptions>) -> RemoteOptions {
    RemoteOptions {
        queue_bytes,
        lanes,
        spill,
    }
}

fn sink(system: &System, lanes: u16, window: usize, most: usize) -> Remote {
    let system = system.clone();
    let fake = move || Fake {
        system,
        lanes,
        window,
        most,
    };
    Remote::start("far", remote(PLENTY, lanes, None), fake).unwrap()
}

fn publish(connection: &mut Connection, sink: &Remote, payloads: impl IntoIterator<Item = u32>) {
    for payload in payloads {
        connection.encode(sink, "temp", payload.to_string().as_bytes());
    }
    connection.hand_over(sink);
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

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
    let system = System::default();
    system.set("app", Mood::Holding);
    let sink = sink(&system, 1, 16, 1);
    let mut connection = Connection::new("app", "device");
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
    let system = System::default();
    system.set("app", Mood::Holding);
    let sink = sink(&system, 1, 3, 1);
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &sink, 0..10);
    system.wait_held(3);
    system.set("app", Mood::Taking);
    // The system goes away: nothing that is under way is taken.
    for _ in 0..3 {
        system.answer(0, false);
    }
    connection.recorder.wait_accepted(10);
    assert_eq!(system.taken("app"), numbers(0..10));
    sink.close(LONG).unwrap();
    assert_eq!(sink.stats().failed_commits, 3);
    assert_eq!(sink.health(), Health::Up);
}

#[test]
fn a_failing_system_is_tried_with_one_delivery_at_a_time() {
    let system = System::default();
    system.set("app", Mood::Failing);
    let sink = sink(&system, 1, 100, 1);
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &sink, 0..50);
    let until = std::time::Instant::now() + LONG;
    loop {
        let state = system.0.lock().unwrap();
        // The first burst finds out; then only the oldest is tried.
        if state.deliveries.len() >= 53 {
            assert_eq!(state.deliveries[50..53], [["0"], ["0"], ["0"]]);
            break;
        }
        drop(state);
        assert!(std::time::Instant::now() < until);
        thread::yield_now();
    }
    let Health::Failing { reason, .. } = sink.health() else {
        panic!("failing")
    };
    assert_eq!(&*reason, "application app: down");
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
    let system = System::default();
    system.set("app", Mood::Picky);
    let sink = sink(&system, 1, 1, 10);
    let mut connection = Connection::new("app", "device");
    for payload in ["0", "1", "bad", "3", "bad too", "5"] {
        connection.encode(&sink, "temp", payload.as_bytes());
    }
    connection.hand_over(&sink);
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
    let system = System::default();
    system.set("app", Mood::Careless);
    let sink = sink(&system, 1, 1, 1);
    let mut connection = Connection::new("app", "device");
    let sequence = connection.publish(&sink, "temp", b"0");
    let until = std::time::Instant::now() + LONG;
    while sink.stats().failed_commits == 0 {
        assert!(std::time::Instant::now() < until);
        thread::yield_now();
    }
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

fn wait_for(what: &str, mut look: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + LONG;
    while !look() {
        assert!(std::time::Instant::now() < until, "{what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn a_system_is_looked_for_before_there_are_events() {
    let system = System::default();
    system.0.lock().unwrap().away = true;
    let sink = sink(&system, 1, 1, 1);
    let reason = || match sink.health() {
        Health::Failing { reason, .. } => Some(reason),
        Health::Up => None,
    };
    wait_for("the first look", || {
        reason().as_deref() == Some("nobody there")
    });
    system.0.lock().unwrap().away = false;
    wait_for("a look that finds it", || reason().is_none());
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
