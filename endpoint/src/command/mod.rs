//! Commands: from their sources to the sessions that serve a device, and the outcome back.
//!
//! - `request`: a command as its sender asks for it, and on its way;
//! - `hub`: finds the sessions, hands the command over, gathers what becomes of it;
//! - `handed`: a command in a session's queue, and the way back;
//! - `answer`: what devices answer, and where;
//! - `held`: commands that wait, durably, for a device that is not there;
//! - `way`: what a sender may ask for;
//! - `report`, `told`: what the sender learns;
//! - `nats`: the source that answers requests of NATS.

mod answer;
mod handed;
pub mod held;
mod hub;
mod name;
pub mod nats;
mod report;
mod request;
mod told;
mod way;

pub use answer::{Answer, Correlation, OCTET_STREAM, ResponseTopic};
pub use handed::{Handed, Replier, SessionFailure, SessionReport};
pub use hub::CommandHub;
pub use name::CommandName;
pub use report::{CommandError, CommandReport, Delivered, HeldReport, Outcome};
pub use request::{Command, CommandRequest, Lifetime, UserProperty};
pub use told::{Told, rfc3339};
pub use way::{Way, Wishes};
