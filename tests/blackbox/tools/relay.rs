//! A TCP relay in front of a server, which the test can cut, slow down, or let fall silent.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Chunks on their way in one direction.
const UNDER_WAY: usize = 1_024;

/// Passes bytes on between its port and another one, both on loopback.
pub(crate) struct Relay {
    state: Arc<State>,
    port: u16,
}

#[derive(Default)]
struct State {
    is_cut: AtomicBool,
    is_silent: AtomicBool,
    ended: AtomicBool,
    /// Milliseconds that bytes are under way.
    delay: AtomicU64,
    streams: Mutex<Vec<TcpStream>>,
}

/// Bytes, and when they are due at the other end.
type Chunk = (Instant, Vec<u8>);

impl Relay {
    pub(crate) fn start(port: u16, to: u16) -> Self {
        Self::start_sparing(port, to, None)
    }

    /// A connection whose first bytes have this word (clients must speak first) is not cut.
    pub(crate) fn start_sparing(port: u16, to: u16, spared: Option<&'static str>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let is_spared = spared.is_some_and(|word| begins_with(&stream, word));
                // Held while the streams are entered, so that no cut misses them.
                let mut streams = shared.streams.lock().unwrap();
                if shared.is_cut.load(Ordering::SeqCst) && !is_spared {
                    continue;
                }
                if let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) {
                    for (from, to) in [(&stream, &far), (&far, &stream)] {
                        join(from, to, &shared);
                    }
                    if !is_spared {
                        streams.extend([stream, far]);
                    }
                }
            }
        });
        Self { state, port }
    }

    /// Ends all connections; new ones are closed at once.
    pub(crate) fn cut(&self) {
        let mut streams = self.state.streams.lock().unwrap();
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
        self.state.is_silent.store(false, Ordering::SeqCst);
    }

    /// Leaves all connections open, takes what comes, and passes nothing on: half-open, as when the
    /// host behind has vanished. What is taken meanwhile is lost.
    pub(crate) fn fall_silent(&self) {
        self.state.is_silent.store(true, Ordering::SeqCst);
    }

    /// From now on bytes are under way for so many milliseconds, and up to half as long again.
    pub(crate) fn delay(&self, milliseconds: u64) {
        self.state.delay.store(milliseconds, Ordering::SeqCst);
    }
}

/// Whether the first bytes of a connection have this word.
fn begins_with(stream: &TcpStream, word: &str) -> bool {
    let mut first = [0; 64];
    let read = stream.peek(&mut first).unwrap_or(0);
    first[..read]
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

/// Passes bytes on in one direction, until either side ends.
fn join(from: &TcpStream, to: &TcpStream, state: &Arc<State>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let (sender, receiver) = sync_channel(UNDER_WAY);
    let state = Arc::clone(state);
    thread::spawn(move || read(&mut from, &sender, &state));
    thread::spawn(move || {
        write(&receiver, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// A connection that was silent once stays so: its bytes have gaps.
fn read(from: &mut TcpStream, to: &SyncSender<Chunk>, state: &State) {
    let mut chunk = [0; 16 * 1024];
    let mut silent = false;
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        silent |= state.is_silent.load(Ordering::SeqCst);
        let delay = state.delay.load(Ordering::SeqCst);
        let jitter = fastrand::u64(..=delay / 2);
        let due = Instant::now() + Duration::from_millis(delay + jitter);
        if !silent && to.send((due, chunk[..read].to_vec())).is_err() {
            return;
        }
    }
}

fn write(from: &Receiver<Chunk>, to: &mut TcpStream) {
    for (due, bytes) in from {
        while let Some(left) = due.checked_duration_since(Instant::now())
            && !left.is_zero()
        {
            thread::park_timeout(left);
        }
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        self.state.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}
