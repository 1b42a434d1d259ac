//! A machine whose disk and clock can be broken: `tests/faults/machine.c`, between the server and libc.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::Server;
use crate::harness::server::Builder;

/// The library, and what it is told to do.
pub(super) struct Machine {
    folder: TempDir,
    control: File,
}

/// Files as a power cut may leave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Every write that was not synced is lost.
    Synced,
    /// Everything written is there.
    Written,
}

impl Machine {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/faults/machine.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("machine.so"))
            .arg(source)
            .args(["-ldl", "-lpthread"])
            .status();
        assert!(status.expect("a C compiler").success(), "it does not build");
        for name in ["data", "durable", "written"] {
            fs::create_dir(folder.path().join(name)).expect("a writable folder");
        }
        let control = File::create_new(folder.path().join("control")).expect("a writable folder");
        let machine = Self { folder, control };
        machine.set(0, 0);
        machine.set(1, 0);
        machine.set(2, 0);
        machine
    }

    /// A server on this machine.
    pub(super) fn server(&self) -> Builder {
        let path = |name: &str| self.path(name).display().to_string();
        Server::builder()
            .data_dir(&self.path("data"))
            .environment("LD_PRELOAD", &path("machine.so"))
            .environment("MACHINE_CONTROL", &path("control"))
            .environment("MACHINE_FOLDER", &path("data"))
            .environment("MACHINE_DURABLE", &path("durable"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn set(&self, index: u64, value: i64) {
        let written = self.control.write_all_at(&value.to_ne_bytes(), index * 8);
        written.expect("a writable file");
    }

    /// Writes and syncs fail with this `errno`; 0: they work.
    pub(super) fn fail_disk(&self, errno: i32) {
        self.set(0, errno.into());
    }

    /// Each sync takes this many milliseconds longer.
    pub(super) fn slow_disk(&self, milliseconds: i64) {
        self.set(1, milliseconds);
    }

    /// The wall clock is this many seconds ahead.
    pub(super) fn set_clock(&self, ahead: i64) {
        self.set(2, ahead);
    }

    /// After a kill: puts the files aside as they were written.
    pub(super) fn remember(&self) {
        copy_all(&self.path("data"), &self.path("written"));
    }

    /// Puts databases and their write-ahead files back, each as a power cut may have left it.
    pub(super) fn cut_power(&self, databases: Left, ahead: Left) {
        let data = self.path("data");
        fs::remove_dir_all(&data).expect("a folder");
        fs::create_dir(&data).expect("a writable folder");
        for name in names(&self.path("written")) {
            let is_ahead = name.ends_with("-wal");
            // Rebuilt, or taken anew, at each start.
            if name.ends_with("-shm") || name.ends_with("-lock") || name.ends_with(".lock") {
                continue;
            }
            let from = match if is_ahead { ahead } else { databases } {
                Left::Synced => self.path("durable"),
                Left::Written => self.path("written"),
            };
            // What was never synced is not there.
            if from.join(&name).exists() {
                fs::copy(from.join(&name), data.join(&name)).expect("a readable file");
            }
        }
        // The machine that starts now has synced what it has.
        let durable = self.path("durable");
        fs::remove_dir_all(&durable).expect("a folder");
        fs::create_dir(&durable).expect("a writable folder");
        copy_all(&data, &durable);
    }

    /// Keeps what is durable now, for several goes with [`Machine::cut_power`].
    pub(super) fn durable(&self) -> Vec<(String, Vec<u8>)> {
        let folder = self.path("durable");
        let read = |name: String| {
            let bytes = fs::read(folder.join(&name)).expect("a readable file");
            (name, bytes)
        };
        names(&folder).into_iter().map(read).collect()
    }

    pub(super) fn set_durable(&self, files: &[(String, Vec<u8>)]) {
        let folder = self.path("durable");
        fs::remove_dir_all(&folder).expect("a folder");
        fs::create_dir(&folder).expect("a writable folder");
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).expect("a writable folder");
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect()
}

fn copy_all(from: &Path, to: &Path) {
    for name in names(from) {
        if from.join(&name).is_file() {
            fs::copy(from.join(&name), to.join(&name)).expect("a writable folder");
        }
    }
}
