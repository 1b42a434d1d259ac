//! The little MQTT that a load client needs: packets encoded once, replies scanned in place.
//!
//! It shares no code with the server under test, so that neither can hide the other's mistake.

mod encode;
mod payload;
mod scan;
mod train;

pub(crate) use encode::{
    Connect, DISCONNECT, PINGREQ, puback, pubcomp, publish, pubrec, pubrel, subscribe,
};
pub(crate) use payload::Payload;
pub(crate) use scan::{Ack, Reply, Scanner};
pub(crate) use train::Train;

use clap::ValueEnum;
use serde::Serialize;

/// Protocol version that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
pub(crate) enum Version {
    /// MQTT 3.1 (`MQIsdp`, level 3).
    #[value(name = "3.1")]
    #[serde(rename = "3.1")]
    V31,
    /// MQTT 3.1.1 (level 4).
    #[value(name = "3.1.1")]
    #[serde(rename = "3.1.1")]
    V311,
    /// MQTT 5 (level 5).
    #[value(name = "5")]
    #[serde(rename = "5")]
    V5,
}

/// Quality of service of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, ValueEnum, Serialize)]
#[expect(clippy::enum_variant_names, reason = "the specification's names")]
pub(crate) enum Qos {
    #[value(name = "0")]
    #[serde(rename = "0")]
    AtMostOnce,
    #[value(name = "1")]
    #[serde(rename = "1")]
    AtLeastOnce,
    #[value(name = "2")]
    #[serde(rename = "2")]
    ExactlyOnce,
}

impl Qos {
    /// The two bits that stand in a PUBLISH header or a SUBSCRIBE option.
    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::AtLeastOnce => 1,
            Self::ExactlyOnce => 2,
        }
    }
}
