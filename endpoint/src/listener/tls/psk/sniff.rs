//! The socket under OpenSSL: holds a TLS 1.2 ClientKeyExchange back until the key of its identity
//! has been looked up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use landfall_preamble::key_exchange::IdentityReader;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::key::Keys;
use crate::connection::BoxStream;
use crate::listener::rewind::Rewind;

/// Bytes, and how far they have been read.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    reader: IdentityReader,
}

type LookUp = Pin<Box<dyn Future<Output = Keys> + Send>>;

pub(super) struct Sniffer {
    stream: Rewind<BoxStream>,
    state: State,
}

enum State {
    /// The ClientHello is let through: OpenSSL has not answered yet.
    Hello(Keys),
    /// Bytes of what may be a ClientKeyExchange, which are not let through yet.
    Held(Keys, Held),
    /// The key is being looked up.
    Asking(LookUp, Vec<u8>),
    /// Nothing more is looked at.
    Through,
}

impl Sniffer {
    pub(super) fn new(stream: Rewind<BoxStream>, keys: Keys) -> Self {
        Self {
            stream,
            state: State::Hello(keys),
        }
    }

    /// The handshake is over.
    pub(super) fn end(&mut self) {
        self.state = State::Through;
    }

    /// Looks at held bytes: lets them through, or starts the look-up.
    fn judge(&mut self, keys: Keys, mut held: Held) {
        self.state = match held.reader.read(&held.bytes) {
            Ok(None) => State::Held(keys, held),
            Ok(Some(identity)) => {
                let asking = async move {
                    keys.look_up(identity).await;
                    keys
                };
                State::Asking(Box::pin(asking), held.bytes)
            }
            // A second ClientHello, a certificate, an alert, TLS 1.3: OpenSSL's to judge. What
            // follows may still be a ClientKeyExchange.
            Err(_) => {
                self.stream.put_back(held.bytes);
                State::Hello(keys)
            }
        };
    }
}

impl AsyncRead for Sniffer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match std::mem::replace(&mut this.state, State::Through) {
                State::Hello(keys) => {
                    this.state = State::Hello(keys);
                    return Pin::new(&mut this.stream).poll_read(cx, buf);
                }
                State::Held(keys, mut held) => {
                    let mut chunk = [0; 512];
                    let mut read = ReadBuf::new(&mut chunk);
                    let polled = Pin::new(&mut this.stream).poll_read(cx, &mut read);
                    if polled.is_pending() {
                        this.state = State::Held(keys, held);
                        return Poll::Pending;
                    }
                    ready!(polled)?;
                    if read.filled().is_empty() {
                        // The end: OpenSSL sees it behind what was held.
                        this.stream.put_back(held.bytes);
                        continue;
                    }
                    held.bytes.extend_from_slice(read.filled());
                    this.judge(keys, held);
                }
                State::Asking(mut asking, held) => match asking.as_mut().poll(cx) {
                    Poll::Pending => {
                        this.state = State::Asking(asking, held);
                        return Poll::Pending;
                    }
                    Poll::Ready(_) => this.stream.put_back(held),
                },
                State::Through => return Pin::new(&mut this.stream).poll_read(cx, buf),
            }
        }
    }
}

impl AsyncWrite for Sniffer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        // OpenSSL has answered: what comes next may name an identity.
        self.state = match std::mem::replace(&mut self.state, State::Through) {
            State::Hello(keys) => State::Held(keys, Held::default()),
            other => other,
        };
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
