//! Everything at once, for as long as one likes: devices of all versions over all transports that come
//! and go, commands, changes of the registry, new certificates. Nothing may grow.
//!
//! `LANDFALL_SOAK=7200 ./tests/run --soak` does it for two hours; by itself it takes a quarter of a
//! minute.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::documents::{APP, SENDER_PASSWORD, device, user};
use crate::harness::{Server, wait};
use crate::tools::authority::{Authority, Issued};
use crate::wire::secure::{Tls, websocket_client};
use crate::wire::{Client, Connect, Publish, Subscribe, Version, Will, kind};

const DEVICES: usize = 6;
/// A device rests this long between its connections: what grows does so by what is done, and a long
/// run leaves the machine to others.
const REST: Duration = Duration::from_millis(50);

/// What the process holds at one moment.
#[derive(Clone, Copy, Debug)]
struct Held {
    seconds: f64,
    resident_kib: f64,
    descriptors: usize,
    threads: usize,
    /// Of the runtime.
    tasks: usize,
}

struct Soak<'s> {
    server: &'s Server,
    tls: Tls,
    over: AtomicBool,
    acknowledged: AtomicU64,
    commands: AtomicU64,
    log_ins: AtomicU64,
}

fn how_long() -> Duration {
    let seconds = std::env::var("LANDFALL_SOAK").map_or(15, |text| text.parse().expect("seconds"));
    Duration::from_secs(seconds)
}

#[test]
fn nothing_grows_under_a_mixed_load() {
    let authority = Authority::root("root");
    let server = Server::builder()
        .settings("[log]\nlevel = \"warn\"")
        .with_every_way_in(&authority)
        .start_shared();
    for number in 0..DEVICES {
        let document = device(&format!("soak{number}"), SENDER_PASSWORD);
        server.create_device(APP, &document).expect_status(201);
    }
    let soak = Soak {
        server: &server,
        tls: Tls::trusting(&authority.pem),
        over: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
        commands: AtomicU64::new(0),
        log_ins: AtomicU64::new(0),
    };
    // Once around: threads, caches and tables that are made at first use are there then.
    soak.device_life(0, 0);
    soak.device_life(1, 1);
    soak.device_life(2, 2);
    let start = Instant::now();
    let idle = look(&server, start);
    let mut samples = Vec::new();
    thread::scope(|scope| {
        for number in 0..DEVICES {
            let soak = &soak;
            scope.spawn(move || {
                soak.repeat(|turn| {
                    soak.device_life(number, turn);
                    thread::park_timeout(REST);
                });
            });
        }
        scope.spawn(|| {
            soak.repeat(|turn| {
                soak.change_registry(turn);
                thread::park_timeout(REST);
            });
        });
        scope.spawn(|| {
            soak.repeat(|turn| {
                soak.send_command(turn);
                thread::park_timeout(REST);
            });
        });
        scope.spawn(|| soak.repeat(|_| soak.renew(&authority.server(&["localhost"]))));
        while start.elapsed() < how_long() {
            thread::park_timeout(how_long() / 60);
            samples.push(look(&server, start));
        }
        soak.over.store(true, Ordering::SeqCst);
    });
    let end = wait::until(
        "the end of the descriptors and tasks of connections that ended",
        || {
            let now = look(&server, start);
            // The API keeps the connections of its own clients; two for each that asked at once.
            let are_gone = now.descriptors <= idle.descriptors + 8 && now.tasks <= idle.tasks + 8;
            are_gone.then_some(now)
        },
    );
    let threads = wait::until("the end of threads that have nothing to do", || {
        let threads = count(&server, "task");
        (threads <= idle.threads + 2).then_some(threads)
    });
    let end = Held { threads, ..end };
    report(&soak, idle, end, &samples);
    assert!(soak.acknowledged.into_inner() > 0 && soak.commands.into_inner() > 0);
    assert!(soak.log_ins.into_inner() > 3);
}

/// Prints what was held, and how fast the memory grew in the second half, when it is warm.
fn report(soak: &Soak<'_>, idle: Held, end: Held, samples: &[Held]) {
    let warm = &samples[samples.len() / 2..];
    let per_hour = slope(warm) * 3600.0;
    let most = |of: fn(&Held) -> usize| samples.iter().map(of).max().unwrap_or_default();
    println!(
        "{:.0} s: {} publishes acknowledged, {} commands, {} log-ins",
        end.seconds,
        soak.acknowledged.load(Ordering::SeqCst),
        soak.commands.load(Ordering::SeqCst),
        soak.log_ins.load(Ordering::SeqCst),
    );
    println!(
        "memory {:.0} KiB idle, {:.0} KiB at the end, {per_hour:+.0} KiB an hour in the second half",
        idle.resident_kib, end.resident_kib
    );
    println!(
        "descriptors {} idle, {} at most, {} at the end; threads {}, {}, {}; tasks {}, {}, {}",
        idle.descriptors,
        most(|held| held.descriptors),
        end.descriptors,
        idle.threads,
        most(|held| held.threads),
        end.threads,
        idle.tasks,
        most(|held| held.tasks),
        end.tasks
    );
    // A short run is all beginning: only a long one says something about slow growth.
    if end.seconds > 1_000.0 {
        let grown = slope(warm) * 7_200.0 / end.resident_kib;
        assert!(
            grown < 0.05,
            "memory would grow by {:.1} % in two hours",
            grown * 100.0
        );
    }
}

