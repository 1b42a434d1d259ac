//! The API as its own description has it: Schemathesis makes requests from `/api/openapi.json`, good
//! and bad, and holds the answers against it.
//!
//! `LANDFALL_SCHEMATHESIS=600` gives it ten minutes instead of half a one.

use std::process::{Command, Stdio};

use crate::harness::Server;
use crate::harness::documents::{APP, SENSOR_PASSWORD, behind};
use crate::harness::log::Log;
use crate::harness::process::Process;
use crate::harness::wait;
use crate::tools::paho;

/// What must hold of every answer, whatever was asked. Not whether a request that fits the schema is
/// taken: names that exist already, dates that are over and offsets to come are none of a schema's.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,ignored_auth,unsupported_method";

#[test]
fn every_answer_is_one_that_the_description_has() {
    let server = Server::builder()
        .settings("[log]\nlevel = \"warn\"")
        .start_shared();
    server
        .create_device(APP, &behind("sensor01-b", "gateway01"))
        .expect_status(201);
    let seconds = std::env::var("LANDFALL_SCHEMATHESIS").unwrap_or_else(|_| "30".to_owned());
    let patience: u32 = seconds.parse().expect("seconds");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut process = Process::spawn(
        Command::new(paho::python().with_file_name("schemathesis"))
            .current_dir(folder.path())
            .arg("run")
            .arg(format!(
                "http://127.0.0.1:{}/api/openapi.json",
                server.api_port()
            ))
            .args([
                "--header",
                &format!("Authorization: Bearer {}", server.token()),
            ])
            .args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS])
            .args([
                "--max-examples",
                "20",
                "--max-time",
                &seconds,
                "--seed",
                "1",
            ])
            .args(["--suppress-health-check", "all", "--warnings", "off"])
            .args([
                "--request-timeout",
                "30",
                "--continue-on-failure",
                "--no-color",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let said = Log::default();
    said.follow(process.child().stdout.take().expect("a piped stream"));
    said.follow(process.child().stderr.take().expect("a piped stream"));
    let deadline = wait::DEADLINE * 3 + std::time::Duration::from_secs(patience.into());
    let status = wait::within(deadline, "the end of Schemathesis", || process.ended());
    said.finish();
    let said = said.lines().join("\n");
    println!("{said}");
    // Some documents' patterns are ones that it cannot make texts for: its examples stand for them.
    let found_nothing = !said.contains("= FAILURES =") && said.contains("Test cases:");
    assert!(found_nothing, "{status}:\n{said}");
    server
        .api()
        .get("/api/registry/v1alpha1/apps")
        .expect_status(200);
    assert!(!said.contains(SENSOR_PASSWORD));
}
