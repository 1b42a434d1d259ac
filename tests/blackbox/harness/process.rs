//! A child process that ends with the test, whatever becomes of the test.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait;

/// A child that is killed and reaped when dropped.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{}: {error}; ./tests/run installs it",
                command.get_program().display()
            )
        });
        Self { child }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of this process")
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait::until("the end of a process", || self.ended())
    }

    /// Whether the process ends by itself in this time.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while self.ended().is_none() && Instant::now() < end {
            wait::pause();
        }
        self.ended().is_some()
    }

    /// Waits for the end of a process that has been killed.
    pub(crate) fn reap(&mut self) {
        let _ = self.child.wait();
    }

    /// Sends a signal, if the process has not ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let pid = i32::try_from(self.child.id()).expect("a process id");
            kill(Pid::from_raw(pid), signal).expect("a living child takes signals");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only this child, by its handle; it may have ended already.
        let _ = self.child.kill();
        self.reap();
    }
}
