//! Memory of another process.

use std::fs;

use serde::Serialize;

use crate::error::{Error, Result};

/// Memory of a process at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// Pages in memory, files and shared libraries included.
    pub resident: u64,
    /// Pages in memory that belong to no file: heap, stacks. What connections are made of.
    pub anonymous: u64,
}

/// Reads the memory of process `pid` from `smaps_rollup`, or from `status` where that is not allowed.
///
/// `smaps_rollup` walks the page tables and is exact; the counters in `status` may lag by some pages
/// per thread.
///
/// # Errors
/// `Usage` if there is no such process.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    if let Some(memory) = rollup
        .ok()
        .and_then(|text| parse(&text, "Rss:", "Anonymous:"))
    {
        return Ok(memory);
    }
    fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|text| parse(&text, "VmRSS:", "RssAnon:"))
        .ok_or_else(|| Error::Usage(format!("cannot read the memory of process {pid}")))
}

fn parse(text: &str, resident: &str, anonymous: &str) -> Option<Memory> {
    Some(Memory {
        resident: bytes_of(text, resident)?,
        anonymous: bytes_of(text, anonymous)?,
    })
}

/// The value of the line `name:   123 kB`.
fn bytes_of(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_rollup_is_understood() {
        let text = "55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:     3744 kB\nPss:    1034 kB\n\
            Pss_Anon:    428 kB\nAnonymous:           432 kB\nAnonHugePages:   0 kB\n";
        assert_eq!(
            parse(text, "Rss:", "Anonymous:"),
            Some(Memory {
                resident: 3744 * 1024,
                anonymous: 432 * 1024
            })
        );
    }

    #[test]
    fn status_is_understood() {
        let text = "Name:\tcat\nVmHWM:\t    1800 kB\nVmRSS:\t    1700 kB\nRssAnon:\t      88 kB\n";
        assert_eq!(
            parse(text, "VmRSS:", "RssAnon:"),
            Some(Memory {
                resident: 1700 * 1024,
                anonymous: 88 * 1024
            })
        );
    }

    #[test]
    fn memory_that_is_written_is_seen() {
        let before = memory(std::process::id()).unwrap();
        let page = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = memory(std::process::id()).unwrap();
        assert!(after.anonymous - before.anonymous >= page.len() as u64);
        assert!(after.resident >= after.anonymous);
    }

    #[test]
    fn a_process_that_is_not_there_is_a_usage_error() {
        assert!(matches!(memory(u32::MAX), Err(Error::Usage(_))));
    }
}
