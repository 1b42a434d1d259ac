//! Who wants in: the identity that a CONNECT claims.

mod identity;

pub use identity::{Claim, ClaimError, Proof};
