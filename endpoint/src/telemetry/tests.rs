//! Lines that are bounded.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use landfall_events::event::Timestamp;
use landfall_protocol::{ReasonCode, Version};
use landfall_registry::RegisterError;
use serde_json::Value;

use super::*;
use crate::auth::{Attempt, Throttled};
use crate::connection::{Identity, Link};
use crate::listener::{Carrier, Peer};

#[test]
fn lines_that_others_can_cause_are_bounded_and_tell_how_many_were_left_out() {
    let telemetry = Telemetry::new().unwrap();
    let link = link();
    for (text, budget, emit) in kinds() {
        let budget = budget(&telemetry.lines);
        let lines = logged(|| {
            for _ in 0..1_000 {
                emit(&telemetry, &link);
            }
        });
        assert_eq!(lines.len(), 200, "{text}");
        assert_eq!(lines[0]["fields"]["message"], text);

        budget.pass_window();
        let later = logged(|| {
            emit(&telemetry, &link);
            emit(&telemetry, &link);
        });
        let left_out: Vec<_> = later
            .iter()
            .map(|line| &line["fields"]["left_out"])
            .collect();
        assert_eq!(left_out, [&Value::from(800), &Value::Null], "{text}");
    }
}

/// The text of a line, its budget, and an event that has one.
type Kind = (
    &'static str,
    fn(&Lines) -> &LineBudget,
    fn(&Telemetry, &Link),
);

fn kinds() -> [Kind; 8] {
    [
        (
            "handshake failed",
            |lines| &lines.handshakes,
            |telemetry, _| {
                let failed = HandshakeFailed {
                    peer: Peer::Local,
                    transport: Carrier::Tls,
                    stage: Stage::Tls,
                    cause: "none".to_owned(),
                };
                failed.emit(telemetry);
            },
        ),
        (
            "WebSocket rules broken",
            |lines| &lines.web_sockets,
            |telemetry, _| {
                let broken = WebSocketBroken {
                    peer: Peer::Local,
                    code: 1_002,
                    cause: "none",
                };
                broken.emit(telemetry);
            },
        ),
        (
            "too many log-ins failed: further ones wait",
            |lines| &lines.throttled,
            |telemetry, _| {
                let attempt = Attempt {
                    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    application: "app",
                    device: "device",
                    connected: false,
                };
                let throttled = Throttled::Device { first: true };
                LogInThrottled { attempt, throttled }.emit(telemetry);
            },
        ),
        (
            "connect refused",
            |lines| &lines.connects,
            |telemetry, _| {
                let refused = ConnectRefused {
                    peer: Peer::Local,
                    who: None,
                    outcome: LogInOutcome::Credentials,
                    method: LogInMethod::None,
                    cause: "none".to_owned(),
                };
                refused.emit(telemetry);
            },
        ),
        (
            "publish refused",
            |lines| &lines.publishes,
            |telemetry, link| {
                let (cause, first) = ("bad_topic", true);
                PublishRefused { link, cause, first }.emit(telemetry);
            },
        ),
        (
            "will dropped",
            |lines| &lines.wills,
            |telemetry, link| {
                let cause = "superseded";
                WillDropped { link, cause }.emit(telemetry);
            },
        ),
        (
            "subscription refused",
            |lines| &lines.subscriptions,
            |telemetry, link| {
                let reason = ReasonCode::NOT_AUTHORIZED;
                SubscriptionRefused { link, reason }.emit(telemetry);
            },
        ),
        (
            "device not registered",
            |lines| &lines.registrations,
            |telemetry, link| {
                let registered = DeviceRegistered {
                    link,
                    device: "device",
                    error: Some(&RegisterError::TooMany),
                };
                registered.emit(telemetry);
            },
        ),
    ]
}

fn link() -> Link {
    let identity = Identity {
        application: "app".into(),
        device: "gateway".into(),
        client_id: "c".into(),
        peer: Peer::Local,
        transport: Carrier::Unix,
        version: Version::V5,
        since: Timestamp::now(),
        epoch: 1,
        credential: None,
    };
    Link::new(identity, 1)
}

/// What is logged meanwhile at `info` and above.
fn logged(work: impl FnOnce()) -> Vec<Value> {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let written = written.0.lock().unwrap();
    let lines = written.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
