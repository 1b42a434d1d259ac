//! Commands: from their sources to the sessions that serve a device, and the outcome back.

mod hub;
mod name;
mod report;

pub use hub::CommandHub;
pub use name::CommandName;
pub use report::{
    Command, CommandError, CommandReport, CommandRequest, Delivered, Handed, Outcome,
    SessionFailure, SessionReport,
};
