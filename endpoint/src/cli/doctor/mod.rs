//! `doctor`: looks at a configuration and the machine it is for, and says what will not work, or
//! will not for long. It changes nothing, and can be run beside the server.

mod finding;
mod machine;
mod reach;
mod tls;

use std::{
    io::{ErrorKind, IsTerminal as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use crate::config::{Bind, Config};

use super::{
    Failure, client,
    output::{self, Format},
};
use finding::{Finding, Verdict};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall doctor --config /etc/landfall/landfall.toml
  landfall doctor --config landfall.toml -o json

It looks at: the configuration, the addresses to listen on, limits of the system, files and
certificates, and whether the systems of registry, sinks, command sources, cluster and traces can
be reached.

Exit codes: 0 nothing is wrong (there may be warnings), 1 something is, 2 wrong usage.")]
pub(super) struct Options {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut findings = Vec::new();
    match Config::load(&options.config) {
        Ok(config) => examine(&config, &options.config, &mut findings)?,
        Err(error) => findings.push(Finding::bad("configuration", error)),
    }
    match options.output {
        Format::Text => output::write(finding::render(&findings, std::io::stdout().is_terminal()))?,
        Format::Json => {
            let findings: Vec<_> = findings.iter().map(Finding::as_json).collect();
            output::line(format_args!("{:#}", json!(findings)))?;
        }
    }
    let wrong = findings
        .iter()
        .filter(|f| f.verdict == Verdict::Bad)
        .count();
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::new("1 thing is wrong")),
        wrong => Err(Failure::new(format_args!("{wrong} things are wrong"))),
    }
}

fn examine(config: &Config, path: &Path, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    findings.push(Finding::good("configuration", path.display()));
    for warning in config.warnings() {
        findings.push(Finding::warning("configuration", warning));
    }
    addresses(config, findings);
    machine::examine(config, findings);
    files(config, findings);
    tls::examine(config, findings);
    client::block_on(async {
        reach::examine(config, findings).await;
        Ok(())
    })
}

/// Each address can be bound, or a server of ours has it already.
fn addresses(config: &Config, findings: &mut Vec<Finding>) {
    let listeners = config.listeners.iter().map(|listener| &listener.bind);
    let http = [
        Some(config.api.bind),
        config.ops.as_ref().map(|ops| ops.bind),
    ];
    let http: Vec<_> = http.into_iter().flatten().map(Bind::Tcp).collect();
    for bind in listeners.chain(&http) {
        let Some(address) = bind.tcp() else {
            continue;
        };
        let what = format!("address {address}");
        findings.push(match TcpListener::bind(address) {
            Ok(_) => Finding::good(what, "is free"),
            Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warning(
                what,
                "is in use: by this server, if it runs; else by another program",
            ),
            Err(error) => Finding::bad(what, error),
        });
    }
}

/// The data folder and the token are there, and nobody else's.
fn files(config: &Config, findings: &mut Vec<Finding>) {
    let folder = &config.data_dir;
    let what = format!("data folder {}", folder.display());
    findings.push(match std::fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Finding::bad(what, "is no folder"),
        Ok(found) if found.permissions().mode() & 0o007 != 0 => {
            Finding::warning(what, "is open to every user of this machine: chmod o= it")
        }
        Ok(_) if tempfile_in(folder).is_err() => Finding::bad(what, "cannot be written to"),
        Ok(_) => Finding::good(what, "can be written to"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::good(what, "will be made at the first start")
        }
        Err(error) => Finding::bad(what, error),
    });
    let token = &config.api.token_file;
    let what = format!("token file {}", token.display());
    match std::fs::metadata(token) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => findings.push(Finding::warning(
            what,
            "can be read by others than its owner: chmod 600 it",
        )),
        Ok(_) => findings.push(Finding::good(what, "is its owner's alone")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            findings.push(Finding::good(what, "will be made at the first start"));
        }
        Err(error) => findings.push(Finding::bad(what, error)),
    }
}

/// Whether a file can be made there; it is gone again.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".landfall-doctor-{}", std::process::id()));
    std::fs::File::create_new(&path)?;
    std::fs::remove_file(&path)
}
