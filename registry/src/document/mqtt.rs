//! `spec.mqtt` of applications and devices: how devices speak.

use serde::Serialize;
use serde_json::Value;

use super::dialect::{DialectSpec, EXAMPLE};
use super::reader::{At, Fields, quote, string};

/// `spec.mqtt`. What is left out, the application says, or the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mqtt {
    /// The topic API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<DialectSpec>,
    /// How payloads are written on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_encoding: Option<PayloadEncoding>,
}

/// How payloads are written on the wire, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PayloadEncoding {
    /// As they are.
    #[default]
    Raw,
    /// In Base64 (RFC 4648, section 4): publishes and wills are decoded before they become events,
    /// commands are encoded.
    Base64,
}

impl Mqtt {
    pub(crate) fn is_empty(&self) -> bool {
        self.dialect.is_none() && self.payload_encoding.is_none()
    }

    pub(crate) fn read(value: Value, at: &At<'_>) -> Option<Mqtt> {
        let mut fields = Fields::open(value, at, EXAMPLE)?;
        let dialect = fields.optional("dialect", DialectSpec::read);
        let payload_encoding = fields.optional("payloadEncoding", payload_encoding);
        fields.close();
        Some(Mqtt {
            dialect,
            payload_encoding,
        })
    }
}

fn payload_encoding(value: Value, at: &At<'_>) -> Option<PayloadEncoding> {
    match string(value, at, "base64")?.as_str() {
        "raw" => Some(PayloadEncoding::Raw),
        "base64" => Some(PayloadEncoding::Base64),
        other => {
            let reason = format!(
                "{} is not a payload encoding; there are raw, base64",
                quote(other)
            );
            at.refuse(reason, "base64")
        }
    }
}
