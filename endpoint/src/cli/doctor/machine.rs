//! Limits of the system against what the configuration wants.

use crate::config::Config;

use super::{super::serve::OTHER_DESCRIPTORS, Finding};

/// What a kernel setting should be at least, and what for.
struct Setting {
    name: &'static str,
    least: u64,
    because: &'static str,
}

/// A burst of new connections, as after a restart, waits in these queues.
const QUEUES: [Setting; 2] = [
    Setting {
        name: "net.core.somaxconn",
        least: 4_096,
        because: "new connections beyond it are dropped while many come at once",
    },
    Setting {
        name: "net.ipv4.tcp_max_syn_backlog",
        least: 4_096,
        because: "handshakes beyond it are dropped while many come at once",
    },
];

/// So few connections need no tuning.
const FEW: u64 = 10_000;

pub(super) fn examine(config: &Config, findings: &mut Vec<Finding>) {
    let connections = config.limits.connections.get() as u64;
    let needed = connections + OTHER_DESCRIPTORS;
    descriptors(needed, findings);
    for name in ["fs.nr_open", "fs.file-max"] {
        if let Some(value) = read(name).filter(|value| *value < needed) {
            let text = format!("is {value}, but limits.connections needs {needed}");
            findings.push(Finding::bad(name, text));
        }
    }
    if connections > FEW {
        for Setting {
            name,
            least,
            because,
        } in QUEUES
        {
            if let Some(value) = read(name).filter(|value| *value < least) {
                let text = format!("is {value}, better {least} or more: {because}");
                findings.push(Finding::warning(name, text));
            }
        }
    }
}

/// The server raises the soft limit to the hard one itself.
fn descriptors(needed: u64, findings: &mut Vec<Finding>) {
    let what = "file descriptors";
    findings.push(match rlimit::Resource::NOFILE.get() {
        Ok((_, hard)) if hard < needed => Finding::warning(
            what,
            format!(
                "{hard} are allowed here, but limits.connections needs {needed}: raise the hard \
                 limit (LimitNOFILE in the unit, ulimit -Hn)"
            ),
        ),
        Ok((_, hard)) => Finding::good(what, format!("{hard} are allowed, {needed} are needed")),
        Err(error) => Finding::warning(what, error),
    });
}

/// A setting of the kernel, if it is a number and there.
fn read(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
