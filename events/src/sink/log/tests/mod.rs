//! Behaviours of the log.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::{LogOptions, LogReader, LogSink};
use crate::sink::Sink as _;
use crate::sink::testing::Connection;

mod commit;
mod failure;
mod opening;
mod reading;
mod retention;
mod upkeep;
mod waiting;

/// A log in a folder of its own.
struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("events.db")
    }

    fn options(&self) -> LogOptions {
        LogOptions::new(self.path())
    }

    fn open(&self) -> LogSink {
        self.open_with(|_| ())
    }

    fn open_with(&self, set: impl FnOnce(&mut LogOptions)) -> LogSink {
        let mut options = self.options();
        set(&mut options);
        LogSink::open("events", options).unwrap()
    }
}

const LONG: Duration = Duration::from_secs(60);

fn close(sink: &LogSink) {
    sink.close(LONG).unwrap();
}

/// Publishes `count` events with the payloads 1, 2, … in one batch and waits for them.
fn publish_numbers(sink: &LogSink, application: &str, count: u64) {
    let mut connection = Connection::new(application, "sensor01");
    for number in 1..=count {
        connection.encode(sink, "temp", number.to_string().as_bytes());
    }
    connection.hand_over(sink);
    connection.recorder.wait_accepted(count);
}

/// All retained events: offset and data.
fn numbers(reader: &LogReader, application: &str) -> Vec<(u64, u64)> {
    let page = reader
        .read(application, None, usize::MAX, usize::MAX)
        .unwrap();
    page.events()
        .map(|(offset, event)| (offset, data(event).as_u64().unwrap()))
        .collect()
}

/// A payload that does not compress.
fn noise(bytes: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..))
        .take(bytes)
        .collect()
}

fn data(event: &[u8]) -> Value {
    let event: Value = serde_json::from_slice(event).unwrap();
    event["data"].clone()
}
