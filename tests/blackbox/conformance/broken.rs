//! The codec's cases of refused packets, sent by a client that is logged in or is about to.

use super::script::{Script, Step, of};
use crate::case::{self, Case, Expected, Sender};

/// A script for each of those that are refused whatever the maximum, or with one of these.
pub(super) fn scripts(maximums: &[u32]) -> Vec<Script> {
    let cases = case::all();
    let cases = cases.iter();
    let cases = cases.filter(|case| maximums.contains(&case.maximum));
    cases.filter_map(script).collect()
}

fn script(case: &Case) -> Option<Script> {
    let Expected::Refused(error) = &case.expected else {
        return None;
    };
    let version = of(case.version);
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
