//! `landfall-load`: a load tool for any MQTT server, and a floor to measure it against.
//!
//! - [`mqtt`]: packets encoded once, replies scanned in place
//! - [`client`]: connections on nonblocking sockets
//! - [`commands`]: commands to devices, through Landfall's sources
//! - [`measure`]: one module per measurement; each has its specification, `run`, and a report
//! - [`process`]: CPU time and memory of the server, read from outside
//! - [`floor`]: the floor server
//! - [`http`]: requests to the API of Landfall
//! - [`compare`]: several servers in turns, as medians and ratios
//!
//! What the figures mean, and when they may be compared, is written in docs/benchmarks.md.

mod cli;
mod client;
mod commands;
mod compare;
mod error;
mod floor;
mod http;
mod latency;
mod measure;
mod mqtt;
mod process;
mod report;

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use cli::{Cli, Command};
use error::{Error, Result};
use report::Lines;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("landfall-load: {fault}");
            fault.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Publish(spec) => print(cli, &measure::publish::run(spec)?, Lines::text),
        Command::Rate(spec) => print(cli, &measure::rate::run(spec)?, Lines::text),
        Command::Connect(spec) => print(cli, &measure::connect::run(spec)?, Lines::text),
        Command::Idle(spec) => print(cli, &measure::idle::run(spec)?, Lines::text),
        Command::Commands(spec) => print(cli, &commands::run(spec)?, Lines::text),
        Command::Compare(spec) => print(cli, &compare::run(spec)?, compare::Comparison::markdown),
        Command::RunFloor(spec) => print(cli, &floor::run(spec)?, Lines::text),
    }
}

fn print<R: Serialize>(cli: &Cli, report: &R, text: impl FnOnce(&R) -> String) -> Result<()> {
    if cli.json {
        let json = serde_json::to_string_pretty(report)
            .map_err(|fault| Error::Usage(format!("report as JSON: {fault}")))?;
        println!("{json}");
    } else {
        print!("{}", text(report));
    }
    Ok(())
}
