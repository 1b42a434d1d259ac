//! The bytes of a WebSocket's binary messages, as one stream: where messages begin and end says
//! nothing `[MQTT-6.0.0-2]`.
//!
//! Messages are never put together, and what comes is taken apart in the reader's own buffer, so that
//! an idle connection has none, and a frame that promises much takes nothing. That is why the
//! library's codec is used here, and not its streams: those reserve what a frame's head promises, and
//! keep it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::decoder::{Broken, Decoder, Event};
use crate::connection::Stream;
use crate::listener::Peer;
use crate::server::Shared;
use crate::telemetry::WebSocketBroken;

/// Written as one message at most.
const MESSAGE_BYTES: usize = 16 * 1024;
/// Output that may wait for the socket; a pong to a client that does not read is dropped beyond it.
const MOST_WAITING: usize = 1024;

/// A WebSocket as a byte stream.
pub(super) struct WebSocket<S> {
    stream: S,
    decoder: Decoder,
    /// Frames that the socket has not taken yet; empty, and without memory, most of the time.
    output: Vec<u8>,
    /// Nothing more is read: the peer said goodbye, is gone, or broke the rules.
    ended: bool,
    /// Our close frame is among the output, or written: nothing comes behind it (RFC 6455, 5.5.1).
    said_goodbye: bool,
    /// For the log.
    peer: Peer,
    shared: Arc<Shared>,
}

impl<S: Stream> WebSocket<S> {
    /// A stream of an upgraded connection. No message may be larger than `largest` bytes.
    pub(super) fn new(stream: S, largest: u64, peer: Peer, shared: Arc<Shared>) -> Self {
        Self {
            stream,
            decoder: Decoder::new(largest),
            output: Vec::new(),
            ended: false,
            said_goodbye: false,
            peer,
            shared,
        }
    }

    /// Takes apart what was read, the payload to the front; how much that is.
    fn take(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> usize {
        let mut events = Vec::new();
        let count = self.decoder.decode(bytes, |event| events.push(event));
        for event in events {
            match event {
                Event::Ping(payload) => self.answer(&payload),
                Event::Goodbye(code) => {
                    self.ended = true;
                    self.say_goodbye(code);
                }
                Event::Broken(broken) => self.refuse(broken),
            }
        }
        // As far as the socket takes it at once: the rest goes with the next output.
        let _ = self.poll_output(cx);
        count
    }

    /// RFC 6455, 5.5.2
    fn answer(&mut self, payload: &[u8]) {
        if self.output.len() <= MOST_WAITING && !self.said_goodbye {
            self.frame(OpCode::Control(Control::Pong), payload);
        }
    }

    /// The peer broke the rules: it is told which, and not waited for.
    fn refuse(&mut self, broken: Broken) {
        let Broken { code, cause } = broken;
        self.ended = true;
        let broken = WebSocketBroken {
            peer: self.peer,
            code: code.into(),
            cause,
        };
        broken.emit(&self.shared.telemetry);
        self.say_goodbye(Some(code));
    }

    fn say_goodbye(&mut self, code: Option<CloseCode>) {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            let code = code.map(|code| u16::from(code).to_be_bytes());
            let payload = code.as_ref().map_or(&[][..], |code| code);
            self.frame(OpCode::Control(Control::Close), payload);
        }
    }

    /// Appends a frame to the output.
    fn frame(&mut self, opcode: OpCode, payload: &[u8]) {
        let header = FrameHeader {
            opcode,
            ..FrameHeader::default()
        };
        // Writing to memory does not fail.
        let _ = header.format(payload.len() as u64, &mut self.output);
        self.output.extend_from_slice(payload);
    }

    /// Writes the output that waits.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = 0;
        while let Some(rest) = self.output.get(written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(count)) if count > 0 => written += count,
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.output.drain(..written);
                    return Poll::Pending;
                }
            }
        }
        self.output = Vec::new();
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncRead for WebSocket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.ended && buf.remaining() > 0 {
            let mut raw = ReadBuf::new(buf.initialize_unfilled());
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                this.ended = true;
                break;
            }
            let count = this.take(cx, raw.filled_mut());
            if count > 0 {
                buf.advance(count);
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> AsyncWrite for WebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.said_goodbye {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_output(cx))?;
        let message = buf.get(..MESSAGE_BYTES).unwrap_or(buf);
        self.frame(OpCode::Data(Data::Binary), message);
        if let Poll::Ready(Err(error)) = self.poll_output(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(message.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_output(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Says goodbye; the client closes the connection when it has answered.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let code = match self.shared.is_stopping() {
            true => CloseCode::Away,
            false => CloseCode::Normal,
        };
        self.say_goodbye(Some(code));
        // An error here says that the peer was faster.
        let _ = ready!(self.as_mut().poll_flush(cx));
        Poll::Ready(Ok(()))
    }
}
