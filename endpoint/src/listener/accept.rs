//! The accept loop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Bound, Entrance, Listening, Peer, Socket};
use crate::connection;
use crate::server::Shared;
use crate::telemetry::{AcceptFailures, ConnectionShed, Seldom};

/// Pause after a failed accept: descriptors come back only when connections end.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Accepts and serves until the server stops.
pub async fn serve(
    bound: Bound,
    listening: Listening,
    entrance: Arc<Entrance>,
    shared: Arc<Shared>,
) {
    let mut failures = AcceptFailures::of(bound.clone());
    let mut sheds = Seldom::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let accepted = tokio::select! {
            accepted = listening.accept() => accepted,
            () = shared.stopped() => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                pause = FIRST_PAUSE;
                if !admit(socket, peer, &entrance, &shared) {
                    let shed = ConnectionShed { listener: &bound };
                    shed.emit(&shared.telemetry, sheds.ask(shared.clock.now()));
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                failures.emit(&error, &shared.telemetry, shared.clock.now());
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shared.stopped() => return,
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Starts to serve a connection. False: there is no place for it.
fn admit(socket: Socket, peer: Peer, entrance: &Arc<Entrance>, shared: &Arc<Shared>) -> bool {
    let Some(place) = shared.places.take() else {
        return false;
    };
    let opening = entrance.open(socket, peer, Arc::clone(shared));
    tokio::spawn(async move {
        if let Some(connected) = opening.await {
            connection::serve(connected).await;
        }
        drop(place);
    });
    true
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
