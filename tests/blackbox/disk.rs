//! A full disk: acknowledgements stop, readiness turns off, nothing acknowledged is lost, and all
//! goes on when there is room again.

use std::collections::HashSet;
use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::recovery::Recovery;
use crate::harness::wait;
use crate::wire::{Client, Publish, Received, Version, kind};

/// A small file system in memory; unmounted when dropped. Events alone take long to fill it.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// `None`, with the reason on standard output: this user cannot mount.
    fn mount() -> Option<Self> {
        if !geteuid().is_root() {
            let in_ci = env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(
                !in_ci,
                "CI must run this test as root, which can mount a small disk"
            );
            println!("NOT TESTED: only root can mount a small disk; run as root to test it");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512m", "landfall-small-disk"])
            .arg(folder.path())
            .status();
        assert!(status.unwrap().success(), "mount failed");
        Some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Leaves not a byte.
    fn fill(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.ballast())
            .unwrap();
        for size in [64 * 1024, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server, which has files open, may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Publishes one at a time until told to stop or disconnected; returns what was acknowledged.
fn publish_until(stop: &AtomicBool, mut sensor: Client, first: u16) -> Vec<u64> {
    let filler = "x".repeat(4_000);
    let mut acknowledged = Vec::new();
    for id in first.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let payload = format!("[{id},\"{filler}\"]");
        sensor.publish(&Publish::new("load", payload.as_bytes()).qos(1, id));
        match sensor.receive() {
            Received::Packet(packet) if packet.kind() == kind::PUBACK => {
                assert_eq!((packet.id(), packet.reason()), (id, 0));
                acknowledged.push(u64::from(id));
            }
            Received::Packet(packet) => {
                assert_eq!((packet.kind(), packet.reason()), (kind::DISCONNECT, 0x97));
                break;
            }
            Received::Closed => break,
        }
    }
    acknowledged
}

/// The numbers in the log.
fn stored(server: &Server) -> HashSet<u64> {
    let events = server.published(APP);
    events
        .iter()
        .filter_map(|event| event["data"][0].as_u64())
        .collect()
}

#[test]
fn a_full_disk_stops_acknowledgements_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mut server = Server::builder()
        .settings("[limits]\nstall_timeout = \"1s\"")
        .data_dir(&disk.path().join("data"))
        .start_shared();
    let mut waiting_5 = Client::device_as(&server, Version::V5, "gateway01", 5);
    let mut waiting_4 = Client::device_as(&server, Version::V311, "gateway01", 4);

    let stop = AtomicBool::new(false);
    let acknowledged = thread::scope(|scope| {
        let sensors = [(Version::V5, 1), (Version::V311, 30_000)].map(|(version, first)| {
            let sensor = Client::device_as(&server, version, "sensor01", version);
            let stop = &stop;
            scope.spawn(move || publish_until(stop, sensor, first))
        });
        wait::until("some events", || (stored(&server).len() > 20).then_some(()));
        disk.fill();
        wait::until("readiness to turn off", || {
            (server.ops().get("/health/ready").status == 503).then_some(())
        });
        stop.store(true, Ordering::Relaxed);
        sensors.map(|sensor| sensor.join().unwrap()).concat()
    });
    server.ops().get("/health/live").expect_status(200);

    // Both are still connected, and served in all but publishes.
    waiting_5.ping();
    waiting_4.ping();
    waiting_5.publish(&Publish::new("load", b"[60000]").qos(1, 1));
    waiting_4.publish(&Publish::new("load", b"[60001]").qos(1, 1));
    waiting_5.expect_end(0x97);
    waiting_4.expect_closed();

    disk.free();
    let recovery = Recovery::begin();
    wait::until("readiness to come back", || {
        (server.ops().get("/health/ready").status == 200).then_some(())
    });
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    assert_eq!(sensor.publish_1("load", b"[60002]").reason(), 0);
    recovery.end("a full disk");

    let expected: HashSet<u64> = acknowledged.into_iter().chain([60_002]).collect();
    assert_all_stored(&expected, &stored(&server));
    server.kill();
    server.start_again();
    assert_all_stored(&expected, &stored(&server));
}

fn assert_all_stored(acknowledged: &HashSet<u64>, stored: &HashSet<u64>) {
    let missing: Vec<_> = acknowledged.difference(stored).collect();
    assert!(
        missing.is_empty(),
        "acknowledged, but not stored: {missing:?}"
    );
}
