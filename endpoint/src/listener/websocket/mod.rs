//! MQTT in WebSocket (MQTT 5, 6; RFC 6455): the HTTP upgrade (`upgrade`), frames (`decoder`), and the
//! byte stream inside (`stream`).

mod decoder;
mod stream;
mod upgrade;

pub(super) use upgrade::{UpgradeError, Upgrader, upgrade};
