//! Who wants in: the identity that a handshake proves or a CONNECT claims, and how often it may be
//! claimed in vain.

mod identity;
mod proven;
mod throttle;

pub use identity::{Claim, ClaimError, Named, Proof};
pub use proven::{Proven, subject};
pub use throttle::{Attempt, Throttle, Throttled};
