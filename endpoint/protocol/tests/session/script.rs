//! Runs the scripts of `tests/data/session/`; its README explains them.

use std::num::{NonZeroU16, NonZeroU32};

use landfall_protocol::{Limits, PacketId, QoS, ReasonCode, Version};

use crate::notation;
use crate::peer::Peer;

const FILES: [(&str, &str); 7] = [
    ("connect", include_str!("../data/session/connect.txt")),
    ("publish", include_str!("../data/session/publish.txt")),
    (
        "exactly_once",
        include_str!("../data/session/exactly_once.txt"),
    ),
    ("alias", include_str!("../data/session/alias.txt")),
    ("subscribe", include_str!("../data/session/subscribe.txt")),
    ("deliver", include_str!("../data/session/deliver.txt")),
    ("close", include_str!("../data/session/close.txt")),
];

struct Script<'t> {
    name: &'t str,
    steps: Vec<(&'t str, &'t str)>,
}

/// How the client's bytes arrive.
#[derive(Clone, Copy, Debug)]
enum Arrival {
    Whole,
    ByteByByte,
}

fn scripts(text: &str) -> Vec<Script<'_>> {
    let mut scripts: Vec<Script<'_>> = Vec::new();
    let mut open = false;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.trim().is_empty() {
            open = false;
        } else if open {
            let step = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no step: {line}"));
            scripts
                .last_mut()
                .unwrap()
                .steps
                .push((step.0, step.1.trim()));
        } else {
            scripts.push(Script {
                name: line,
                steps: Vec::new(),
            });
            open = true;
        }
    }
    scripts
}

fn version(name: &str) -> Version {
    let versions = [Version::V31, Version::V311, Version::V5];
    versions
        .into_iter()
        .find(|v| v.as_str() == name)
        .expect("a version")
}

fn run_file(file: &str) {
    let (_, text) = FILES.iter().find(|(name, _)| *name == file).unwrap();
    let scripts = scripts(text);
    assert!(!scripts.is_empty());
    for script in &scripts {
        let (field, versions) = script.steps[0];
        assert_eq!(field, "versions", "{}", script.name);
        for name in versions.split_whitespace() {
            for arrival in [Arrival::Whole, Arrival::ByteByByte] {
                Run::new(script, version(name), arrival).run();
            }
        }
    }
}

struct Run<'t> {
    script: &'t Script<'t>,
    version: Version,
    arrival: Arrival,
    peer: Peer,
}

impl<'t> Run<'t> {
    fn new(script: &'t Script<'t>, version: Version, arrival: Arrival) -> Self {
        Self {
            script,
            version,
            arrival,
            peer: Peer::new(Limits::default()),
        }
    }

    fn run(mut self) {
        for (step, argument) in &self.script.steps[1..] {
            self.step(step, argument);
        }
        let left = self.peer.received();
        assert!(
            left.is_empty(),
            "{}: not asked about: {left:02X?}",
            self.context()
        );
        assert!(
            self.peer.events.is_empty(),
            "{}: {:?}",
            self.context(),
            self.peer.events
        );
    }

    fn context(&self) -> String {
        format!(
            "{} ({}, {:?})",
            self.script.name,
            self.version.as_str(),
            self.arrival
        )
    }

    fn bytes(&self, notation: &str) -> Vec<u8> {
        let packets = notation.split(" | ");
        packets
            .flat_map(|packet| notation::bytes(packet, self.version, &[]))
            .collect()
    }

    fn step(&mut self, step: &str, argument: &str) {
        match step {
            "limits" => self.set_limits(argument),
            "connected" => self.connect(argument),
            "client" => self.send(argument),
            "event" => {
                assert!(
                    !self.peer.events.is_empty(),
                    "{}: no event {argument}",
                    self.context()
                );
                let event = self.peer.events.remove(0);
                assert_eq!(event.trim_end(), argument, "{}", self.context());
            }
            "caller" => self.call(argument),
            "server" => {
                let expected = self.bytes(argument);
                let received = self.peer.received();
                assert_eq!(hex(&received), hex(&expected), "{}", self.context());
            }
            "wait" => self.peer.wait(argument.parse().unwrap()),
            "closed" => assert_eq!(self.peer.ending(), argument, "{}", self.context()),
            _ => panic!("{}: no such step: {step}", self.context()),
        }
    }

