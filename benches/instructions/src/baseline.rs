//! The counts that later ones are held against, in a file beside the code.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline.txt");

/// Instructions by case.
pub(crate) struct Baseline(HashMap<String, f64>);

impl Baseline {
    pub(crate) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let parse = |line: &str| {
            let (name, count) = line.split_once(' ')?;
            Some((name.to_owned(), count.trim().parse().ok()?))
        };
        let counts = lines.map(|line| parse(line).ok_or_else(|| format!("{FILE}: {line}")));
        Ok(Self(counts.collect::<Result<_, _>>()?))
    }

    pub(crate) fn of(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

pub(crate) fn write(counted: &[(&str, f64)]) -> Result<(), String> {
    let mut text = String::from(
        "# Instructions per operation, x86-64. A new baseline: see `cargo run --profile instructions\n\
         # -p landfall-instructions -- --save`; say in the commit why it changed.\n",
    );
    for (name, count) in counted {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<40} {count:.1}");
    }
    fs::write(FILE, text).map_err(|error| format!("{FILE}: {error}"))
}
