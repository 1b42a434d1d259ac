//! What a server writes to its standard streams, kept line by line.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::wait;

/// The lines that a process has written so far; it is read to its end by a thread of its own.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    readers: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl Log {
    /// Follows `stream` until it ends. Several streams may share a log.
    pub(crate) fn follow(&self, stream: impl Read + Send + 'static) {
        let lines = Arc::clone(&self.lines);
        let reader = thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8_lossy(&line)
                    .trim_end_matches(['\n', '\r'])
                    .to_owned();
                lines
                    .lock()
                    .expect("a reader of the log panicked")
                    .push(text);
                line.clear();
            }
        });
        self.readers
            .lock()
            .expect("no other user panicked")
            .push(reader);
    }

    /// Waits until every stream has ended: nothing is missing then.
    pub(crate) fn finish(&self) {
        let readers = std::mem::take(&mut *self.readers.lock().expect("no other user panicked"));
        for reader in readers {
            reader.join().expect("a reader does not panic");
        }
    }

    /// A copy of all lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .expect("a reader of the log panicked")
            .clone()
    }

    /// How many lines there are: a mark to search from.
    pub(crate) fn mark(&self) -> usize {
        self.lines
            .lock()
            .expect("a reader of the log panicked")
            .len()
    }

    /// Waits for a line after `mark` that has every one of `parts`.
    pub(crate) fn wait_for(&self, mark: usize, parts: &[&str]) -> String {
        wait::until(&format!("a log line with {parts:?}"), || {
            let lines = self.lines.lock().expect("a reader of the log panicked");
            lines[mark..]
                .iter()
                .find(|line| parts.iter().all(|part| line.contains(part)))
                .cloned()
        })
    }
}
