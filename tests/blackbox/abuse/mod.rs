//! Peers that take all they can get: good devices keep their latency.
//!
//! Each test compares the 99th percentile of a good device's round trip in calm windows with that in
//! windows of abuse, which alternate within one run: a ratio, so that the machine's speed does not
//! decide. The calm side is the median of its windows; the other is its best one, as abuse that harms
//! does so in every window, and what else the machine has to do comes and goes.

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

/// Round trips of one window.
const ROUNDS: usize = 300;
/// Windows of each kind.
const WINDOWS: usize = 3;
/// What is measured is tried again this often: a build beside the tests may take the machine.
const ATTEMPTS: usize = 4;
/// Below this no device notices anything.
const NOISE: Duration = Duration::from_millis(3);

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

/// Runs the abusers, and checks that a good device's 99th percentile stays below `most` times the
/// calm one.
fn good_device_keeps_its_latency(server: &Server, most: f64, abusers: &[&(dyn Fn(&Gate) + Sync)]) {
    let gate = Gate::default();
    let mut good = Client::accepted(server, &connect(Version::V5, "good", "good"));
    window(&mut good);
    thread::scope(|scope| {
        for abuser in abusers {
            scope.spawn(|| abuser(&gate));
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for attempt in 1..=ATTEMPTS {
                let (calm, abused) = measure(&mut good, &gate);
                let ratio = abused.as_secs_f64() / calm.as_secs_f64();
                println!("p99: {calm:?} calm, {abused:?} abused, {ratio:.2} times");
                if abused < calm.mul_f64(most) + NOISE {
                    return;
                }
                assert!(
                    attempt < ATTEMPTS,
                    "the 99th percentile went from {calm:?} to {abused:?}"
                );
            }
        }));
        gate.state.store(OVER, Ordering::SeqCst);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    let done = gate.done.into_inner();
    println!("{done} acts of abuse");
    assert!(done > 0, "nobody abused anything");
}

/// The 99th percentile of the median calm window, and of the best abused one.
fn measure(good: &mut Client, gate: &Gate) -> (Duration, Duration) {
    let mut p99s = [Vec::new(), Vec::new()];
    for _ in 0..WINDOWS {
        for state in [CALM, ABUSE] {
            gate.state.store(state, Ordering::SeqCst);
            if state == ABUSE {
                // It has begun when something has been done.
                let before = gate.done.load(Ordering::SeqCst);
                crate::harness::wait::until("abuse", || {
                    (gate.done.load(Ordering::SeqCst) > before).then_some(())
                });
            }
            p99s[usize::from(state)].push(window(good));
        }
    }
    gate.state.store(CALM, Ordering::SeqCst);
    let [mut calm, mut abused] = p99s;
    calm.sort_unstable();
    abused.sort_unstable();
    (calm[WINDOWS / 2], abused[0])
}

/// The 99th percentile of one window of round trips.
fn window(good: &mut Client) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(good.publish_1("good", b"1").reason(), 0);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS * 99 / 100]
}
