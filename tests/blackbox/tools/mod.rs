//! Stock clients, run as the processes that users run.

pub(crate) mod authority;
pub(crate) mod broker;
pub(crate) mod browser;
pub(crate) mod certificates;
pub(crate) mod front;
pub(crate) mod kafka;
pub(crate) mod mosquitto;
pub(crate) mod nats;
pub(crate) mod nats_accounts;
pub(crate) mod node;
pub(crate) mod openssl;
pub(crate) mod paho;
pub(crate) mod postgres;
pub(crate) mod relay;
pub(crate) mod sasl;
pub(crate) mod tunnel;
