//! Plain TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::connection::{self, Door};
use crate::server::Shared;

/// Connections that may wait for the accept loop.
const BACKLOG: u32 = 4096;
/// Pause after a failed accept: descriptors come back only when connections end.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Binds an address.
///
/// # Errors
///
/// The address is in use, not local, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted server must not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts and serves until the server stops.
pub async fn serve(listener: TcpListener, door: Arc<Door>, shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopped() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = FIRST_PAUSE;
                admit(stream, peer, &door, &shared);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, pause_ms = pause.as_millis(), "cannot accept connections");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, door: &Arc<Door>, shared: &Arc<Shared>) {
    let Some(place) = shared.places.take() else {
        shared.telemetry.connections_shed.inc();
        return;
    };
    // Acknowledgements are small and already coalesced.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (door, shared) = (Arc::clone(door), Arc::clone(shared));
    tokio::spawn(async move {
        connection::serve(stream, peer, door, shared).await;
        drop(place);
    });
}

/// The client went away before it was accepted; the next one may be well.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
