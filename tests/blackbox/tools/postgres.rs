//! A PostgreSQL server of a test's own, and servers of ours over it.

use std::io::Write as _;
use std::process::{Command, Stdio};

#[allow(
    dead_code,
    reason = "the registry's own tests share one server, these have one each"
)]
#[path = "../../../registry/tests/postgres/server.rs"]
mod server;

use crate::harness::Server;
use crate::harness::process::Process;
use crate::harness::server::Builder;

/// A database server that ends with the test.
pub(crate) struct Postgres(server::Server);

impl Postgres {
    pub(crate) fn start() -> Self {
        Self(server::Server::own())
    }

    /// A server of ours whose registry is here.
    pub(crate) fn instance(&self, name: &str) -> Builder {
        Server::builder()
            .settings("[registry]\nstore = \"postgres\"")
            .environment("LANDFALL__REGISTRY__URL", &self.url())
            .environment("LANDFALL__INSTANCE", name)
    }

    fn url(&self) -> String {
        self.0.connection("postgres", "postgres")
    }

    /// Ends the server as a crash would; what it has committed stays.
    pub(crate) fn stop(&self) {
        self.0.stop();
    }

    pub(crate) fn start_again(&self) {
        self.0.start();
    }

    /// Holds up everybody who reads or writes documents, until it is dropped.
    pub(crate) fn hold_documents(&self) -> Process {
        let mut psql = Process::spawn(
            Command::new("psql")
                .args(["-X", "-q", "-d", &self.url()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        );
        let mut input = psql.child().stdin.take().expect("a piped stream");
        input
            .write_all(b"BEGIN; LOCK TABLE landfall_resource; SELECT 'locked';\n")
            .expect("psql reads");
        let mut output = psql.child().stdout.take().expect("a piped stream");
        let mut told = Vec::new();
        while !String::from_utf8_lossy(&told).contains("locked") {
            let mut chunk = [0; 256];
            let read = std::io::Read::read(&mut output, &mut chunk).expect("psql answers");
            assert!(read > 0, "psql ended: {}", String::from_utf8_lossy(&told));
            told.extend(&chunk[..read]);
        }
        // psql ends with its input, the transaction with psql.
        psql.child().stdin = Some(input);
        psql
    }
}
