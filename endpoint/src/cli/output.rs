//! Standard output: what a subcommand was asked for, and nothing else.

use std::io::{self, Write as _};

use super::Failure;

/// Writes text as it is, at once.
pub(crate) fn write(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_ref())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::of_output(&error))
}

/// Writes a line, at once.
pub(super) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    write(format!("{text}\n"))
}
