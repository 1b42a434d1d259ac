//! The process's log.

use crate::{config::LogConfig, log};

use super::Failure;

/// Starts logging; once in a process.
pub(crate) fn start_logging(config: &LogConfig) -> Result<(), Failure> {
    log::start(config).map_err(Failure::new)
}
