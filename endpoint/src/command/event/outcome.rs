//! What became of a command, as a CloudEvent.

use bytes::Bytes;
use landfall_events::event::{Origin, OriginParts, Timestamp};
use serde_json::json;

use super::CommandEvent;
use crate::command::{CommandError, CommandReport, Told};

/// The type of outcome events.
const OUTCOME: &str = "io.drogue.command.outcome.v1";
/// The source of an outcome whose command names no device.
pub(super) const UNKNOWN_SOURCE: &str = "urn:landfall:commands";

/// What became of a command, as a CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::command) struct OutcomeEvent {
    /// Attributes but the content type of the data.
    pub(in crate::command) attributes: Vec<(&'static str, String)>,
    /// The content type of the data.
    pub(in crate::command) content_type: String,
    /// The outcome in JSON, or what the device answered.
    pub(in crate::command) data: Bytes,
}

impl OutcomeEvent {
    /// The outcome of the command that `event` asked for.
    pub(in crate::command) fn of(
        event: &CommandEvent,
        result: &Result<CommandReport, CommandError>,
        instance: &str,
    ) -> Self {
        let (outcome, content_type, data) = match result {
            Ok(report) => match &report.answer {
                Some(answer) => (
                    report.outcome.as_str(),
                    answer.content_type().to_owned(),
                    answer.payload.clone(),
                ),
                None => (report.outcome.as_str(), json_type(), told(report)),
            },
            Err(error) => (error.as_str(), json_type(), failure(error)),
        };
        let source = event.addressee().map(|(application, device)| {
            let names = (device, "");
            let origin = Origin::new(OriginParts {
                instance,
                application: (application, ""),
                device: names,
                sender: names,
            });
            origin.source().to_owned()
        });
        let now = Timestamp::now().rfc3339();
        let mut attributes = vec![
            ("specversion", "1.0".to_owned()),
            ("type", OUTCOME.to_owned()),
            ("id", uuid::Uuid::now_v7().to_string()),
            ("time", String::from_utf8_lossy(&now).into_owned()),
            (
                "source",
                source.unwrap_or_else(|| UNKNOWN_SOURCE.to_owned()),
            ),
            ("instance", instance.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        // What the command said, so that its sender knows which one is meant.
        for (own, of_command) in [
            ("subject", "subject"),
            ("application", "application"),
            ("device", "device"),
            ("commandid", "id"),
            ("commandsource", "source"),
            ("traceparent", "traceparent"),
            ("tracestate", "tracestate"),
        ] {
            if let Some(value) = event.get(of_command) {
                attributes.push((own, value.to_owned()));
            }
        }
        Self {
            attributes,
            content_type,
            data,
        }
    }
}

fn json_type() -> String {
    "application/json".to_owned()
}

fn told(report: &CommandReport) -> Bytes {
    serde_json::to_vec(&Told::of(report))
        .unwrap_or_default()
        .into()
}

fn failure(error: &CommandError) -> Bytes {
    let failure = json!({ "error": error.as_str(), "message": error.to_string() });
    failure.to_string().into()
}
