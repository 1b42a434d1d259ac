//! A TCP relay in front of a server, which the test can cut, or let fall silent.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Passes bytes on between its port and another one, both on loopback.
pub(super) struct Relay {
    state: Arc<State>,
    port: u16,
}

#[derive(Default)]
struct State {
    is_cut: AtomicBool,
    is_silent: AtomicBool,
    ended: AtomicBool,
    streams: Mutex<Vec<TcpStream>>,
}

impl Relay {
    pub(super) fn start(port: u16, to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                // Held while the streams are entered, so that no cut misses them.
                let mut streams = shared.streams.lock().unwrap();
                if shared.is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) {
                    for (from, to) in [(&stream, &far), (&far, &stream)] {
                        let (mut from, mut to) =
                            (from.try_clone().unwrap(), to.try_clone().unwrap());
                        let state = Arc::clone(&shared);
                        thread::spawn(move || {
                            pass_on(&mut from, &mut to, &state);
                            let _ = to.shutdown(Shutdown::Both);
                        });
                    }
                    streams.extend([stream, far]);
                }
            }
        });
        Self { state, port }
    }

    /// Ends all connections; new ones are closed at once.
    pub(super) fn cut(&self) {
        let mut streams = self.state.streams.lock().unwrap();
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
        self.state.is_silent.store(false, Ordering::SeqCst);
    }

    /// Leaves all connections open, takes what comes, and passes nothing on: half-open, as when the
    /// host behind has vanished. What is taken meanwhile is lost.
    pub(super) fn fall_silent(&self) {
        self.state.is_silent.store(true, Ordering::SeqCst);
    }
}

/// Copies until either side ends. A connection that was silent once stays so: its bytes have gaps.
fn pass_on(from: &mut TcpStream, to: &mut TcpStream, state: &State) {
    let mut chunk = [0; 16 * 1024];
    let mut silent = false;
    while let Ok(read @ 1..) = from.read(&mut chunk) {
        silent |= state.is_silent.load(Ordering::SeqCst);
        if !silent && to.write_all(&chunk[..read]).is_err() {
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
