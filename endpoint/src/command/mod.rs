//! Commands: from their sources to the sessions that serve a device, and the outcome back.
//!
//! - `request`: a command as its sender asks for it, and on its way;
//! - `hub`: finds the sessions and hands the command over;
//! - `gather`: what they report, as one outcome;
//! - `handed`: a command in a session's queue, and the way back;
//! - `answer`: what devices answer, and where;
//! - `held`: commands that wait, durably, for a device that is not there;
//! - `way`: what a sender may ask for;
//! - `report`, `told`: what the sender learns;
//! - `event`: commands and outcomes as CloudEvents;
//! - `presence`: whether a source reaches the system that it takes commands from;
//! - `turns`: the order of commands that come one behind the other;
//! - `nats`: the source that answers requests of NATS;
//! - `kafka`: the source that consumes a Kafka topic;
//! - `mqtt`: the source that subscribes at an MQTT broker.

mod answer;
mod event;
mod gather;
mod handed;
pub mod held;
mod hub;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod mqtt;
mod name;
pub mod nats;
mod presence;
mod report;
mod request;
mod told;
mod turns;
mod way;

pub use answer::{Answer, Correlation, OCTET_STREAM, ResponseTopic};
pub use handed::{Handed, Replier, SessionFailure, SessionReport};
pub use hub::CommandHub;
pub(crate) use hub::serving_names;
pub use name::CommandName;
pub use report::{CommandError, CommandReport, Delivered, HeldReport, Outcome};
pub use request::{Command, CommandRequest, Lifetime, UserProperty};
pub use told::{Told, rfc3339};
pub use way::{Way, Wishes};
