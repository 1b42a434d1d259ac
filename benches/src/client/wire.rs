//! A nonblocking socket, with TLS over it or without.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use rustls::{ClientConnection, HandshakeKind};

use crate::error::{Error, Result, ServerFault};

/// A socket with the bytes that it has not taken yet.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// What the socket did not take of plain bytes. Its bound is the caller's: what it sends without
    /// an answer.
    unsent: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, mut tls: Option<Box<ClientConnection>>) -> Self {
        if let Some(tls) = &mut tls {
            tls.set_buffer_limit(None);
        }
        Self {
            stream,
            tls,
            unsent: Vec::new(),
        }
    }

    /// Whether the TLS session is one from before.
    pub(super) fn is_resumed(&self) -> bool {
        let tls = self.tls.as_deref();
        tls.is_some_and(|tls| tls.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// Sends `bytes` after all that was sent before, and keeps what the socket does not take now.
    /// What is sent before the end of a handshake waits for it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer()
                .write_all(bytes)
                .map_err(Error::machine("encrypt"))?;
            return self.flush();
        }
        if self.unsent.is_empty() {
            let taken = write(&mut self.stream, bytes)?;
            self.unsent
                .extend_from_slice(bytes.get(taken..).unwrap_or_default());
        } else {
            self.unsent.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Goes on sending what was kept; to be called when the socket turns writable.
    pub(super) fn flush(&mut self) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                    Err(fault) => return Err(unwritten(fault)),
                }
            }
            return Ok(());
        }
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let taken = write(&mut self.stream, &unsent);
            self.unsent = unsent;
            self.unsent.drain(..taken?);
        }
        Ok(())
    }

    /// Whether the socket has taken all that was sent.
    pub(super) fn is_flushed(&self) -> bool {
        let tls = self.tls.as_deref();
        self.unsent.is_empty() && !tls.is_some_and(|tls| tls.wants_write())
    }

    /// Reads what is there and calls `on` for it, piece by piece.
    ///
    /// # Errors
    /// `ServerFault::Closed` if the server has closed the connection; what `on` returns.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        mut on: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let Some(tls) = &mut self.tls else {
            return receive(&mut self.stream, buffer, on);
        };
        loop {
            match tls.read_tls(&mut self.stream) {
                Ok(0) => return Err(ServerFault::Closed.into()),
                Ok(_) => {}
                Err(fault) => match fault.kind() {
                    ErrorKind::WouldBlock => break,
                    ErrorKind::Interrupted => continue,
                    _ => return Err(unread(fault)),
                },
            }
            tls.process_new_packets()
                .map_err(|fault| ServerFault::Tls(fault.to_string()))?;
            loop {
                match tls.reader().read(buffer) {
                    Ok(0) => return Err(ServerFault::Closed.into()),
                    Ok(count) => on(buffer.get(..count).unwrap_or_default())?,
                    Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return Err(ServerFault::Closed.into()),
                }
            }
        }
        // The handshake's next flight.
        self.flush()
    }
}

fn receive(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    mut on: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    loop {
        match stream.read(buffer) {
            Ok(0) => return Err(ServerFault::Closed.into()),
            Ok(count) => {
                on(buffer.get(..count).unwrap_or_default())?;
                // A short read has emptied the socket: the next byte makes a new edge (epoll(7)).
                if count < buffer.len() {
                    return Ok(());
                }
            }
            Err(fault) => match fault.kind() {
                ErrorKind::WouldBlock => return Ok(()),
                ErrorKind::Interrupted => {}
                _ => return Err(unread(fault)),
            },
        }
    }
}

/// Bytes that the socket took, which may be fewer than given.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(count) => taken += count,
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
            Err(fault) => return Err(unwritten(fault)),
        }
    }
    Ok(taken)
}

fn unread(fault: io::Error) -> Error {
    match fault.kind() {
        ErrorKind::ConnectionReset => ServerFault::Closed.into(),
        _ => Error::machine("read from the server")(fault),
    }
}

fn unwritten(fault: io::Error) -> Error {
    match fault.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => ServerFault::Closed.into(),
        _ => Error::machine("write to the server")(fault),
    }
}
