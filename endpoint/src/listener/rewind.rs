//! A stream whose first bytes were read already, and are read again.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// A stream and the bytes that go before it.
pub(super) struct Rewind<S> {
    /// Empty, and without memory, once it has been read.
    first: Vec<u8>,
    used: usize,
    stream: S,
}

impl<S> Rewind<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            first: Vec::new(),
            used: 0,
            stream,
        }
    }

    /// Puts bytes in front of those that come.
    pub(super) fn put_back(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(self.first.get(self.used..).unwrap_or_default());
        self.first = bytes;
        self.used = 0;
    }
}

impl<S: AsyncRead + Unpin> Rewind<S> {
    /// Reads more onto `bytes`. False: the peer is gone.
    pub(super) async fn read_more(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let mut chunk = [0; 1024];
        let count = self.read(&mut chunk).await?;
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count > 0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewind<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let rest = self.first.get(self.used..).unwrap_or_default();
        let count = rest.len().min(buf.remaining());
        buf.put_slice(rest.get(..count).unwrap_or_default());
        self.used += count;
        if self.used == self.first.len() {
            self.first = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewind<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_put_back_are_read_before_those_that_come() {
        let mut stream = Rewind::new(&b"TLS and more"[..]);
        let mut bytes = vec![0; 3];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.put_back(bytes);
        let mut some = vec![0; 1];
        stream.read_exact(&mut some).await.unwrap();
        stream.put_back(some);
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "TLS and more");
        assert!(!stream.read_more(&mut Vec::new()).await.unwrap());
    }
}
