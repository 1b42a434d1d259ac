//! Serves a router on a socket: bounded in connections and in the time that a request may take to
//! arrive, so that the API's clients can never use up what devices need.
//!
//! HTTP/1.1 alone: HTTP/2 comes with TLS, or is spoken by the proxy in front.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

/// Connections at once, to one listener; more wait in the system's queue.
const MOST_CONNECTIONS: usize = 1_024;
/// From the start of a connection, or the end of an answer, to the next request's complete head.
/// Idle connections are closed by it, too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Request line and header fields, together.
const MOST_HEAD: usize = 64 * 1024;
/// After a failed accept, as when there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `end` turns true (or its sender is gone); then takes no more requests, and returns
/// when all that are being answered are done.
pub async fn serve(listener: TcpListener, router: Router, end: watch::Receiver<bool>) {
    serve_patiently(listener, router, end, HEAD_TIMEOUT).await;
}

async fn serve_patiently(
    listener: TcpListener,
    router: Router,
    end: watch::Receiver<bool>,
    head_timeout: Duration,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MOST_HEAD);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut stopping = end.clone();
    let stopped = stopping.wait_for(|end| *end);
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            (stream, place) = accept(&listener, &places) => {
                let connection = http.serve_connection(
                    TokioIo::new(stream),
                    TowerToHyperService::new(router.clone()),
                );
                connections.spawn(answer(connection, end.clone(), place));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    // From here on the system refuses connections.
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection that there is a place for.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

type Connection = http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>>;

/// Serves one connection to its end.
async fn answer(
    connection: Connection,
    mut end: watch::Receiver<bool>,
    place: Option<OwnedSemaphorePermit>,
) {
    tokio::pin!(connection);
    let ended = async {
        let _ = end.wait_for(|end| *end).await;
    };
    let served = tokio::select! {
        served = &mut connection => Some(served),
        () = ended => None,
    };
    let served = match served {
        Some(served) => served,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        // The client's doing: it broke off, was silent, or does not speak HTTP.
        tracing::debug!(%error, "an HTTP connection ended");
    }
    drop(place);
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// A server whose answers wait for the word.
    async fn waiting_server(
        head_timeout: Duration,
    ) -> (
        std::net::SocketAddr,
        watch::Sender<bool>,
        watch::Sender<bool>,
    ) {
        let (answer, may_answer) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let handler = async move || {
            let mut may_answer = may_answer;
            let _ = may_answer.wait_for(|may| *may).await;
            "done"
        };
        let router = Router::new().route("/", axum::routing::get(handler));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_patiently(listener, router, ended, head_timeout));
        (address, answer, end)
    }

    #[tokio::test]
    async fn a_request_that_is_being_answered_survives_the_end() {
        let (address, answer, end) = waiting_server(HEAD_TIMEOUT).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        // The handler is at work once its receiver was cloned from the router's.
        while answer.receiver_count() < 2 {
            tokio::task::yield_now().await;
        }
        end.send_replace(true);
        answer.send_replace(true);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        assert!(text.ends_with("done"), "{text}");
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed_by_the_end() {
        let (address, answer, end) = waiting_server(HEAD_TIMEOUT).await;
        answer.send_replace(true);
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        let mut first = [0; 12];
        client.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        end.send_replace(true);
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        let (address, _answer, _end) = waiting_server(Duration::from_millis(1)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
    }
}
