//! The accept loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Entrance, Listening, Peer, Socket};
use crate::server::Shared;

/// Pause after a failed accept: descriptors come back only when connections end.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and serves until the server stops.
pub async fn serve(listening: Listening, entrance: Arc<Entrance>, shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listening.accept() => accepted,
            () = shared.stopped() => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                pause = FIRST_PAUSE;
                admit(socket, peer, &entrance, &shared);
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

fn admit(socket: Socket, peer: Peer, entrance: &Arc<Entrance>, shared: &Arc<Shared>) {
    let Some(place) = shared.places.take() else {
        shared.telemetry.connections_shed.inc();
        return;
    };
    if let Socket::Tcp(stream) = &socket
        // Acknowledgements are small and already coalesced.
        && stream.set_nodelay(true).is_err()
    {
        return;
    }
    let (entrance, shared) = (Arc::clone(entrance), Arc::clone(shared));
    tokio::spawn(async move {
        entrance.serve(socket, peer, shared).await;
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
