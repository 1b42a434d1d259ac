//! A bound on lines that come again and again, as while a disk is full and clients go on asking.
//!
//! What [`telemetry`](crate::telemetry) logs bounds itself, or is meant to come once for each
//! connection: it passes. Everything else, lines of libraries included, is counted by its place in the
//! source.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use crate::telemetry::LineBudget;

/// Between two times that the log says what was left out of it.
const TELL: Duration = Duration::from_secs(10);
/// Where named events are logged.
const NAMED: &str = concat!(env!("CARGO_PKG_NAME"), "::telemetry");

/// The lines that were written, by their places in the source: no more of them than the program has.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<Identifier, Repeat>>);

#[derive(Debug, Default)]
struct Repeat {
    budget: LineBudget,
    left_out: u64,
    /// What the first of them says.
    text: String,
}

impl Repeats {
    /// Says now and then what was left out, for ever.
    pub(super) async fn tell_for_ever(&self) {
        loop {
            tokio::time::sleep(TELL).await;
            self.tell();
        }
    }

    /// Says what was left out since it was last said.
    fn tell(&self) {
        // Not under the lock: these lines pass by here, too.
        for (text, left_out) in self.take() {
            tracing::warn!(left_out, line = text, "a line came too often");
        }
    }

    fn may_have_a_line(&self, event: &Event<'_>, now: Instant) -> bool {
        let place = event.metadata().callsite();
        let is_first = {
            let mut places = self.places();
            let repeat = places.entry(place.clone()).or_default();
            if repeat.budget.ask(now).is_some() {
                return true;
            }
            repeat.left_out += 1;
            repeat.left_out == 1
        };
        if is_first {
            // Not under the lock: what is said may itself log as it is written.
            let mut message = Message::default();
            event.record(&mut message);
            self.places().entry(place).or_default().text = message.0;
        }
        false
    }

    fn take(&self) -> Vec<(String, u64)> {
        let mut places = self.places();
        let left_out = places.values_mut().filter(|place| place.left_out > 0);
        left_out
            .map(|place| {
                let text = std::mem::take(&mut place.text);
                (text, std::mem::take(&mut place.left_out))
            })
            .collect()
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Repeat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for &'static Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        !is_counted(event.metadata()) || self.may_have_a_line(event, Instant::now())
    }
}

/// Whoever asks for more than `info` wants all of it.
fn is_counted(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO && !metadata.target().starts_with(NAMED)
}

/// Keeps an event's message, of all that it says.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // A string takes anything.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing_subscriber::{fmt, layer::SubscriberExt as _};

    use super::*;

    const BUDGET: usize = 200;

    #[test]
    fn a_line_that_comes_again_and_again_is_bounded_and_told_as_a_number() {
        let repeats: &'static Repeats = Box::leak(Box::default());
        let lines = logged(repeats, || {
            for _ in 0..1_000 {
                tracing::error!(cause = "none", "a disk failed");
            }
            tracing::warn!("something else");
            repeats.tell();
            repeats.tell();
        });
        let failures = lines
            .iter()
            .filter(|line| line.contains("a disk failed cause"));
        assert_eq!(failures.count(), BUDGET);
        let [.., other, told] = &lines[..] else {
            panic!("{lines:#?}");
        };
        assert!(other.contains("something else"), "{other}");
        let said = "a line came too often left_out=800 line=\"a disk failed\"";
        assert!(told.contains(said), "{told}");
        assert_eq!(lines.len(), BUDGET + 2);
    }

    #[test]
    fn a_line_comes_again_when_its_window_has_passed() {
        let repeats: &'static Repeats = Box::leak(Box::default());
        let lines = logged(repeats, || {
            for round in 0..2 {
                for _ in 0..1_000 {
                    tracing::info!(round, "again");
                }
                for repeat in repeats.places().values() {
                    repeat.budget.pass_window();
                }
            }
        });
        let second = lines.iter().filter(|line| line.contains("round=1"));
        assert_eq!(second.count(), BUDGET);
    }

    #[test]
    fn named_events_and_what_is_below_info_are_not_bounded_here() {
        let repeats: &'static Repeats = Box::leak(Box::default());
        let lines = logged(repeats, || {
            for _ in 0..1_000 {
                tracing::info!(target: "landfall::telemetry::connection", "connection ended");
                tracing::debug!("details");
            }
        });
        assert_eq!(lines.len(), 2_000);
    }

    /// What is written meanwhile.
    fn logged(repeats: &'static Repeats, work: impl FnOnce()) -> Vec<String> {
        let file = tempfile::tempfile().unwrap();
        let writer = std::sync::Arc::new(file.try_clone().unwrap());
        let written = fmt::layer().with_ansi(false).with_writer(writer);
        let subscriber = tracing_subscriber::registry().with(repeats).with(written);
        tracing::subscriber::with_default(subscriber, work);
        read(file).unwrap().lines().map(str::to_owned).collect()
    }

    fn read(mut file: std::fs::File) -> io::Result<String> {
        use std::io::{Read as _, Seek as _};
        let mut text = String::new();
        file.rewind()?;
        file.read_to_string(&mut text)?;
        Ok(text)
    }
}
