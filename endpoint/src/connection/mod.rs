//! One connection, from its first byte to its last event. START HERE.
//!
//! [`open`] is its beginning: the `gate` reads CONNECT, logs the device in and answers. [`serve`] is
//! the rest: `live` moves bytes, events and commands until the session is over; `ending` publishes
//! the will and takes the connection out of the table.
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
//! - `patience`: how long is waited for whom; `troubles`: for what;
//! - `pace`: how far publishes at QoS 0 may be ahead of the sinks;
//! - `owned`: publishes that outlive the read buffer;
//! - `milestone`: what is said of a session itself, and under which ids;
//! - `departing`: will and connection event of a session that is over;
//! - `recovering`: the same for sessions of a process that died.

mod asking;
mod departing;
mod dialogue;
mod downlink;
mod ending;
mod entering;
mod farewell;
#[cfg(test)]
mod footprint;
mod gate;
mod gateway;
mod incoming;
mod link;
mod live;
mod log_in;
mod milestone;
mod origins;
mod owned;
mod pace;
mod patience;
mod rate;
mod recovering;
mod registering;
mod ruling;
mod scratch;
mod subscribing;
mod throttling;
mod tracing;
mod troubles;
mod uplink;
mod verdict;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use landfall_protocol::Limits;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::auth::Proven;
use crate::listener::{Carrier, Peer};
use crate::server::{Places, Shared};

pub use link::{Identity, Link, Offer};
pub use rate::Rates;
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
    /// What its connections come in.
    pub transport: Carrier,
    /// Limits of its sessions.
    pub limits: Limits,
    /// What each of them may publish in a second.
    pub rates: Rates,
    /// Subscriptions of one connection at most.
    pub subscriptions: usize,
    /// Device and application that clients without credentials become.
    pub anonymous: Option<(String, String)>,
    /// Places for those that are let in, if the listener has a limit of its own.
    pub admitted: Option<Places>,
}

/// A client that is let in: the one box that a connection keeps.
///
/// What the way there needed is given back by then, and a task that holds no more than this stays
/// small, whatever the stream.
pub trait Connected: Send {
    /// Serves the session until it is over.
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Will and connection event.
    fn end(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<S: Stream> Connected for live::Live<S> {
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.run(cx)
    }

    fn end(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.end())
    }
}

/// Reads CONNECT and lets the client in; `None` once it has been told why not.
pub async fn open<S: Stream>(
    mut stream: S,
    origin: Origin,
    door: Arc<Door>,
    shared: Arc<Shared>,
) -> Option<Box<dyn Connected>> {
    let admitted = gate::admit(&mut stream, origin, &door, &shared).await?;
    Some(Box::new(live::Live::new(stream, door, shared, admitted)))
}

/// Serves a client to its end.
pub async fn serve(mut connected: Box<dyn Connected>) {
    poll_fn(|cx| connected.poll_run(cx)).await;
    connected.end().await;
}
