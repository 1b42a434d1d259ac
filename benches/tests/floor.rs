//! The tool against its own floor server, as two processes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

const TOOL: &str = env!("CARGO_BIN_EXE_landfall-load");

/// A floor server on a free port; it ends with the test.
struct Floor {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Floor {
    fn start() -> Self {
        let mut child = Command::new(TOOL)
            .args(["run-floor", "--json", "--bind", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self {
            child,
            output,
            address,
        }
    }

    fn load(&self, arguments: &[&str]) -> Value {
        let output = self.try_load(arguments);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn try_load(&self, arguments: &[&str]) -> Output {
        let pid = self.child.id().to_string();
        Command::new(TOOL)
            .args(arguments)
            .args(["--json", "--address", &self.address, "--pid", &pid])
            .output()
            .unwrap()
    }

    /// Stops the server and reads what it has counted.
    fn counts(mut self) -> Value {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        serde_json::from_str(&rest).unwrap()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SHORT: [&str; 4] = ["--duration", "0.1", "--warm-up", "0"];

#[test]
fn qos_1_reports_as_many_messages_as_the_server_took() {
    for version in ["3.1", "3.1.1", "5"] {
        let floor = Floor::start();
        let report = floor.load(&[&["publish", "-n", "4", "--mqtt", version], &SHORT[..]].concat());
        let counts = floor.counts();
        assert!(report["messages"].as_u64().unwrap() > 0);
        assert_eq!(report["messages"], counts["qos1"], "MQTT {version}");
        assert_eq!(report["latency"]["count"], counts["qos1"]);
        assert_eq!(report["out_of_order"], 0);
        assert_eq!(counts["connects"], 4);
        assert!(report["server_cpu_us_per_message"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn qos_2_counts_a_message_when_it_is_released() {
    let floor = Floor::start();
    let report = floor.load(&[&["publish", "-n", "4", "--qos", "2"], &SHORT[..]].concat());
    let counts = floor.counts();
    assert!(report["messages"].as_u64().unwrap() > 0);
    assert_eq!(report["messages"], counts["qos2"]);
}

#[test]
fn qos_0_counts_only_what_an_acknowledged_publish_has_followed() {
    let floor = Floor::start();
    let report = floor.load(&[&["publish", "-n", "4", "--qos", "0"], &SHORT[..]].concat());
    let counts = floor.counts();
    assert!(report["messages"].as_u64().unwrap() > 0);
    assert_eq!(report["messages"], counts["qos0"]);
    // One closes the measurement on each connection.
    assert_eq!(counts["qos1"], 4);
}

#[test]
fn the_work_of_several_threads_is_added_up() {
    let floor = Floor::start();
    let report = floor.load(&[&["publish", "-n", "5", "--threads", "2"], &SHORT[..]].concat());
    assert_eq!(report["messages"], floor.counts()["qos1"]);
}

#[test]
fn large_messages_that_no_read_holds_whole_are_counted() {
    let floor = Floor::start();
    let large = ["publish", "-n", "2", "--window", "4", "--size", "200000"];
    let report = floor.load(&[&large[..], &SHORT[..]].concat());
    assert!(report["messages"].as_u64().unwrap() > 0);
    assert_eq!(report["messages"], floor.counts()["qos1"]);
}

#[test]
fn a_fixed_rate_sends_exactly_what_came_due() {
    let floor = Floor::start();
    let report = floor.load(&[&["rate", "-n", "4", "--rate", "1000"], &SHORT[..]].concat());
    assert_eq!(report["messages"], 100);
    assert_eq!(report["latency"]["count"], 100);
    assert_eq!(report["send_lag"]["count"], 100);
    assert_eq!(floor.counts()["qos1"], 100);
}

#[test]
fn every_connect_that_is_reported_was_answered() {
    let floor = Floor::start();
    let report = floor.load(&[&["connect", "-n", "4"], &SHORT[..]].concat());
    let counts = floor.counts();
    assert!(report["connects"].as_u64().unwrap() > 0);
    assert_eq!(report["connects"], counts["connects"]);
}

#[test]
fn idle_connections_subscribe_and_stay_alive() {
    let floor = Floor::start();
    let report = floor.load(&[
        "idle",
        "-n",
        "20",
        "--settle",
        "0",
        "--hold",
        "0.05",
        "--keep-alive",
        "1",
    ]);
    let counts = floor.counts();
    assert_eq!(report["alive"], 20);
    assert_eq!(counts["subscribes"], 20);
    assert!(report["memory"]["all"]["anonymous"].as_u64().unwrap() > 0);
    // Half of them twice before the readings, all once at the end, and those of the hold.
    let pings = 10 + 20 + 20 + report["hold"]["pings"].as_u64().unwrap();
    assert_eq!(counts["pings"].as_u64().unwrap(), pings);
}

#[test]
fn a_subscriber_that_gets_nothing_is_reported_as_loss() {
    // The floor server grants a subscription and drops every message.
    let floor = Floor::start();
    let report = floor.load(
        &[
            &["publish", "-n", "2", "--window", "1", "--subscriber", "1"],
            &SHORT[..],
        ]
        .concat(),
    );
    assert_eq!(report["delivery"]["delivered"], 0);
    assert_eq!(report["delivery"]["lost"], report["messages"]);
}

#[test]
fn a_server_that_is_not_there_is_the_machines_failure() {
    let mut floor = Floor::start();
    floor.child.kill().unwrap();
    floor.child.wait().unwrap();
    let output = floor.try_load(&["publish", "-n", "1"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn a_comparison_of_the_floor_alone_fills_every_figure() {
    let output = Command::new(TOOL)
        .args(["compare", "--floor", "--quick", "--json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let comparison: Value = serde_json::from_slice(&output.stdout).unwrap();
    let samples = comparison["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 11, "{comparison}");
    for sample in samples {
        assert_eq!(sample["contestant"], "floor");
        assert!(sample["value"].as_f64().is_some(), "{sample}");
    }
}

#[test]
fn a_comparison_of_nobody_is_a_usage_error() {
    let output = Command::new(TOOL).arg("compare").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--floor"));
}

#[test]
fn a_comparison_that_a_server_cannot_take_part_in_is_a_usage_error() {
    let output = Command::new(TOOL)
        .args(["compare", "--floor", "--over", "tls"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("floor"));
}

#[test]
fn a_server_that_speaks_no_websocket_is_the_servers_fault() {
    let floor = Floor::start();
    let output = floor.try_load(&["idle", "-n", "2", "--over", "ws"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
