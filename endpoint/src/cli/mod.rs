//! The command line: `landfall SUBCOMMAND`.
//!
//! `demo` and `serve` run the server, `check-config` and `doctor` read its configuration,
//! `config-reference` describes it, `health` asks how it does; `completions` and `man` are about this
//! command line; all others are clients of a running server's API. Exit codes: 0 done, 1 failed, 2
//! wrong usage. Results go to standard output, errors and the log to standard error.

mod apply;
mod bulk;
mod client;
mod command;
mod config_reference;
mod doctor;
mod documents;
mod events;
mod export;
mod failure;
mod health;
mod import;
mod log;
mod manual;
mod notify;
mod output;
mod pages;
mod progress;
mod resources;
mod serve;
mod sse;
mod table;
mod token;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::demo;

pub(crate) use client::Client;
pub(crate) use events::events_path;
pub(crate) use failure::Failure;
pub(crate) use log::start_logging;
pub(crate) use output::write;
pub(crate) use serve::{raise_descriptor_limit, runtime, stop_signal};

/// A device-facing MQTT endpoint: publishes become CloudEvents, commands come back.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  landfall demo                                   # everything on this machine, to try
  landfall serve --config /etc/landfall/landfall.toml
  landfall apply -f devices.yaml                  # LANDFALL_URL and LANDFALL_TOKEN say where and who
  landfall events my-app --follow
  landfall command my-app sensor01 reboot

Exit codes: 0 done, 1 failed (standard error says why), 2 wrong usage."
)]
struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run everything on this machine, with ready-made devices, and show what to type
    Demo(demo::Options),
    /// Run the server
    #[command(after_help = "\
Examples:
  landfall serve --config /etc/landfall/landfall.toml
  LANDFALL__LOG__FORMAT=json landfall serve --config landfall.toml   # over what the file says

SIGTERM and SIGINT drain it, a second one ends it at once; SIGHUP loads certificates again.")]
    Serve {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a configuration file, with the environment laid over it, and end
    #[command(after_help = "\
Examples:
  landfall check-config /etc/landfall/landfall.toml
  landfall check-config landfall.toml && systemctl restart landfall")]
    CheckConfig {
        /// The configuration file
        #[arg(value_name = "FILE")]
        config: PathBuf,
    },
    /// Print what each key of the configuration means, in Markdown
    ConfigReference(config_reference::Options),
    /// Look at a configuration and this machine, and say what will not work
    Doctor(doctor::Options),
    /// Ask a running server whether it is live, ready, or has started
    Health(health::Options),
    /// Create or change applications and devices as documents say
    Apply(apply::Options),
    /// Write the registry as documents that can be applied again
    Export(export::Options),
    /// Create or change any number of applications and devices, as the documents of a file say
    Import(import::Options),
    /// Show applications or devices
    Get(resources::GetOptions),
    /// Delete an application or a device
    Delete(resources::DeleteOptions),
    /// Create, list and revoke tokens of the API
    Token(token::Options),
    /// Print an application's events, one line of JSON each
    Events(events::Options),
    /// Send a command to a device and wait for its outcome
    Command(command::Options),
    /// Print what a shell needs to complete this command line
    Completions(manual::CompletionsOptions),
    /// Print the manual page
    Man(manual::ManOptions),
}

/// Runs the program.
pub fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2.
    let cli = Cli::parse();
    let done = match cli.action {
        Action::Demo(options) => demo::run(&options),
        Action::Serve { config } => serve::run(&config),
        Action::CheckConfig { config } => serve::check(&config),
        Action::ConfigReference(options) => config_reference::run(&options),
        Action::Doctor(options) => doctor::run(&options),
        Action::Health(options) => health::run(&options),
        Action::Apply(options) => apply::run(options),
        Action::Export(options) => export::run(options),
        Action::Import(options) => import::run(options),
        Action::Token(options) => token::run(options),
        Action::Get(options) => resources::get(options),
        Action::Delete(options) => resources::delete(options),
        Action::Events(options) => events::run(options),
        Action::Command(options) => command::run(&options),
        Action::Completions(options) => manual::completions(&options),
        Action::Man(options) => manual::man(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_shows_examples_of_itself() {
        for subcommand in Cli::command().get_subcommands_mut() {
            let name = subcommand.get_name().to_owned();
            let help = subcommand.render_long_help().to_string();
            let examples = help.split_once("Examples:\n");
            let (_, examples) = examples.unwrap_or_else(|| panic!("{name} has none:\n{help}"));
            let of_itself = format!("landfall {name}");
            assert!(examples.contains(&of_itself), "{name}:\n{examples}");
        }
    }
}