/// KiB a second, by least squares.
fn slope(samples: &[Held]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&Held) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let (time, memory) = (mean(|held| held.seconds), mean(|held| held.resident_kib));
    let shared: f64 = samples
        .iter()
        .map(|held| (held.seconds - time) * (held.resident_kib - memory))
        .sum();
    let spread: f64 = samples
        .iter()
        .map(|held| (held.seconds - time).powi(2))
        .sum();
    if spread > 0.0 { shared / spread } else { 0.0 }
}

fn look(server: &Server, start: Instant) -> Held {
    let metrics = server.ops().get("/metrics").expect_status(200).text();
    let mut lines = metrics.lines();
    let tasks = lines.find_map(|line| line.strip_prefix("landfall_tasks "));
    let process = format!("/proc/{}", server.pid());
    let status = fs::read_to_string(format!("{process}/status")).expect("a Linux system");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.split_whitespace().next());
    Held {
        seconds: start.elapsed().as_secs_f64(),
        resident_kib: resident.expect("its memory").parse().expect("a number"),
        descriptors: count(server, "fd"),
        threads: count(server, "task"),
        tasks: tasks.expect("their number").parse().expect("a number"),
    }
}

/// How many of a kind the server's process has.
fn count(server: &Server, kind: &str) -> usize {
    fs::read_dir(format!("/proc/{}/{kind}", server.pid())).map_or(0, Iterator::count)
}

/// Waits for a packet, and takes the commands that come before it.
fn expect(client: &mut Client, wanted: u8) {
    loop {
        match client.receive() {
            crate::wire::Received::Packet(packet) if packet.kind() == wanted => return,
            crate::wire::Received::Packet(packet) if packet.kind() == kind::PUBLISH => {
                if let Some(id) = packet.delivery(client.version()).id {
                    client.send(&crate::wire::encode::acknowledgement(0x40, id));
                }
            }
            other => panic!("{other:?} instead of a packet of type {wanted}"),
        }
    }
}

impl Soak<'_> {
    fn repeat(&self, mut act: impl FnMut(usize)) {
        for turn in 0.. {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            act(turn);
        }
    }

    /// A device comes, subscribes, publishes at each QoS, takes commands, and goes or vanishes.
    fn device_life(&self, number: usize, turn: usize) {
        let version = Version::ALL[(number + turn) % 3];
        let mut client = match (number + turn / 3) % 3 {
            0 => Client::open(self.server.mqtt(), version),
            1 => self.tls.open(self.server.address("tls"), version),
            _ => websocket_client(self.server.address("ws"), version),
        };
        let name = user(&format!("soak{number}"));
        let connect = Connect::new(version, &format!("soak{turn}"), &name, SENDER_PASSWORD);
        let connect = connect.will(Will::new("gone", b"1"));
        assert_eq!(client.log_in(&connect).reason(), 0);
        self.log_ins.fetch_add(1, Ordering::SeqCst);
        let filters = [("command/inbox/#", 1)];
        let subscribe = Subscribe {
            id: 1,
            filters: &filters,
            properties: &[],
        };
        client.send(&subscribe.encode(version));
        expect(&mut client, kind::SUBACK);
        for round in 0..20_u16 {
            client.publish(&Publish::new("q0", b"{\"a\":1}"));
            client.publish(&Publish::new("q1", b"{\"a\":1}").qos(1, round * 2 + 2));
            expect(&mut client, kind::PUBACK);
            client.publish(&Publish::new("q2", &[7; 2_000]).qos(2, round * 2 + 3));
            expect(&mut client, kind::PUBREC);
            client.send(&crate::wire::encode::acknowledgement(0x62, round * 2 + 3));
            expect(&mut client, kind::PUBCOMP);
            self.acknowledged.fetch_add(2, Ordering::SeqCst);
        }
        match turn % 3 {
            0 => client.cut(),
            1 => drop(client),
            _ => client.send(&[0xE0, 0]),
        }
    }

    fn change_registry(&self, turn: usize) {
        let name = format!("changing{}", turn % 50);
        let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/{name}");
        let document = device(&name, SENDER_PASSWORD);
        self.server.create_device(APP, &document).expect_status(201);
        let mut read = self.server.api().get(&path).expect_status(200).json();
        read["metadata"]["labels"] = serde_json::json!({ "turn": format!("t{turn}") });
        self.server.api().put_json(&path, &read).expect_status(200);
        let deleted = self.server.api().send("DELETE", &path, &[], None);
        assert!((200..300).contains(&deleted.status), "{}", deleted.text());
    }

    fn send_command(&self, turn: usize) {
        let device = format!("soak{}", turn % DEVICES);
        let answer = self
            .server
            .command_with(&device, "set", "&timeout=1", "text/plain", b"on");
        // A device that comes and goes is there, or not, or leaves in between.
        assert!(
            answer.status < 500 || answer.status == 504,
            "{}",
            answer.text()
        );
        self.commands.fetch_add(1, Ordering::SeqCst);
    }

    /// New certificates, which the server finds by itself.
    fn renew(&self, issued: &Issued) {
        let folder = self.server.folder();
        for (name, content) in [("server.key", &issued.key), ("server.pem", &issued.chain)] {
            fs::write(folder.join("next"), content).expect("a writable folder");
            fs::rename(folder.join("next"), folder.join(name)).expect("a writable folder");
        }
        thread::park_timeout(Duration::from_secs(1));
    }
}
