//! Landfall as devices, consumers and operators meet it: the real binary, real sockets, and
//! clients that know nothing of its code. What each test expects is the contract, never the
//! implementation.
//!
//! `harness` starts servers and waits for conditions, `wire` is a raw MQTT client, `tools` runs
//! stock clients. Everything else is one module per behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this program consists of tests, and a failed expectation is their way to report"
)]

mod harness;
mod tools;
mod wire;

// The codec's cases and their notation, which the whole server is held to as well.
#[allow(dead_code, reason = "the codec's own tests use more of it")]
#[path = "../../endpoint/protocol/tests/codec/case.rs"]
mod case;
#[path = "../../endpoint/protocol/tests/codec/notation.rs"]
#[allow(dead_code, reason = "the codec's own tests use more of it")]
mod notation;

mod abuse;
mod answers;
mod api_tls;
mod aws;
mod bulk;
mod certificates;
mod cli;
mod cli_events;
mod cluster;
mod cluster_commands;
mod cluster_directory;
mod cluster_events;
mod cluster_hang;
mod cluster_held;
mod cluster_outages;
mod command_queues;
mod commands;
mod conformance;
mod connecting;
mod connection_events;
mod console;
mod crash;
mod credentials;
mod crowd;
mod demo;
mod deploy;
mod dialect_clients;
mod disk;
mod doctor;
mod documentation;
mod edges;
mod event_format;
mod events_api;
mod faults;
mod gateways;
mod held;
mod hostile;
mod hubs;
mod instances;
mod kafka_commands;
mod kill;
mod legacy_rsa;
mod limits;
mod malformed;
mod management;
mod metrics;
mod mosquitto_commands;
mod mosquitto_publish;
mod mqtt_commands;
mod mqtt_sink;
mod nats_commands;
mod octopus;
mod openapi;
mod ops;
mod outages;
mod paho;
mod plain_topic;
mod pre_shared_keys;
mod recipes;
mod registry_api;
mod revocation;
mod rolling_restart;
mod rules;
mod sdk;
mod secured_sinks;
mod secured_sources;
mod sinks;
mod soak;
mod stop;
mod take_over;
mod throttling;
mod tls;
mod traces;
mod watson;
mod web_clients;
mod websocket;
mod wills;
