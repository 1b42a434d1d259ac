//! Scenarios of the Python client paho-mqtt, in `tests/clients`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::Server;
use crate::harness::documents::{GATEWAY_PASSWORD, SENSOR_PASSWORD, WRONG_PASSWORD};
use crate::harness::log::Log;
use crate::harness::process::Process;

/// Runs a scenario to its end, which is success.
#[track_caller]
pub(crate) fn run(server: &Server, module: &str, scenario: &str) {
    run_with(server, module, scenario, &[]);
}

/// As [`run`], with further settings in the environment.
#[track_caller]
pub(crate) fn run_with(server: &Server, module: &str, scenario: &str, settings: &[(&str, &str)]) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut command = Command::new(python());
    command
        .current_dir(tests.join("clients"))
        .args(["-B", "scenario.py", module, scenario])
        .env("LANDFALL_MQTT_PORT", server.mqtt().port().to_string())
        .env("LANDFALL_API_PORT", server.api_port().to_string())
        .env("LANDFALL_TOKEN", server.token())
        .env("SENSOR_PASSWORD", SENSOR_PASSWORD)
        .env("GATEWAY_PASSWORD", GATEWAY_PASSWORD)
        .env("WRONG_PASSWORD", WRONG_PASSWORD)
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command);
    let log = Log::default();
    log.follow(process.child().stdout.take().expect("a piped stream"));
    log.follow(process.child().stderr.take().expect("a piped stream"));
    let status = process.wait();
    log.finish();
    assert!(
        status.success(),
        "{module}.{scenario}:\n{}",
        log.lines().join("\n")
    );
}

/// The interpreter that has paho-mqtt: `./tests/run` makes it.
pub(crate) fn python() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tests-venv/bin/python");
    env::var_os("LANDFALL_TEST_PYTHON").map_or(made, PathBuf::from)
}
