//! How far a long subcommand is: a bar on a terminal, else a line now and then.

use std::io::{self, IsTerminal as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Documents between two lines, where there is no terminal.
const PER_LINE: usize = 100_000;

/// Progress through a file, on standard error.
pub(super) struct Progress {
    what: &'static str,
    bar: ProgressBar,
    on_terminal: bool,
    /// Documents at the last line.
    told: usize,
}

impl Progress {
    /// Through so many bytes, if their number is known.
    pub(super) fn new(what: &'static str, bytes: Option<u64>) -> Self {
        let on_terminal = io::stderr().is_terminal();
        let bar = match on_terminal {
            true => ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        let template = match bytes {
            Some(_) => "{prefix} {wide_bar} {percent}% {msg}, {eta} left",
            None => "{prefix} {spinner} {bytes} {msg}, {elapsed}",
        };
        // A template that is wrong leaves the default one.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        Self {
            what,
            bar,
            on_terminal,
            told: 0,
        }
    }

    /// So many further bytes were read.
    pub(super) fn bytes(&self, read: usize) {
        self.bar.inc(read as u64);
    }

    /// So many documents are done, all in all.
    pub(super) fn documents(&mut self, done: usize) {
        if self.on_terminal {
            self.bar.set_message(format!("{done} documents"));
        } else if done / PER_LINE > self.told / PER_LINE {
            self.told = done;
            eprintln!("{}: {done} documents", self.what);
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
