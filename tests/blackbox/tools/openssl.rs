//! `openssl s_client`: a TLS client that knows nothing of the server's libraries.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{ChildStdin, Command, Stdio};

use crate::harness::log::Log;
use crate::harness::process::Process;

/// What it says of a handshake; it leaves when that is over.
pub(crate) fn s_client(address: SocketAddr, arguments: &[&str]) -> String {
    let mut session = Session::start(address, arguments);
    session.type_in(b"Q\n");
    session.leave()
}

/// A connection that stays until it is told to leave, or is closed.
pub(crate) struct Session {
    process: Process,
    input: Option<ChildStdin>,
    log: Log,
}

impl Session {
    pub(crate) fn start(address: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-connect", &address.to_string()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let log = Log::default();
        let child = process.child();
        log.follow(child.stdout.take().expect("a piped stream"));
        log.follow(child.stderr.take().expect("a piped stream"));
        let input = child.stdin.take();
        Self {
            process,
            input,
            log,
        }
    }

    /// Sends bytes; a line `Q` leaves, a line `R` asks for a renegotiation. A client that is gone
    /// has said why.
    pub(crate) fn type_in(&mut self, bytes: &[u8]) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(bytes).and_then(|()| input.flush());
        }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Everything that it said, once it has ended by itself.
    pub(crate) fn rest(mut self) -> String {
        self.process.wait();
        self.log.finish();
        self.log.lines().join("\n")
    }

    /// As [`Session::rest`], of a client that is asked to leave.
    pub(crate) fn leave(mut self) -> String {
        self.input = None;
        self.rest()
    }
}
