mod deliveries;
mod rallies;
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
    generation: u64,
    /// What is sent next must come back before more of its lane is sent.
    holds: bool,
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
    /// Gives deliveries up.
    GivingUp,
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
        wait_for("deliveries", || self.0.lock().unwrap().held.len() >= count);
    }

    /// Takes the held delivery of that index, or has it fail.
    fn answer(&self, index: usize, takes: bool) {
        let outcome = if takes {
            Outcome::Accepted
        } else {
            Outcome::retry("not now")
        };
        self.answer_with(index, outcome);
    }

    fn answer_with(&self, index: usize, outcome: Outcome) {
        let mut state = self.0.lock().unwrap();
        let held = state.held.remove(index);
        if outcome == Outcome::Accepted {
            state.take(&held.application, held.payloads);
        }
        held.ticket.answer(outcome);
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

    fn generation(&mut self) -> u64 {
        self.system.0.lock().unwrap().generation
    }

    fn goes_alone(&self, event: &Bytes) -> bool {
        Record::read(event).unwrap().payload().starts_with(b"large")
    }

    fn holds(&mut self) -> bool {
        std::mem::take(&mut self.system.0.lock().unwrap().holds)
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
            Mood::GivingUp => return ticket.answer(Outcome::Again("given up".to_owned())),
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

/// A system in a mood, a sink of one lane to it, and a connection of its application `app`.
fn start(mood: Mood, window: usize, most: usize) -> (System, Remote, Connection) {
    let system = System::default();
    system.set("app", mood);
    let sink = sink(&system, 1, window, most);
    (system, sink, Connection::new("app", "device"))
}

fn publish_texts(connection: &mut Connection, sink: &Remote, payloads: &[&str]) {
    for payload in payloads {
        connection.encode(sink, "temp", payload.as_bytes());
    }
    connection.hand_over(sink);
}

/// Closes a sink that has nothing left to deliver, after so many failures.
fn closes_well(sink: &Remote, failed: u64) {
    sink.close(LONG).unwrap();
    assert_eq!(sink.stats().failed_commits, failed);
    assert_eq!(sink.health(), Health::Up);
}

fn failure(sink: &Remote) -> String {
    match sink.health() {
        Health::Failing { reason, .. } => reason.to_string(),
        Health::Up => String::new(),
    }
}

fn wait_for(what: &str, mut look: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + LONG;
    while !look() {
        assert!(std::time::Instant::now() < until, "{what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}
