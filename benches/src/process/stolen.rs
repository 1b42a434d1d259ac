//! How much of a virtual machine's processor time its host gave to others: while that is much,
//! latencies are the host's, and rates are too low.

use std::fs;

/// `/proc/stat` when a measurement began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stolen {
    began: Option<Ticks>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    /// In which a processor ran, or would have.
    wanted: u64,
    /// Of these, those it did not get.
    stolen: u64,
}

impl Stolen {
    /// Begins to count.
    pub(crate) fn begin() -> Self {
        Self { began: read() }
    }

    /// Percent of the processor time that was wanted since the beginning; `None` where the kernel
    /// does not tell.
    pub(crate) fn percent(self) -> Option<f64> {
        share(self.began?, read()?).map(|share| 100.0 * share)
    }
}

fn share(before: Ticks, after: Ticks) -> Option<f64> {
    let wanted = after.wanted.saturating_sub(before.wanted);
    let stolen = after.stolen.saturating_sub(before.stolen);
    (wanted > 0).then(|| stolen as f64 / wanted as f64)
}

fn read() -> Option<Ticks> {
    parse(&fs::read_to_string("/proc/stat").ok()?)
}

/// The first line (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal, of all processors.
fn parse(stat: &str) -> Option<Ticks> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, stolen, ..] = *fields else {
        return None;
    };
    Some(Ticks {
        wanted: user + nice + system + irq + softirq + stolen,
        stolen,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stolen_is_a_part_of_what_was_wanted() {
        let before = parse("cpu  10 0 10 500 9 0 0 0 0 0\ncpu0 5 0 5 250 4 0 0 0 0 0\n").unwrap();
        let after = parse("cpu  40 5 25 900 9 1 9 20 0 0\n").unwrap();
        assert_eq!(share(before, after), Some(0.25));
        assert_eq!(share(before, before), None);
    }

    #[test]
    fn a_kernel_that_counts_none_has_no_share() {
        assert_eq!(parse("cpu  1 2 3 4\n"), None);
        assert_eq!(parse(""), None);
    }
}
