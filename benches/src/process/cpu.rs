//! CPU time of another process and of this thread.
//!
//! `utime + stime` of `/proc/PID/stat` counts in ticks of 10 ms, and the nanoseconds of
//! `/proc/PID/task/*/schedstat` forget threads that have ended. The process's CPU clock
//! (`clock_getcpuclockid(3)`) has neither fault: nanoseconds, all threads, dead ones included.
//! `/proc/PID/stat` is read only for the share of the kernel.

use std::fs;
use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// CPU time that a process has used since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// User and kernel time of all threads, to the nanosecond.
    pub total: Duration,
    /// Clock ticks in user mode, and in the kernel, as `/proc/PID/stat` has them.
    ticks: Ticks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    user: u64,
    system: u64,
}

impl CpuTime {
    /// CPU time used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        self.total.saturating_sub(earlier.total)
    }

    /// Part of the ticks since `earlier` that was spent in the kernel; `None` if no tick has passed.
    pub(crate) fn kernel_share_since(&self, earlier: &Self) -> Option<f64> {
        let user = self.ticks.user.saturating_sub(earlier.ticks.user);
        let system = self.ticks.system.saturating_sub(earlier.ticks.system);
        let all = user + system;
        (all > 0).then(|| system as f64 / all as f64)
    }
}

/// Reads the CPU clock of process `pid`.
///
/// # Errors
/// `Usage` if there is no such process.
pub(crate) fn process_cpu(pid: u32) -> Result<CpuTime> {
    let no_process = |cause: &dyn std::fmt::Display| {
        Error::Usage(format!(
            "cannot read the CPU time of process {pid}: {cause}"
        ))
    };
    let raw = i32::try_from(pid).map_err(|cause| no_process(&cause))?;
    let clock = clock_getcpuclockid(Pid::from_raw(raw)).map_err(|cause| no_process(&cause))?;
    let total = clock_gettime(clock).map_err(|cause| no_process(&cause))?;
    let stat =
        fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|cause| no_process(&cause))?;
    let ticks = parse_stat(&stat).ok_or_else(|| no_process(&"its stat file is not understood"))?;
    Ok(CpuTime {
        total: total.into(),
        ticks,
    })
}

/// CPU time that the calling thread has used.
///
/// # Errors
/// `Machine` where the kernel has no such clock.
pub(crate) fn thread_cpu() -> Result<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map(Duration::from)
        .map_err(io::Error::from)
        .map_err(Error::machine("thread CPU clock"))
}

/// Fields 14 and 15 of `/proc/PID/stat` (proc(5)); the name in field 2 may hold blanks and brackets.
fn parse_stat(stat: &str) -> Option<Ticks> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    Some(Ticks {
        user: fields.next()?.parse().ok()?,
        system: fields.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_an_awkward_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 713 94 5 6 20 0 3 0 1 2 3";
        assert_eq!(
            parse_stat(stat),
            Some(Ticks {
                user: 713,
                system: 94
            })
        );
        assert_eq!(parse_stat("42 (short) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn the_kernel_share_is_of_the_difference() {
        let at = |user, system| CpuTime {
            total: Duration::ZERO,
            ticks: Ticks { user, system },
        };
        assert_eq!(at(30, 90).kernel_share_since(&at(20, 60)), Some(0.75));
        assert_eq!(at(30, 90).kernel_share_since(&at(30, 90)), None);
    }

    #[test]
    fn work_of_a_thread_that_has_ended_is_counted() {
        let spin = || {
            let start = thread_cpu().unwrap();
            while thread_cpu().unwrap() - start < Duration::from_millis(5) {}
        };
        let before = process_cpu(std::process::id()).unwrap();
        std::thread::spawn(spin).join().unwrap();
        let after = process_cpu(std::process::id()).unwrap();
        assert!(after.since(&before) >= Duration::from_millis(5));
    }

    #[test]
    fn a_process_that_is_not_there_is_a_usage_error() {
        assert!(matches!(process_cpu(u32::MAX), Err(Error::Usage(_))));
        assert!(matches!(process_cpu(0x3FFF_FFFF), Err(Error::Usage(_))));
    }
}
