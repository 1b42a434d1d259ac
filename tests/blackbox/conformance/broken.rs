//! The codec's cases of refused packets, sent by a client that is logged in or is about to.

use landfall_protocol::Version as Of;

use super::script::{Script, Step};
use crate::case::{self, Case, Expected, Sender};
use crate::wire::Version;

/// A script for each of them.
pub(super) fn scripts() -> Vec<Script> {
    case::all().iter().filter_map(script).collect()
}

fn script(case: &Case) -> Option<Script> {
    let Expected::Refused(error) = &case.expected else {
        return None;
    };
    // What has not arrived whole, and is no error yet, is waited for; a limit of the case's own is not
    // that of the server.
    if case.maximum != u32::MAX {
        return None;
    }
    let version = match case.version {
        Of::V31 => Version::V31,
        Of::V311 => Version::V311,
        Of::V5 => Version::V5,
    };
    let closed = || Step::Server("closed".to_owned());
    let (connect, steps) = match case.sender {
        Sender::Server => return None,
        // [MQTT-3.1.4-1]: closed, and only an unknown version is answered.
        Sender::Connecting => {
            let level = error.strip_prefix("UnsupportedVersion { level: ");
            let told = level.map(|level| match level.trim_end_matches(" }") {
                "00" | "01" | "02" | "03" | "04" | "05" => "CONNACK 01",
                _ => "CONNACK 84",
            });
            let told = told.map(|answer| Step::Server(answer.to_owned()));
            let steps = told.into_iter().chain([closed()]).collect();
            (Some(case.bytes.clone()), steps)
        }
        Sender::Client => {
            let mut steps = vec![Step::Client(case.bytes.clone())];
            if version.is_5() {
                steps.push(Step::Server(format!("DISCONNECT {:02X}", reason(error))));
            }
            steps.push(closed());
            (None, steps)
        }
    };
    Some(Script {
        name: case.name.clone(),
        version,
        connect,
        steps,
        in_turn: false,
    })
}

/// The reason of DISCONNECT (MQTT 5, 4.13) for an error of the codec.
fn reason(error: &str) -> u8 {
    match error {
        "Protocol(TopicAlias)" => 0x94,
        _ if error.starts_with("Protocol(") => 0x82,
        _ if error.starts_with("TooLarge") => 0x95,
        _ => 0x81,
    }
}
