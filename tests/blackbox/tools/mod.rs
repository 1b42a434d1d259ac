//! Stock clients, run as the processes that users run.

pub(crate) mod mosquitto;
pub(crate) mod paho;
