//! The registry through its public interface, in a PostgreSQL database: the tests of
//! `tests/registry` again, and what only several instances and a database show.

// Helpers of tests are not `#[test]` functions, which the lints' own exception is limited to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../registry/authority.rs"]
mod authority;
#[path = "../registry/batches.rs"]
mod batches;
#[path = "../registry/behind.rs"]
mod behind;
#[path = "../registry/certificates/mod.rs"]
mod certificates;
#[path = "../registry/changes.rs"]
mod changes;
#[path = "../registry/common.rs"]
mod common;
#[path = "../registry/concurrency.rs"]
mod concurrency;
mod home;
mod instances;
#[path = "../registry/lists.rs"]
mod lists;
#[path = "../registry/log_in.rs"]
mod log_in;
#[path = "../registry/models.rs"]
mod models;
mod outage;
#[path = "../registry/pre_shared_keys.rs"]
mod pre_shared_keys;
#[path = "../registry/secrets.rs"]
mod secrets;
mod server;
mod store;
#[path = "../registry/tokens.rs"]
mod tokens;
#[path = "../registry/writes.rs"]
mod writes;
