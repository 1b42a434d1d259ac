//! One connection, from its first byte to its last event. START HERE.
//!
//! [`serve`] is the whole life: the `gate` reads CONNECT, logs the device in and answers; `live`
//! moves bytes, events and commands until the session is over; `ending` publishes the will and
//! takes the connection out of the table.
//!
//! - `log_in`: who the client is, if it may connect;
//! - `entering`: the session's durable record, and the word to other instances;
//! - `link`: the half that others hold (mailbox, sinks' reports);
//! - `uplink`: publish → dialect → gateway rule → event → rules → sinks;
//! - `ruling`: events about which a rule asks an endpoint;
//! - `gateway`: may it speak for that device, and read its inbox;
//! - `asking`: packets that wait for an answer of the registry;
//! - `downlink`: commands → deliveries → acknowledgements;
//! - `subscribing`: which inboxes may be read;
//! - `registering`: devices that are registered when a gateway first speaks for them;
//! - `dialogue`: what the server says to a client in the words of its dialect;
//! - `scratch`: buffers of the thread, used only while there are bytes at hand;
//! - `owned`: publishes that outlive the read buffer;
//! - `departing`: will and connection event of a session that is over;
//! - `recovering`: the same for sessions of a process that died.

mod asking;
mod departing;
mod dialogue;
mod downlink;
mod ending;
mod entering;
mod farewell;
mod gate;
mod gateway;
mod incoming;
mod link;
mod live;
mod log_in;
mod origins;
mod owned;
mod recovering;
mod registering;
mod ruling;
mod scratch;
mod subscribing;
mod throttling;
mod uplink;
mod verdict;

use std::sync::Arc;

use landfall_protocol::Limits;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::auth::Proven;
use crate::listener::Peer;
use crate::server::{Places, Shared};

pub use link::{Identity, Link, Offer};
pub use recovering::{settle_all, settle_device};
use scratch::Scratch;

/// A byte stream from a client.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

/// Any stream: what plain TCP is not, so that the driver is compiled twice and not a dozen times.
pub type BoxStream = Box<dyn Stream>;

/// Where a connection comes from, and what is known of it before its first packet.
#[derive(Debug)]
pub struct Origin {
    /// The other end.
    pub peer: Peer,
    /// What the client proved in its handshake.
    pub proven: Proven,
    /// Its address connects too often: it is told so, and let in by nothing.
    pub over_rate: bool,
}

impl Origin {
    /// A connection of which no more is known than its other end.
    pub const fn of(peer: Peer) -> Self {
        Self {
            peer,
            proven: Proven::Nothing,
            over_rate: false,
        }
    }
}

/// What a connection knows of the listener it came through.
pub struct Door {
    /// For the log and the list of connections: `tcp`, `tls`, `ws`, `wss` or `unix`.
    pub transport: &'static str,
    /// Limits of its sessions.
    pub limits: Limits,
    /// Subscriptions of one connection at most.
    pub subscriptions: usize,
    /// Device and application that clients without credentials become.
    pub anonymous: Option<(String, String)>,
    /// Places for those that are let in, if the listener has a limit of its own.
    pub admitted: Option<Places>,
}

/// Serves one connection until its end.
///
/// The future is small and the connection one box behind it: what the gate needs is given back as
/// soon as the client is in.
pub fn serve<S: Stream>(
    stream: S,
    origin: Origin,
    door: Arc<Door>,
    shared: Arc<Shared>,
) -> impl Future<Output = ()> {
    let opening = Box::pin(open(stream, origin, door, shared));
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
    origin: Origin,
    door: Arc<Door>,
    shared: Arc<Shared>,
) -> Option<Box<live::Live<S>>> {
    let admitted = gate::admit(&mut stream, origin, &door, &shared).await?;
    Some(Box::new(live::Live::new(stream, door, shared, admitted)))
}
