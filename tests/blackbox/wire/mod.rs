//! A raw MQTT client: it says exactly what a test tells it to, right or wrong.
//!
//! Encoding and decoding are the tests' own, so that they share no mistake with the server.

pub(crate) mod client;
pub(crate) mod encode;
pub(crate) mod fragment;
pub(crate) mod load;
pub(crate) mod packet;
pub(crate) mod secure;

pub(crate) use client::Client;
pub(crate) use encode::{Connect, Publish, Subscribe, Will};
pub(crate) use packet::{Packet, Received};

/// The protocol versions, with the level that CONNECT carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V31 = 3,
    V311 = 4,
    V5 = 5,
}

impl Version {
    pub(crate) const ALL: [Self; 3] = [Self::V31, Self::V311, Self::V5];

    pub(crate) fn is_5(self) -> bool {
        self == Self::V5
    }
}

/// Packet types: the upper four bits of the first byte.
pub(crate) mod kind {
    pub(crate) const CONNACK: u8 = 2;
    pub(crate) const PUBLISH: u8 = 3;
    pub(crate) const PUBACK: u8 = 4;
    pub(crate) const PUBREC: u8 = 5;
    pub(crate) const PUBCOMP: u8 = 7;
    pub(crate) const SUBACK: u8 = 9;
    pub(crate) const PINGRESP: u8 = 13;
    pub(crate) const DISCONNECT: u8 = 14;
}
