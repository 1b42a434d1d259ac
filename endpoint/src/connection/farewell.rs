//! Closing a socket so that the last bytes arrive.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, ReadBuf};

use super::{Scratch, Stream};

/// A peer that neither reads nor closes is given this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes the last bytes and says that no more will come.
pub(super) async fn finish_writing<S: Stream>(stream: &mut S, last: &[u8]) {
    let finish = async {
        stream.write_all(last).await?;
        stream.shutdown().await
    };
    // The client has been told what can be told; an error changes nothing.
    let _ = tokio::time::timeout(PATIENCE, finish).await;
}

/// Reads and drops what still comes until the client closes: a socket closed with unread bytes is
/// reset, and the client might lose the last bytes that were meant for it.
pub(super) async fn await_close<S: Stream>(stream: &mut S) {
    let closed = poll_fn(|cx| {
        let mut scratch = Scratch::take(0);
        let mut read = ReadBuf::new(&mut scratch.read);
        let polled = Pin::new(&mut *stream).poll_read(cx, &mut read);
        let count = read.filled().len();
        scratch.give_back();
        match polled {
            Poll::Ready(Ok(())) if count > 0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    });
    let _ = tokio::time::timeout(PATIENCE, closed).await;
}
