//! Peers that take all they can get: good devices keep their latency.
//!
//! Each test compares the 99th percentile of a good device's round trip, and the 95th of its log-in, in
//! calm windows with those in windows of abuse, which alternate within one run: a ratio, so that the
//! machine's speed does not decide. The calm side is the median of its windows; the other is its best
//! one, as abuse that harms does so in every window, and what else the machine has to do comes and goes.
//! The medians of both are printed, for the table of abuse in `docs/robustness.md`: `./tests/run -E 'test(abuse::)' --success-output immediate`.

mod flood;
mod log_in;
mod loris;
mod most;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Server;
use crate::harness::documents::{SENDER_PASSWORD, device};
use crate::wire::{Client, Connect, Version};

/// Round trips of one window, at least.
const ROUNDS: usize = 300;
/// And at most.
const MOST_ROUNDS: usize = 10 * ROUNDS;
/// Every so many round trips the device logs in anew.
const LOG_IN_EACH: usize = 3;
/// Windows of each kind.
const WINDOWS: usize = 5;
/// What is measured is tried again this often: a build beside the tests may take the machine.
const ATTEMPTS: usize = 4;
/// Below this no device notices anything.
const NOISE: Duration = Duration::from_millis(3);
/// Acts of abuse without which a window was none.
const LEAST: u64 = 10;

const CALM: u8 = 0;
const ABUSE: u8 = 1;
const OVER: u8 = 2;

/// Who abuses, and how much of it there has been.
#[derive(Default)]
struct Gate {
    state: AtomicU8,
    done: AtomicU64,
}

impl Gate {
    fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Calls `act` again and again while it is time for abuse.
    fn abuse(&self, mut act: impl FnMut()) {
        loop {
            match self.state.load(Ordering::SeqCst) {
                OVER => return,
                ABUSE => {
                    act();
                    self.done.fetch_add(1, Ordering::SeqCst);
                }
                _ => crate::harness::wait::pause(),
            }
        }
    }
}

/// A server with the shared devices, a good one, and one that abuses.
fn server(settings: &str) -> Server {
    let server = Server::builder()
        .settings("[log]\nlevel = \"error\"")
        .settings(settings)
        .start_shared();
    for name in ["good", "bad"] {
        let document = device(name, SENDER_PASSWORD);
        server
            .create_device(crate::harness::documents::APP, &document)
            .expect_status(201);
    }
    server
}

fn connect(version: Version, name: &str, client_id: &str) -> Connect {
    let user = crate::harness::documents::user(name);
    Connect::new(version, client_id, &user, SENDER_PASSWORD)
}

/// What a good device sees in a window.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// From a publish to its acknowledgement, the 99th percentile.
    publish: Duration,
    /// From a new connection to CONNACK, the 95th percentile.
    log_in: Duration,
    /// Acts of abuse in a second.
    rate: f64,
}

/// A device that does no harm.
struct Good<'s> {
    server: &'s Server,
    client: Client,
}

impl<'s> Good<'s> {
    fn new(server: &'s Server) -> Self {
        let client = Client::accepted(server, &connect(Version::V5, "good", "good"));
        Self { server, client }
    }

    /// Publishes and logs in, until there has been enough of both and `least` acts of abuse.
    fn window(&mut self, gate: &Gate, least: u64) -> Seen {
        let (begin, before) = (Instant::now(), gate.done());
        let (mut publishes, mut log_ins) = (Vec::new(), Vec::new());
        while publishes.len() < ROUNDS || gate.done() - before < least {
            assert!(
                publishes.len() < MOST_ROUNDS,
                "only {} acts of abuse in as many round trips",
                gate.done() - before
            );
            let start = Instant::now();
            assert_eq!(self.client.publish_1("good", b"1").reason(), 0);
            publishes.push(start.elapsed());
            if publishes.len() % LOG_IN_EACH == 0 {
                log_ins.push(self.log_in());
            }
        }
        Seen {
            publish: percentile(&mut publishes, 99),
            log_in: percentile(&mut log_ins, 95),
            rate: (gate.done() - before) as f64 / begin.elapsed().as_secs_f64(),
        }
    }

    fn log_in(&self) -> Duration {
        let start = Instant::now();
        let client = Client::accepted(self.server, &connect(Version::V5, "good", "again"));
        let took = start.elapsed();
        client.disconnect();
        took
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[times.len() * percent / 100]
}

/// Runs the abusers, and checks that a good device's latency stays below `most` times the calm one.
fn good_device_keeps_its_latency(server: &Server, most: f64, abusers: &[&(dyn Fn(&Gate) + Sync)]) {
    good_device_keeps_its_latency_under(server, most, LEAST, abusers);
}

/// The same, with at least so many acts of abuse in each window.
fn good_device_keeps_its_latency_under(
    server: &Server,
    most: f64,
    least: u64,
    abusers: &[&(dyn Fn(&Gate) + Sync)],
) {
    let gate = Gate::default();
    let mut good = Good::new(server);
    good.window(&gate, 0);
    thread::scope(|scope| {
        for abuser in abusers {
            scope.spawn(|| abuser(&gate));
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for attempt in 1..=ATTEMPTS {
                let [calm, abused] = measure(&mut good, &gate, least);
                let is_kept = |calm: Duration, abused: Duration| {
                    abused < calm.mul_f64(most).max(calm + NOISE)
                };
                if is_kept(calm.publish, abused.publish) && is_kept(calm.log_in, abused.log_in) {
                    return;
                }
                assert!(attempt < ATTEMPTS, "{calm:?} became {abused:?}");
            }
        }));
        gate.state.store(OVER, Ordering::SeqCst);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The median of the calm windows, and the best of the abused ones; prints the medians of both.
fn measure(good: &mut Good<'_>, gate: &Gate, least: u64) -> [Seen; 2] {
    let mut windows = [Vec::new(), Vec::new()];
    for _ in 0..WINDOWS {
        for (state, least) in [(CALM, 0), (ABUSE, least)] {
            gate.state.store(state, Ordering::SeqCst);
            if state == ABUSE {
                // It has begun when something has been done.
                let before = gate.done();
                crate::harness::wait::until("abuse", || (gate.done() > before).then_some(()));
            }
            windows[usize::from(state)].push(good.window(gate, least));
        }
    }
    gate.state.store(CALM, Ordering::SeqCst);
    let [calm, abused] = windows;
    let (typical, best) = (at(&abused, WINDOWS / 2), at(&abused, 0));
    let calm = at(&calm, WINDOWS / 2);
    println!(
        "publish {:.2?} to {:.2?}, {:.2?} at best | log-in {:.2?} to {:.2?}, {:.2?} at best | {:.0} acts a second",
        calm.publish,
        typical.publish,
        best.publish,
        calm.log_in,
        typical.log_in,
        best.log_in,
        typical.rate
    );
    [calm, best]
}

/// Of each figure that of this rank, the least first; and the mean rate.
fn at(windows: &[Seen], rank: usize) -> Seen {
    let of = |figure: fn(&Seen) -> Duration| {
        let mut figures: Vec<Duration> = windows.iter().map(figure).collect();
        figures.sort_unstable();
        figures[rank]
    };
    Seen {
        publish: of(|seen| seen.publish),
        log_in: of(|seen| seen.log_in),
        rate: windows.iter().map(|seen| seen.rate).sum::<f64>() / WINDOWS as f64,
    }
}
