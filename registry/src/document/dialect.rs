//! `spec.mqtt.dialect`: which topic API a device speaks.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::duration;
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
    /// `watsonIoT`: devices and gateways of IBM Watson IoT Platform. Devices are named
    /// `{type}:{device}`.
    #[serde(rename = "watsonIoT")]
    WatsonIot {
        /// Whether devices are registered when a gateway first speaks for them; they are not, if
        /// `None`.
        #[serde(skip_serializing_if = "Option::is_none")]
        auto_register: Option<AutoRegister>,
    },
    /// `azureIotHub`: devices of Azure IoT Hub.
    #[serde(rename = "azureIotHub")]
    AzureIotHub,
    /// `hono`: devices of Eclipse Hono's MQTT adapter.
    #[serde(rename = "hono")]
    Hono,
}

/// How devices are registered that a gateway speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoRegister {
    /// Whether another gateway is added to a device that was registered so when it first speaks for
    /// it. Devices made by hand keep their gateways.
    pub roaming: bool,
    /// Registrations of one connection that may be under way at once, 1 to 100.
    pub max_pending: u32,
    /// Devices that one connection may speak for, 1 to 100,000; its own does not count.
    pub max_active: u32,
    /// Devices of the application beyond which none is registered, however made; no bound, if
    /// `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_devices: Option<u32>,
    /// How long a device that could not be registered is refused without another attempt, up to an
    /// hour.
    #[serde(serialize_with = "milliseconds")]
    pub retry_pause: Duration,
}

impl Default for AutoRegister {
    /// What the service documents, and a pause of 30 seconds for its "short period of time".
    fn default() -> Self {
        Self {
            roaming: false,
            max_pending: 10,
            max_active: 500,
            max_devices: None,
            retry_pause: Duration::from_secs(30),
        }
    }
}

const TYPES: &str = "drogue/v1, plainTopic, watsonIoT, azureIotHub, hono";
pub(super) const EXAMPLE: &str = "{ dialect: { type: plainTopic, devicePrefix: true } }";

impl DialectSpec {
    /// The name by which documents choose it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            DialectSpec::DrogueV1 => "drogue/v1",
            DialectSpec::PlainTopic { .. } => "plainTopic",
            DialectSpec::WatsonIot { .. } => "watsonIoT",
            DialectSpec::AzureIotHub => "azureIotHub",
            DialectSpec::Hono => "hono",
        }
    }

    pub(super) fn read(value: Value, at: &At<'_>) -> Option<DialectSpec> {
        let mut fields = Fields::open(value, at, EXAMPLE)?;
        let kind = fields.required("type", "drogue/v1", |value, at| {
            string(value, at, "drogue/v1")
        })?;
        let dialect = match kind.as_str() {
            "drogue/v1" => DialectSpec::DrogueV1,
            "plainTopic" => DialectSpec::PlainTopic {
                device_prefix: fields.optional("devicePrefix", boolean).unwrap_or_default(),
            },
            "watsonIoT" => DialectSpec::WatsonIot {
                auto_register: fields.optional("autoRegister", AutoRegister::read),
            },
            "azureIotHub" => DialectSpec::AzureIotHub,
            "hono" => DialectSpec::Hono,
            other => {
                let reason = format!("{} is not a dialect; there are {TYPES}", quote(other));
                return at.key("type").refuse(reason, "plainTopic");
            }
        };
        fields.close();
        Some(dialect)
    }
}

impl AutoRegister {
    fn read(value: Value, at: &At<'_>) -> Option<AutoRegister> {
        let mut fields = Fields::open(value, at, "{ roaming: true }")?;
        let default = AutoRegister::default();
        let roaming = fields.optional("roaming", boolean);
        let max_pending = fields.optional("maxPending", |value, at| whole(&value, at, 100));
        let max_active = fields.optional("maxActive", |value, at| whole(&value, at, 100_000));
        let max_devices = fields.optional("maxDevices", |value, at| whole(&value, at, u32::MAX));
        let retry_pause = fields.optional("retryPause", pause);
        fields.close();
        Some(AutoRegister {
            roaming: roaming.unwrap_or(default.roaming),
            max_pending: max_pending.unwrap_or(default.max_pending),
            max_active: max_active.unwrap_or(default.max_active),
            max_devices,
            retry_pause: retry_pause.unwrap_or(default.retry_pause),
        })
    }
}

fn whole(value: &Value, at: &At<'_>, most: u32) -> Option<u32> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number {
        Some(number) if (1..=most).contains(&number) => Some(number),
        _ => at.refuse(format!("must be a whole number from 1 to {most}"), "500"),
    }
}

fn pause(value: Value, at: &At<'_>) -> Option<Duration> {
    const MOST: Duration = Duration::from_secs(3_600);
    let text = string(value, at, "30s")?;
    match duration::parse(&text) {
        Some(pause) if pause <= MOST => Some(pause),
        _ => at.refuse("must be a duration of up to an hour", "30s"),
    }
}

fn milliseconds<S: Serializer>(pause: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{}ms", pause.as_millis()))
}
