//! `[log]`: the process's own log, on standard error. Events are not in it.

use serde::{Deserialize, Deserializer, de::Error};
use tracing_subscriber::EnvFilter;

/// How much is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `human` (default) or `json`, one object a line.
    pub format: LogFormat,
    /// Least level: `error`, `warn`, `info` (default), `debug` or `trace`; or filters by module as
    /// `warn,landfall::auth=debug`. Danger: `debug` and `trace` log for every packet.
    #[serde(deserialize_with = "level")]
    pub level: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// For machines: one JSON object a line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".to_owned(),
        }
    }
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let level = String::deserialize(deserializer)?;
    match EnvFilter::try_new(&level) {
        Ok(_) => Ok(level),
        Err(error) => Err(D::Error::custom(format_args!(
            "`{level}` is no log level: write error, warn, info, debug or trace ({error})"
        ))),
    }
}
