//! The session state machine, driven with bytes and a virtual clock.
//!
//! `script` runs the cases of `tests/data/session/*.txt`; `behaviour` has what needs more than a
//! script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod behaviour;
#[path = "../codec/notation.rs"]
#[allow(dead_code, reason = "shared with the codec's tests")]
mod notation;
mod peer;
mod script;
