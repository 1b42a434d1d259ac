//! The sink that prints one structured JSON line per event.
//!
//! Accepted means written and flushed to standard output: what reads it there may still lose it.

use std::io::{self, Write};

use super::Sink;
use super::lines::{Lines, Output};

/// Starts a sink of the given name that prints to standard output. `queue_bytes` bounds what waits
/// to be printed ([`super::DEFAULT_QUEUE_BYTES`]).
///
/// # Errors
///
/// The thread cannot be started.
pub fn start(name: &str, queue_bytes: usize) -> io::Result<impl Sink + use<>> {
    Lines::start(name, queue_bytes, Stdout)
}

struct Stdout;

impl Output for Stdout {
    fn name(&self) -> String {
        "standard output".to_owned()
    }

    fn begin(&mut self, _bytes: usize) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn commit(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}
