//! One case in a process of its own under `valgrind --tool=callgrind`.

use std::process::{Command, Stdio};

use crate::cases;

/// Instructions of one operation.
pub(crate) fn instructions(case: &str) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        // What is inside of this function, and what it calls.
        .arg(format!("--toggle-collect=*{}*", cases::MEASURED))
        .arg(program)
        .args(["--case", case])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{case}: {said}"));
    }
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse::<f64>().ok())
        .ok_or_else(|| format!("{case}: valgrind names no count: {said}"))?;
    if collected == 0.0 {
        return Err(format!("{case}: nothing was counted"));
    }
    Ok(collected / f64::from(cases::OPERATIONS))
}
