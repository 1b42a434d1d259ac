//! One connection on a nonblocking socket.

use std::io;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use nix::sys::socket::{setsockopt, sockopt::SndBuf};

use super::Way;
use super::websocket::{GOODBYE, News, WebSocket};
use super::wire::Wire;
use crate::error::{Error, Result};
use crate::mqtt::{Reply, Scanner, Version};

/// A socket, what lies between it and MQTT, and the packet that has not come whole yet.
pub(crate) struct Connection {
    wire: Wire,
    websocket: Option<Box<WebSocket>>,
    version: Version,
    scanner: Scanner,
}

impl Connection {
    /// Connection `n` of a client; `stream` is nonblocking. Handshakes begin with what is sent first.
    ///
    /// # Errors
    /// What the way needs is not there.
    pub(crate) fn new(stream: TcpStream, way: &Way, n: usize, version: Version) -> Result<Self> {
        Ok(Self {
            wire: Wire::new(stream, way.tls(n)?),
            websocket: way.websocket(),
            version,
            scanner: Scanner::default(),
        })
    }

    /// Asks for events of this connection under `token`, edge-triggered.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> Result<()> {
        registry
            .register(
                &mut self.wire.stream,
                token,
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(Error::machine("register a socket"))
    }

    /// Asks for no more events there.
    pub(crate) fn deregister(&mut self, registry: &Registry) -> Result<()> {
        registry
            .deregister(&mut self.wire.stream)
            .map_err(Error::machine("deregister a socket"))
    }

    /// Bounds what the kernel takes ahead of the server, in bytes (it doubles the figure: socket(7)).
    pub(crate) fn limit_send_buffer(&self, bytes: usize) -> Result<()> {
        setsockopt(&self.wire.stream, SndBuf, &bytes)
            .map_err(io::Error::from)
            .map_err(Error::machine("limit a send buffer"))
    }

    /// Whether its TLS session is one from before.
    pub(crate) fn is_resumed(&self) -> bool {
        self.wire.is_resumed()
    }

    /// Sends `bytes` after all that was sent before, and keeps what the socket does not take now.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.websocket {
            None => self.wire.send(bytes),
            Some(websocket) => self.wire.send(&websocket.wrap(bytes)),
        }
    }

    /// Goes on sending what was kept; to be called when the socket turns writable.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.wire.flush()
    }

    /// Whether the socket has taken all that was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        self.wire.is_flushed()
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
        let (version, scanner) = (self.version, &mut self.scanner);
        let Some(websocket) = &mut self.websocket else {
            return self
                .wire
                .receive(buffer, |bytes| scanner.feed(version, bytes, &mut on));
        };
        let mut news = News::default();
        let received = self.wire.receive(buffer, |bytes| {
            let some =
                websocket.unwrap(bytes, |payload| scanner.feed(version, payload, &mut on))?;
            news.opened |= some.opened;
            news.goodbye |= some.goodbye;
            Ok(())
        });
        if received.is_ok() && news.opened {
            self.wire.send(&websocket.queued())?;
        }
        if received.is_ok() && news.goodbye {
            self.wire.send(&GOODBYE)?;
        }
        received
    }
}
