//! One connection on a nonblocking socket.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{setsockopt, sockopt::SndBuf};

use crate::error::{Error, Result, ServerFault};
use crate::mqtt::{Reply, Scanner, Version};

/// A socket with the bytes that it has not taken yet and the packet that has not come whole yet.
pub(crate) struct Connection {
    stream: TcpStream,
    version: Version,
    scanner: Scanner,
    /// What the socket did not take. Its bound is the caller's: what it sends without an answer.
    unsent: Vec<u8>,
}

impl Connection {
    /// `stream` is nonblocking.
    pub(crate) fn new(stream: TcpStream, version: Version) -> Self {
        Self {
            stream,
            version,
            scanner: Scanner::default(),
            unsent: Vec::new(),
        }
    }

    /// Asks for events of this connection under `token`, edge-triggered.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> Result<()> {
        registry
            .register(
                &mut self.stream,
                token,
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(Error::machine("register a socket"))
    }

    /// Bounds what the kernel takes ahead of the server, in bytes (it doubles the figure: socket(7)).
    pub(crate) fn limit_send_buffer(&self, bytes: usize) -> Result<()> {
        setsockopt(&self.stream, SndBuf, &bytes)
            .map_err(io::Error::from)
            .map_err(Error::machine("limit a send buffer"))
    }

    /// Sends `bytes` after all that was sent before, and keeps what the socket does not take now.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if self.unsent.is_empty() {
            let taken = self.write(bytes)?;
            self.unsent
                .extend_from_slice(bytes.get(taken..).unwrap_or_default());
        } else {
            self.unsent.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Goes on sending what was kept; to be called when the socket turns writable.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let taken = self.write(&unsent);
            self.unsent = unsent;
            self.unsent.drain(..taken?);
        }
        Ok(())
    }

    /// Whether the socket has taken all that was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Reads what is there and calls `on` for each whole packet.
    ///
    /// # Errors
    /// `ServerFault::Closed` if the server has closed the connection; what `on` returns.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        mut on: impl FnMut(Reply) -> Result<()>,
    ) -> Result<()> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(ServerFault::Closed.into()),
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.scanner.feed(self.version, bytes, &mut on)?;
                    // A short read has emptied the socket: the next byte makes a new edge (epoll(7)).
                    if count < buffer.len() {
                        return Ok(());
                    }
                }
                Err(fault) => match fault.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset => return Err(ServerFault::Closed.into()),
                    _ => return Err(Error::machine("read from the server")(fault)),
                },
            }
        }
    }

    /// Bytes that the socket took, which may be fewer than given.
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(count) => taken += count,
                Err(fault) => match fault.kind() {
                    ErrorKind::WouldBlock => break,
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        return Err(ServerFault::Closed.into());
                    }
                    _ => return Err(Error::machine("write to the server")(fault)),
                },
            }
        }
        Ok(taken)
    }
}
