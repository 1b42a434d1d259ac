//! Tests of the codec, one module for each way to find its faults.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod arbitrary;
mod case;
mod conformance;
mod describe;
mod differential;
mod documentation;
mod encoding;
mod lists;
mod notation;
mod roundtrip;
mod statements;
mod tables;
