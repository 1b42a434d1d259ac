//! The registry through its public interface, in an SQLite file.
//!
//! `tests/postgres` has the same tests again, in a PostgreSQL database.

// Helpers of tests are not `#[test]` functions, which the lints' own exception is limited to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod authority;
mod batches;
mod behind;
mod certificates;
mod changes;
mod common;
mod concurrency;
mod documents;
mod home;
mod lists;
mod log_in;
mod models;
mod pre_shared_keys;
mod refusals;
mod round_trips;
mod rules;
mod secrets;
mod signatures;
mod store;
mod storms;
mod tokens;
mod writes;
