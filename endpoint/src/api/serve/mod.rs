//! Serves a router on a socket: bounded in connections, in the time that a request may take to arrive,
//! and in that for which an answer may wait to be taken, so that the API's clients can never use up what
//! devices need.
//!
//! - `http1`: HTTP/1.1, all that there is without TLS;
//! - `http2`: HTTP/2, which is agreed on in the TLS handshake.

mod http1;
mod http2;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use crate::listener::tls::{HttpStream, HttpTls};

/// Connections at once, to one listener; more wait in the system's queue.
const MOST_CONNECTIONS: usize = 1_024;
/// From the start of a connection, or the end of an answer, to the next request's complete head.
/// Idle connections are closed by it, too, and those whose client takes nothing of an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Request line and header fields, together.
const MOST_HEAD: u16 = u16::MAX;
/// After a failed accept, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `end` turns true (or its sender is gone); then takes no more requests, and returns
/// when all that are being answered are done. Without `tls` it serves HTTP/1.1 in clear text.
/// `failed` hears of each time that no connection could be accepted.
pub async fn serve(
    listener: TcpListener,
    tls: Option<HttpTls>,
    router: Router,
    end: watch::Receiver<bool>,
    failed: impl FnMut(&io::Error),
) {
    let service = Service {
        tls,
        router,
        patience: PATIENCE,
    };
    service.run(listener, end, failed).await;
}

/// What every connection is served by.
#[derive(Clone)]
struct Service {
    tls: Option<HttpTls>,
    router: Router,
    patience: Duration,
}

impl Service {
    async fn run(
        self,
        listener: TcpListener,
        end: watch::Receiver<bool>,
        mut failed: impl FnMut(&io::Error),
    ) {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut stopping = end.clone();
        let stopped = stopping.wait_for(|end| *end);
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                (stream, place) = accept(&listener, &places, &mut failed) => {
                    connections.spawn(self.clone().answer(stream, end.clone(), place));
                }
                Some(_) = connections.join_next() => {}
            }
        }
        // From here on the system refuses connections.
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// Serves one connection to its end.
    async fn answer(
        self,
        stream: TcpStream,
        mut end: watch::Receiver<bool>,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let opened = tokio::select! {
            opened = self.open(stream) => opened,
            _ = end.wait_for(|end| *end) => return,
        };
        let served = match opened {
            Some(HttpStream { stream, is_http_2 }) => match is_http_2 {
                true => http2::answer(stream, self.router, end, self.patience).await,
                false => http1::answer(stream, self.router, end, self.patience).await,
            },
            None => Ok(()),
        };
        if let Err(error) = served {
            // The client's doing: it broke off, was silent, or does not speak HTTP.
            tracing::debug!(%error, "an HTTP connection ended");
        }
        drop(place);
    }

    /// The stream of a connection, the TLS handshake done; `None` if it failed.
    async fn open(&self, stream: TcpStream) -> Option<HttpStream> {
        let Some(tls) = &self.tls else {
            return Some(HttpStream {
                stream: Box::new(stream),
                is_http_2: false,
            });
        };
        tls.accept(stream)
            .await
            .inspect_err(|error| tracing::debug!(%error, "no TLS handshake with an HTTP client"))
            .ok()
    }
}

/// The next connection that there is a place for.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    mut failed: impl FnMut(&io::Error),
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                failed(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
