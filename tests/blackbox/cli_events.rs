//! `landfall events`.

use std::io::{BufRead as _, BufReader};
use std::process::{ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::cli::{fail, succeed, text};
use crate::harness::documents::APP;
use crate::harness::process::Process;
use crate::harness::{Server, ports};
use crate::tools::relay::Relay;
use crate::wire::{Client, Version};

/// `landfall events --follow`, and its lines as they come.
struct Follower {
    lines: BufReader<ChildStdout>,
    _process: Process,
}

impl Follower {
    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::spawn(command);
        let lines = process.child().stdout.take().expect("a piped stream");
        Self {
            lines: BufReader::new(lines),
            _process: process,
        }
    }

    /// The next event.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("an event a line")
    }
}

#[test]
fn events_prints_one_event_a_line() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    for number in 0..150 {
        sensor.publish_1("n", number.to_string().as_bytes());
    }
    let output = server.cli(&["events", APP]);
    assert!(output.status.success(), "{}", text(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON in one line"))
        .filter_map(|event| event["data"].as_u64())
        .collect();
    assert_eq!(numbers, (0..150).collect::<Vec<u64>>());
}

#[test]
fn events_of_one_device_are_its_newest_oldest_first() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    for number in 0..1_200 {
        sensor.publish_1("n", number.to_string().as_bytes());
        gateway.publish_1("n", b"-1");
    }
    let numbers = |arguments: &[&str]| -> Vec<u64> {
        let printed = succeed(&server, &[&["events", APP], arguments].concat());
        let events = printed.lines().filter(|line| line.starts_with('{'));
        let events = events.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        events
            .inspect(|event| assert_eq!(event["device"], "sensor01"))
            .filter_map(|event| event["data"].as_u64())
            .collect()
    };
    let expect = |last: u64| (1_200 - last..1_200).collect::<Vec<u64>>();
    assert_eq!(numbers(&["--device", "sensor01"]), expect(100));
    assert_eq!(
        numbers(&["--device", "sensor01", "--last", "1100"]),
        expect(1_100)
    );
    assert_eq!(numbers(&["--device", "sensor01", "--last", "0"]), expect(0));
    assert_eq!(
        numbers(&["--device", "sensor01", "--last", "9999"]),
        expect(1_200)
    );
    let message = fail(
        &server,
        &["events", APP, "--device", "sensor01", "--after", "1"],
    );
    assert!(message.contains("--follow"), "{message}");
}

#[test]
fn a_device_is_followed_from_where_its_last_events_ended_and_over_a_break() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    let mut publish = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            gateway.publish_1("n", b"-1");
            sensor.publish_1("n", number.to_string().as_bytes());
        }
    };
    publish(0..3);
    let last = ["events", APP, "--device", "sensor01", "--last", "2"];
    let printed = succeed(&server, &last);
    let (_, offset) = printed
        .rsplit_once("go on with --follow --after ")
        .expect("where to go on");
    // What came since, before anybody follows.
    publish(3..5);

    let relay_port = ports::free();
    let relay = Relay::start(relay_port, server.api_port());
    let offset = offset.trim();
    let mut command = server.cli_command(&[
        "events", APP, "--device", "sensor01", "--follow", "--after", offset,
    ]);
    command.env("LANDFALL_URL", format!("http://127.0.0.1:{relay_port}"));
    let mut follower = Follower::start(&mut command);
    let mut expect = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            let event = follower.next();
            assert_eq!(event["device"], "sensor01");
            assert_eq!(event["data"], number);
        }
    };
    expect(3..5);
    publish(5..7);
    expect(5..7);
    // Neither lost nor repeated what comes while the stream is broken.
    relay.cut();
    publish(7..9);
    relay.mend();
    expect(7..9);
    publish(9..10);
    expect(9..10);
}
