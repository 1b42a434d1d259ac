//! One connection, from its first byte to its last event. START HERE.
//!
//! [`serve`] is the whole life: the `gate` reads CONNECT, logs the device in and answers; `live`
//! moves bytes, events and commands until the session is over; `ending` publishes the will and
//! takes the connection out of the table.
//!
//! - `link`: the half that others hold (mailbox, sinks' reports);
//! - `uplink`: publish → dialect → gateway rule → event → sinks;
//! - `downlink`: commands → deliveries → acknowledgements;
//! - `subscribing`: which inboxes may be read;
//! - `scratch`: buffers of the thread, used only while there are bytes at hand;
//! - `owned`: publishes that outlive the read buffer.

mod downlink;
mod ending;
mod farewell;
mod gate;
mod incoming;
mod link;
mod live;
mod owned;
mod scratch;
mod subscribing;
mod throttling;
mod uplink;

use std::net::SocketAddr;
use std::sync::Arc;

use landfall_protocol::Limits;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::server::Shared;

pub use link::{Identity, Link, Offer};
use scratch::Scratch;

/// A byte stream from a client.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// What a connection knows of the listener it came through.
#[derive(Debug)]
pub struct Door {
    /// For the log and the list of connections: `tcp`.
    pub transport: &'static str,
    /// Limits of its sessions.
    pub limits: Limits,
    /// Subscriptions of one connection at most.
    pub subscriptions: usize,
    /// Device and application that clients without credentials become.
    pub anonymous: Option<(String, String)>,
}

/// Serves one connection until its end.
///
/// The future is small and the connection one box behind it: what the gate needs is given back as
/// soon as the client is in.
pub fn serve<S: Stream>(
    stream: S,
    peer: SocketAddr,
    door: Arc<Door>,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> {
    let opening = Box::pin(open(stream, peer, door, shared));
    async move {
        let Some(mut live) = opening.await else {
            return;
        };
        live.run().await;
        Box::pin(live.end()).await;
    }
}

async fn open<S: Stream>(
    mut stream: S,
    peer: SocketAddr,
    door: Arc<Door>,
    shared: Arc<Shared>,
) -> Option<Box<live::Live<S>>> {
    let admitted = gate::admit(&mut stream, peer, &door, &shared).await?;
    Some(Box::new(live::Live::new(stream, door, shared, admitted)))
}