    fn set_limits(&mut self, argument: &str) {
        for setting in argument.split_whitespace() {
            let (name, value) = setting.split_once('=').unwrap();
            let limits = &mut self.peer.limits;
            match name {
                "packet" => {
                    limits.maximum_packet_size = NonZeroU32::new(value.parse().unwrap()).unwrap();
                }
                "receive" => {
                    limits.receive_maximum = NonZeroU16::new(value.parse().unwrap()).unwrap();
                }
                "send" => limits.send_maximum = NonZeroU16::new(value.parse().unwrap()).unwrap(),
                "aliases" => limits.topic_alias_maximum = value.parse().unwrap(),
                "keep-alive" => limits.maximum_keep_alive = value.parse().unwrap(),
                "acknowledge-refused" => limits.acknowledge_refused = value.parse().unwrap(),
                _ => panic!("no such limit: {name}"),
            }
        }
    }

    /// A client connects; what it and the server say is not looked at. `argument`: keep-alive in
    /// seconds, then properties of CONNECT.
    fn connect(&mut self, argument: &str) {
        let (keep_alive, properties) = argument.split_once(' ').unwrap_or((argument, ""));
        let keep_alive: u16 = if keep_alive.is_empty() {
            0
        } else {
            keep_alive.parse().unwrap()
        };
        let head = match self.version {
            Version::V31 => "\"MQIsdp\" 03",
            Version::V311 => "\"MQTT\" 04",
            Version::V5 => "\"MQTT\" 05",
        };
        let connect = format!("10 * {head} 02 {keep_alive:04X} 5({{{properties}}}) \"dev\"");
        let connect = self.bytes(&connect);
        self.peer.send(&connect);
        self.peer.accept(None);
        self.peer.received();
        self.peer.events.clear();
    }

    fn send(&mut self, argument: &str) {
        let bytes = self.bytes(argument);
        match self.arrival {
            Arrival::Whole => self.peer.send(&bytes),
            Arrival::ByteByByte => bytes.chunks(1).for_each(|byte| self.peer.send(byte)),
        }
    }

    fn call(&mut self, argument: &str) {
        let words: Vec<_> = argument.split_whitespace().collect();
        let code = |at: usize| ReasonCode(notation::hex(words[at])[0]);
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let id = |at: usize| PacketId::new(words[at].parse().unwrap()).unwrap();
        match words[0] {
            "accept" => self.peer.accept(words.get(1).copied()),
            "refuse" => self.peer.session.refuse(code(1), None),
            "accepted" => self.peer.accepted(number(1)),
            "refuse-publish" => {
                let text = (words.len() > 3).then(|| words[3..].join(" ").into());
                self.peer.session.refuse_publish(number(1), code(2), text);
            }
            "suback" => {
                let mut codes: Vec<_> = (2..words.len()).map(code).collect();
                self.peer.session.suback(id(1), &mut codes);
            }
            "unsuback" => {
                let codes: Vec<_> = (2..words.len()).map(code).collect();
                self.peer.session.unsuback(id(1), &codes);
            }
            "deliver" => {
                let qos = if words[1] == "1" {
                    QoS::AtLeastOnce
                } else {
                    QoS::AtMostOnce
                };
                let result = self
                    .peer
                    .deliver(words[3], words[4].as_bytes(), qos, number(2));
                let expected = words
                    .get(5)
                    .map_or("Ok(())".into(), |e| format!("Err({e})"));
                assert_eq!(result, expected, "{}", self.context());
            }
            "close" => self.peer.session.close(code(1)),
            "pause" => self.peer.session.set_reading(self.peer.now, false),
            "resume" => self.peer.session.set_reading(self.peer.now, true),
            other => panic!("{}: no such call: {other}", self.context()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X} ")).collect()
}

#[test]
fn connect_scripts_hold() {
    run_file("connect");
}

#[test]
fn publish_scripts_hold() {
    run_file("publish");
}

#[test]
fn exactly_once_scripts_hold() {
    run_file("exactly_once");
}

#[test]
fn alias_scripts_hold() {
    run_file("alias");
}

#[test]
fn subscribe_scripts_hold() {
    run_file("subscribe");
}

#[test]
fn deliver_scripts_hold() {
    run_file("deliver");
}

#[test]
fn close_scripts_hold() {
    run_file("close");
}
