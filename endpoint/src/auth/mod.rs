//! Who wants in: the identity that a CONNECT claims, and how often it may be claimed in vain.

mod identity;
mod throttle;

pub use identity::{Claim, ClaimError, Proof};
pub use throttle::{Attempt, Throttle, Throttled};
