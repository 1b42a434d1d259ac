//! The bytes of a WebSocket's binary messages, as one stream: where messages begin and end says
//! nothing `[MQTT-6.0.0-2]`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::connection::Stream;
use crate::listener::Peer;
use crate::server::Shared;

/// Read at once. Each connection holds a buffer of this size.
const READ_BYTES: usize = 1024;
/// Written as one message.
const MESSAGE_BYTES: usize = 16 * 1024;
/// Output that may wait for the socket; a pong to a client that does not read is dropped beyond it.
const OUTPUT_BYTES: usize = 4 * MESSAGE_BYTES;

/// A WebSocket as a byte stream.
pub(super) struct WebSocket<S> {
    inner: WebSocketStream<S>,
    /// What is left of the last message.
    rest: Bytes,
    /// For the log.
    peer: Peer,
    shared: Arc<Shared>,
    /// Our close frame is written.
    said_goodbye: bool,
}

impl<S: Stream> WebSocket<S> {
    /// A stream of an upgraded connection; `first` came behind the request. No message may be
    /// larger than `largest` bytes.
    pub(super) async fn new(
        stream: S,
        first: Vec<u8>,
        largest: usize,
        peer: Peer,
        shared: Arc<Shared>,
    ) -> Self {
        // Its defaults are 128 KiB for reading, and as much for writing.
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(OUTPUT_BYTES)
            .max_message_size(Some(largest))
            .max_frame_size(Some(largest))
            .accept_unmasked_frames(false);
        let inner =
            WebSocketStream::from_partially_read(stream, first, Role::Server, Some(config)).await;
        Self {
            inner,
            rest: Bytes::new(),
            peer,
            shared,
            said_goodbye: false,
        }
    }

    /// Takes a message; the byte stream is over if there will be none.
    fn take(&mut self, cx: &mut Context<'_>, message: Option<Result<Message, Error>>) -> Received {
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                self.rest = bytes;
                Received::Go
            }
            // Answered by the library.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Received::Go,
            // [MQTT-6.0.0-1]
            Some(Ok(Message::Text(_))) => self.refuse(cx, CloseCode::Unsupported, "text message"),
            Some(Err(Error::Capacity(_))) => self.refuse(cx, CloseCode::Size, "message too large"),
            // Cut off, or more than was to come: there is nobody to tell.
            Some(Err(Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
            ))) => Received::End,
            Some(Err(Error::Protocol(error))) => {
                self.refuse(cx, CloseCode::Protocol, &error.to_string())
            }
            Some(Err(Error::Utf8(_))) => self.refuse(cx, CloseCode::Invalid, "text is not UTF-8"),
            Some(Err(Error::Io(error))) => Received::Lost(error),
            Some(Ok(Message::Close(_))) => {
                // RFC 6455, 5.5.1: it is answered. The library has the answer ready, and keeps it.
                self.said_goodbye = true;
                let _ = Pin::new(&mut self.inner).poll_flush(cx);
                Received::End
            }
            // The peer is gone.
            Some(Err(_)) | None => Received::End,
        }
    }

    /// Says goodbye with a code, as far as the socket takes it at once: the peer broke the rules,
    /// and is not waited for.
    fn refuse(&mut self, cx: &mut Context<'_>, code: CloseCode, cause: &str) -> Received {
        if !std::mem::replace(&mut self.said_goodbye, true) {
            tracing::info!(peer = %self.peer, code = u16::from(code), cause, "WebSocket rules broken");
            let mut inner = Pin::new(&mut self.inner);
            if inner.as_mut().start_send(goodbye(code)).is_ok() {
                let _ = inner.as_mut().poll_flush(cx);
            }
        }
        Received::Lost(io::Error::new(io::ErrorKind::InvalidData, cause.to_owned()))
    }
}

fn goodbye(code: CloseCode) -> Message {
    let reason = Default::default();
    Message::Close(Some(CloseFrame { code, reason }))
}

enum Received {
    Go,
    End,
    Lost(io::Error),
}

impl<S: Stream> AsyncRead for WebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            let message = ready!(Pin::new(&mut self.inner).poll_next(cx));
            match self.take(cx, message) {
                Received::Go => {}
                Received::End => return Poll::Ready(Ok(())),
                Received::Lost(error) => return Poll::Ready(Err(error)),
            }
        }
        let count = self.rest.len().min(buf.remaining());
        buf.put_slice(self.rest.get(..count).unwrap_or_default());
        self.rest.advance(count);
        if self.rest.is_empty() {
            // It shares its memory with the library's buffer.
            self.rest = Bytes::new();
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
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(broken)?;
        let message = buf.get(..MESSAGE_BYTES).unwrap_or(buf);
        Pin::new(&mut self.inner)
            .start_send(Message::Binary(Bytes::copy_from_slice(message)))
            .map_err(broken)?;
        Poll::Ready(Ok(message.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(broken)
    }

    /// Says goodbye; the client closes the connection when it has answered.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.said_goodbye {
            if ready!(Pin::new(&mut self.inner).poll_ready(cx)).is_err() {
                return Poll::Ready(Ok(()));
            }
            self.said_goodbye = true;
            let code = match self.shared.is_stopping() {
                true => CloseCode::Away,
                false => CloseCode::Normal,
            };
            if Pin::new(&mut self.inner).start_send(goodbye(code)).is_err() {
                return Poll::Ready(Ok(()));
            }
        }
        // An error here says that the peer was faster.
        let _ = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(Ok(()))
    }
}

fn broken(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::new(io::ErrorKind::BrokenPipe, error),
    }
}
