//! Why a subcommand did not do what it was asked for.

use std::{fmt, io, process::ExitCode};

/// A failure, told on standard error; exit code 1.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A text for people that names the thing.
    Message(String),
    /// Nobody reads standard output any more: no failure at all, there is just nothing left to do.
    NobodyReads,
}

impl Failure {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self::Message(message.to_string())
    }

    /// Of writing to standard output.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Message(format!("cannot write to standard output: {error}")),
        }
    }

    pub(super) fn report(self) -> ExitCode {
        match self {
            Self::Message(message) => {
                eprintln!("error: {message}");
                ExitCode::FAILURE
            }
            Self::NobodyReads => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => f.write_str(message),
            Self::NobodyReads => f.write_str("nobody reads standard output"),
        }
    }
}
