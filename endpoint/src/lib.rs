//! Landfall: a device-facing MQTT endpoint.
//!
//! Two flows meet in [`connection`]:
//!
//! - up: bytes → packet → session → [`dialect`] → gateway rule → event → [`rules`] → [`sinks`] →
//!   acknowledgement;
//! - down: [`api`] → [`command`] hub → session → device → outcome.
//!
//! [`server`] opens and drains the process, [`listener`] accepts, [`auth`] reads the identity a
//! client claims, [`sessions`] knows who is connected, [`alarm`] wakes them when their time has come, [`records`] what is due if the process dies,
//! [`telemetry`] counts and logs.

pub mod alarm;
pub mod api;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod command;
pub mod config;
pub mod connection;
mod demo;
pub mod dialect;
pub mod endpoints;
pub mod listener;
pub mod log;
pub mod own_file;
pub mod percent;
pub mod records;
pub mod rules;
pub mod server;
pub mod sessions;
pub mod sinks;
pub mod telemetry;
