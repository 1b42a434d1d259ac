//! The process's own log, on standard error, and its level, which can be changed while it runs; lines
//! that come again and again are bounded (`repeats`), or said once (`trouble`).
//!
//! There is one log in a process, as there is one standard error: what belongs to it is static.

mod repeats;
mod trouble;

use std::{
    io::{self, IsTerminal as _},
    sync::{LazyLock, Mutex, OnceLock, PoisonError},
};

use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use crate::config::{LogConfig, LogFormat};

use repeats::Repeats;
pub use trouble::Trouble;

/// Set once, when the log is started.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    /// What it was started with.
    configured: String,
    current: Mutex<String>,
}

/// What the log leaves out.
static REPEATS: LazyLock<Repeats> = LazyLock::new(Repeats::default);

/// Longest level that can be set, in bytes: room for filters of many modules.
const MOST_LEVEL: usize = 1_024;

/// Why the log cannot be started, or its level not be changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No level, and no list of filters.
    #[error("`{level}` is no log level: write error, warn, info, debug or trace ({reason})")]
    Level {
        /// What was given.
        level: String,
        /// Why it is none.
        reason: String,
    },
    /// Another log was started in this process.
    #[error("cannot start the log: {0}")]
    Start(String),
    /// No log was started in this process.
    #[error("this process has no log of its own")]
    None,
}

/// The least level that is logged, or filters by module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// As it is now.
    pub level: String,
    /// As the server was started with.
    pub configured: String,
}

/// Starts the log; once in a process.
///
/// # Errors
///
/// [`LogError::Level`], [`LogError::Start`].
pub fn start(config: &LogConfig) -> Result<(), LogError> {
    let (filter, handle) = reload::Layer::new(parse(&config.level)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match config.format {
        LogFormat::Human => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(&*REPEATS)
        .with(lines)
        .try_init()
        .map_err(|error| LogError::Start(error.to_string()))?;
    let log = Log {
        filter: handle,
        configured: config.level.clone(),
        current: Mutex::new(config.level.clone()),
    };
    // Nobody else came first: there was no other subscriber.
    let _ = LOG.set(log);
    Ok(())
}

/// Says now and then how many lines were left out, for ever.
pub async fn tell_left_out() {
    REPEATS.tell_for_ever().await;
}

/// The level as it is.
///
/// # Errors
///
/// [`LogError::None`].
pub fn levels() -> Result<Levels, LogError> {
    let log = LOG.get().ok_or(LogError::None)?;
    let level = log.current.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Levels {
        level: level.clone(),
        configured: log.configured.clone(),
    })
}

/// Changes the level until the next change, or the next start.
///
/// # Errors
///
/// [`LogError::Level`], [`LogError::None`].
pub fn set_level(level: &str) -> Result<Levels, LogError> {
    let filter = parse(level)?;
    let log = LOG.get().ok_or(LogError::None)?;
    let mut current = log.current.lock().unwrap_or_else(PoisonError::into_inner);
    log.filter.reload(filter).map_err(|_| LogError::None)?;
    level.clone_into(&mut current);
    drop(current);
    levels()
}

fn parse(level: &str) -> Result<EnvFilter, LogError> {
    let wrong = |reason: String| LogError::Level {
        level: level.chars().take(MOST_LEVEL).collect(),
        reason,
    };
    if level.is_empty() || level.len() > MOST_LEVEL {
        return Err(wrong(format!("1 to {MOST_LEVEL} bytes")));
    }
    EnvFilter::try_new(level).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_level_is_refused() {
        for level in ["info", "warn,landfall::auth=debug", "off"] {
            assert!(parse(level).is_ok(), "{level}");
        }
        for level in ["", "landfall=loud", &"a".repeat(MOST_LEVEL + 1)] {
            assert!(parse(level).is_err(), "{level}");
        }
    }
}
