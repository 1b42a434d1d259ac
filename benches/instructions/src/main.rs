//! Counts the instructions of the hot path under valgrind, and holds them against a baseline.
//!
//! ```console
//! $ cargo run --profile instructions -p landfall-instructions            # compare
//! $ cargo run --profile instructions -p landfall-instructions -- --save  # a new baseline
//! ```
//!
//! Counts do not depend on what else the machine does, but on the compiler and on the processor's
//! features that libraries look for; the baseline is for x86-64 and names its compiler.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints its findings"
)]

mod baseline;
mod cases;
mod count;

use std::process::ExitCode;

use baseline::Baseline;

/// How much more than the baseline is a regression.
const TOLERANCE: f64 = 1.05;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["--save"] => save(),
        ["--case", name] => cases::run(name),
        _ => Err("usage: landfall-instructions [--save]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<(), String> {
    let baseline = Baseline::read()?;
    let mut worse = Vec::new();
    println!(
        "{:<40} {:>10} {:>10} {:>8}",
        "case", "baseline", "now", "ratio"
    );
    for name in cases::names() {
        let now = count::instructions(name)?;
        let before = baseline
            .of(name)
            .ok_or_else(|| format!("{name} has no baseline: make one with --save"))?;
        let ratio = now / before;
        println!("{name:<40} {before:>10.1} {now:>10.1} {ratio:>8.3}");
        if ratio > TOLERANCE {
            worse.push(name);
        }
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!(
        "more than {:.0} % above the baseline: {}",
        (TOLERANCE - 1.0) * 100.0,
        worse.join(", ")
    ))
}

fn save() -> Result<(), String> {
    let mut counted = Vec::new();
    for name in cases::names() {
        let now = count::instructions(name)?;
        println!("{name:<40} {now:>10.1}");
        counted.push((name, now));
    }
    baseline::write(&counted)
}
