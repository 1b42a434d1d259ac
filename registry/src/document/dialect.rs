//! `spec.mqtt.dialect`: which topic API a device speaks.

use serde::Serialize;
use serde_json::Value;

use super::reader::{At, Fields, boolean, quote, string};

/// A topic API with its options, as in Drogue Cloud's "MQTT dialects".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum DialectSpec {
    /// `drogue/v1`: `channel` and `channel/device` topics.
    #[default]
    #[serde(rename = "drogue/v1")]
    DrogueV1,
    /// `plainTopic`: the whole topic is the channel.
    #[serde(rename = "plainTopic")]
    PlainTopic {
        /// Whether the first segment of the topic names the device.
        device_prefix: bool,
    },
}

const TYPES: &str = "drogue/v1, plainTopic";
pub(super) const EXAMPLE: &str = "{ dialect: { type: plainTopic, devicePrefix: true } }";

impl DialectSpec {
    /// The name by which documents choose it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            DialectSpec::DrogueV1 => "drogue/v1",
            DialectSpec::PlainTopic { .. } => "plainTopic",
        }
    }

    pub(super) fn read(value: Value, at: &At<'_>) -> Option<DialectSpec> {
        let mut fields = Fields::open(value, at, EXAMPLE)?;
        let kind = fields.required("type", "drogue/v1", |value, at| {
            string(value, at, "drogue/v1")
        })?;
        let dialect = match kind.as_str() {
            "drogue/v1" => Some(DialectSpec::DrogueV1),
            "plainTopic" => {
                let device_prefix = fields.optional("devicePrefix", boolean).unwrap_or_default();
                Some(DialectSpec::PlainTopic { device_prefix })
            }
            other => {
                let reason = format!("{} is not a dialect; there are {TYPES}", quote(other));
                return at.key("type").refuse(reason, "plainTopic");
            }
        };
        fields.close();
        dialect
    }
}
