//! Free loopback ports for a server that is about to start.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Listening ports come from below the range that Linux gives to outgoing connections, so that
/// no client of another test holds one by chance.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// The ports of one server.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) mqtt: u16,
    pub(crate) api: u16,
    pub(crate) ops: u16,
    /// Of further listeners.
    pub(crate) more: Vec<u16>,
}

impl Ports {
    /// Ports that are free at this moment. Another process can still be faster: the server
    /// then fails to bind, and is started again with others.
    pub(crate) fn pick(more: usize) -> Self {
        Self {
            mqtt: free(),
            api: free(),
            ops: free(),
            more: (0..more).map(|_| free()).collect(),
        }
    }
}

/// One port that is free at this moment.
pub(crate) fn free() -> u16 {
    // Test processes run side by side: each begins its search elsewhere.
    let start = process::id().wrapping_mul(2_654_435_761) % u32::from(COUNT);
    let start = u16::try_from(start).expect("a remainder of a u16");
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}
