//! Reads the scripts and runs them.

use super::peer::{Arrival, Peer, Way};
use crate::harness::documents::{WRONG_PASSWORD, password, user};
use crate::notation;
use crate::wire::{Client, Packet, Received, Version, kind};

const FILES: [&str; 4] = [
    include_str!("../../conformance/connect.txt"),
    include_str!("../../conformance/publish.txt"),
    include_str!("../../conformance/subscribe.txt"),
    include_str!("../../conformance/connection.txt"),
];

/// A script in one version.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) name: String,
    pub(super) version: Version,
    /// What is sent first; `None` logs in.
    pub(super) connect: Option<Vec<u8>>,
    pub(super) steps: Vec<Step>,
    /// Each packet waits for the answer to the one before.
    pub(super) in_turn: bool,
}

#[derive(Clone)]
pub(super) enum Step {
    Client(Vec<u8>),
    Server(String),
}

/// What was told instead of what is expected.
pub(super) struct Failure {
    pub(super) expected: String,
    pub(super) told: String,
}

/// Every script, once for each of its versions.
pub(super) fn all() -> Vec<Script> {
    let paragraphs = FILES.iter().flat_map(|text| text.split("\n\n"));
    paragraphs.flat_map(parse).collect()
}

fn parse(paragraph: &str) -> Vec<Script> {
    let mut lines = paragraph.trim().lines();
    let name = lines.next().expect("a name");
    let (_, versions) = lines
        .next()
        .and_then(|line| line.split_once("versions:"))
        .unwrap_or_else(|| panic!("{name}: no versions"));
    let steps: Vec<(&str, &str)> = lines
        .map(|line| line.split_once(':').unwrap_or_else(|| panic!("{line}")))
        .collect();
    versions
        .split_whitespace()
        .map(|version| script(name, version, &steps))
        .collect()
}

fn script(name: &str, version: &str, steps: &[(&str, &str)]) -> Script {
    let mut script = Script {
        name: format!("{name} ({version})"),
        version: self::version(version),
        connect: None,
        steps: Vec::new(),
        in_turn: false,
    };
    for (step, argument) in steps {
        let (step, of) = step.split_once('-').unwrap_or((step, ""));
        match (step, of) {
            ("connect", _) => script.connect = Some(bytes(argument, version)),
            ("client", _) => {
                let packets = argument.split(" | ");
                let packets = packets.map(|packet| Step::Client(bytes(packet, version)));
                script.steps.extend(packets);
            }
            ("in", "turn") => script.in_turn = true,
            ("server", of) => {
                let is_meant = of.is_empty() || of == version || (of == "3" && version != "5");
                if is_meant {
                    let answers = argument.split(" | ");
                    let answers = answers.map(|answer| Step::Server(answer.trim().to_owned()));
                    script.steps.extend(answers);
                }
            }
            _ => panic!("{name}: no such step: {step}"),
        }
    }
    script
}

/// The version, as the wire's client has it.
pub(super) fn of(version: landfall_protocol::Version) -> Version {
    match version {
        landfall_protocol::Version::V31 => Version::V31,
        landfall_protocol::Version::V311 => Version::V311,
        landfall_protocol::Version::V5 => Version::V5,
    }
}

/// The CONNECT of a device that is let in.
pub(super) fn log_in(version: Version) -> Vec<u8> {
    let login = "C2 003C 5({}) \"dev\" $login";
    let head = "10 * 3.1(\"MQIsdp\" 03) 3.1.1(\"MQTT\" 04) 5(\"MQTT\" 05)";
    let name = match version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5",
    };
    bytes(&format!("{head} {login}"), name)
}

fn version(name: &str) -> Version {
    match name {
        "3.1" => Version::V31,
        "3.1.1" => Version::V311,
        "5" => Version::V5,
        _ => panic!("no such version: {name}"),
    }
}

fn bytes(text: &str, version: &str) -> Vec<u8> {
    let login = |password: &str| format!("\"{}\" \"{password}\"", user("sensor01"));
    let text = text
        .replace("$login", &login(password("sensor01")))
        .replace("$stranger", &login(WRONG_PASSWORD));
    notation::bytes(&text, notation::version(version), &[])
}

impl Script {
    /// Sends what is to be sent and compares what is told.
    pub(super) fn run(&self, peer: &Peer<'_>, way: Way, arrival: Arrival) -> Result<(), Failure> {
        let mut client = peer.open(way, self.version);
        let connect = self.connect.clone();
        let connect = connect.unwrap_or_else(|| log_in(self.version));
        let mut expected: Vec<&str> = Vec::new();
        if self.connect.is_none() {
            expected.push("CONNACK 00");
        }
        let ends = matches!(self.steps.last(), Some(Step::Server(last)) if last == "closed");

        if arrival == Arrival::Glued {
            let mut all = connect;
            for step in &self.steps {
                match step {
                    Step::Client(packet) => all.extend(packet),
                    Step::Server(answer) => expected.push(answer),
                }
            }
            client.send(&all);
            check(&mut client, &expected)?;
        } else {
            arrival.send(&mut client, &connect);
            for step in &self.steps {
                match step {
                    Step::Client(packet) => {
                        check(&mut client, &std::mem::take(&mut expected))?;
                        arrival.send(&mut client, packet);
                    }
                    Step::Server(answer) => expected.push(answer),
                }
            }
            check(&mut client, &expected)?;
        }
        if ends {
            return Ok(());
        }
        client.send(&[0xC0, 0]);
        check(&mut client, &["PINGRESP"])
    }
}

/// Reads as many answers as are expected.
fn check(client: &mut Client, expected: &[&str]) -> Result<(), Failure> {
    let mut told = Vec::new();
    for answer in expected {
        let received = match client.receive_or_silence() {
            Some(Received::Packet(packet)) => describe(&packet, client.version()),
            Some(Received::Closed) => "closed".to_owned(),
            None => "nothing".to_owned(),
        };
        let is_end = received == "closed" || received == "nothing";
        let differs = received != *answer;
        told.push(received);
        if differs || is_end {
            break;
        }
    }
    if told.iter().eq(expected.iter()) {
        return Ok(());
    }
    Err(Failure {
        expected: expected.join(" | "),
        told: told.join(" | "),
    })
}

/// What a script calls a packet of the server.
pub(super) fn describe(packet: &Packet, version: Version) -> String {
    let with_id = |name: &str| match packet.reason() {
        0 => format!("{name} {}", packet.id()),
        reason => format!("{name} {} {reason:02X}", packet.id()),
    };
    let with_codes = |name: &str| {
        let codes = packet.granted(version).iter();
        let codes: String = codes.map(|code| format!(" {code:02X}")).collect();
        format!("{name} {}{codes}", packet.id())
    };
    match packet.kind() {
        kind::CONNACK => format!("CONNACK {:02X}", packet.reason()),
        kind::PUBACK => with_id("PUBACK"),
        kind::PUBREC => with_id("PUBREC"),
        kind::PUBCOMP => with_id("PUBCOMP"),
        kind::SUBACK => with_codes("SUBACK"),
        11 if version.is_5() => with_codes("UNSUBACK"),
        11 => format!("UNSUBACK {}", packet.id()),
        kind::PINGRESP => "PINGRESP".to_owned(),
        kind::DISCONNECT => format!("DISCONNECT {:02X}", packet.reason()),
        other => format!("type {other}"),
    }
}
