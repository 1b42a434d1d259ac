//! MQTT in WebSocket (MQTT 5, 6; RFC 6455): the HTTP upgrade, and the byte stream inside.

mod stream;
mod upgrade;

pub(super) use upgrade::{UpgradeError, Upgrader, upgrade};
