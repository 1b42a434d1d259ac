//! Stock clients, run as the processes that users run.

pub(crate) mod authority;
pub(crate) mod broker;
pub(crate) mod kafka;
pub(crate) mod mosquitto;
pub(crate) mod node;
pub(crate) mod paho;
pub(crate) mod postgres;
