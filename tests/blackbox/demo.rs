//! `landfall demo`: everything at once, with lines to copy.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::log::Log;
use crate::harness::process::Process;

/// The demo has the ports that its printed lines and the documents name, so this program runs it
/// once; other servers of the tests have ports elsewhere.
#[test]
fn the_printed_lines_work_side_by_side() {
    let folder = TempDir::new().unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(["demo", "--help"])
        .output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    assert!(help.contains("--data-dir"), "{help}");

    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command
        .arg("demo")
        .arg("--data-dir")
        .arg(folder.path().join("demo"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command);
    let log = Log::default();
    log.follow(process.child().stdout.take().unwrap());
    log.follow(process.child().stderr.take().unwrap());
    log.wait_for(0, &["mosquitto_sub"]);
    log.wait_for(0, &["mosquitto_pub"]);
}
