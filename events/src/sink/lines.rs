//! What the sinks share that write one structured JSON line per event: a thread, retries, and the
//! reports to the connections. The events of one application keep their order.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::health::HealthCell;
use super::queue::{Consumer, Group, Queue};
use super::stats::Counters;
use super::{Completion, Handover, Health, OpenBatch, Sequence, Sink, Stats, Unfinished};
use crate::encode::write_structured_json;
use crate::event::Draft;

/// Lines are gathered and written in pieces of about this size.
const GROUP_BYTES: usize = 256 << 10;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where lines go.
pub(super) trait Output: Send + 'static {
    /// What it is, for log and readiness.
    fn name(&self) -> String;

    /// Gets ready for a piece of whole lines.
    fn begin(&mut self, bytes: usize) -> io::Result<()>;

    /// Writes some of the bytes: how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was written last as long as the output promises.
    fn commit(&mut self) -> io::Result<()>;
}

/// A sink that writes lines from a thread of its own.
pub(super) struct Lines {
    name: Box<str>,
    shared: Arc<Shared>,
}

struct Shared {
    queue: Queue,
    health: HealthCell,
    counters: Counters,
}

impl Lines {
    /// Starts the thread. `queue_bytes` bounds what waits to be written.
    pub(super) fn start(name: &str, queue_bytes: usize, output: impl Output) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Queue::new(queue_bytes, GROUP_BYTES),
            health: HealthCell::new(),
            counters: Counters::default(),
        });
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("sink-{name}"))
            .spawn(move || writer.run(output))?;
        Ok(Self {
            name: name.into(),
            shared,
        })
    }
}

impl Shared {
    fn run(&self, output: impl Output) {
        let _attendance = self.health.attend();
        let consumer = Consumer::of(&self.queue);
        // Dropped first: whoever is told that the sink has ended may open the output again.
        let mut output = output;
        let mut groups = Vec::new();
        while consumer.take(GROUP_BYTES, &mut groups) {
            let started = Instant::now();
            let mut all = groups.iter();
            if !all.all(|group| self.write(group, &mut output, &consumer))
                || !self.insist(&mut output, &consumer, Output::commit)
            {
                return;
            }
            if self.health.set_up() {
                tracing::info!(sink = output.name(), "events are taken again");
            }
            self.counters.committed(started.elapsed());
            for group in &groups {
                let bytes = group.data.len() as u64;
                self.counters.accepted(group.events.into(), bytes);
            }
            consumer.accept(&mut groups);
        }
    }

    /// Writes the group's lines; never writes a byte twice. False when it is to give up.
    fn write(&self, group: &Group, output: &mut impl Output, consumer: &Consumer<'_>) -> bool {
        let mut rest = group.data.as_slice();
        if !self.insist(output, consumer, |output| output.begin(group.data.len())) {
            return false;
        }
        while !rest.is_empty() {
            let bytes = rest;
            let written = self.insist(output, consumer, |output| {
                let written = output.write(bytes)?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                rest = bytes.get(written..).unwrap_or_default();
                Ok(())
            });
            if !written {
                return false;
            }
        }
        true
    }

    /// Does it, however often it takes. False when it is to give up.
    fn insist<O: Output>(
        &self,
        output: &mut O,
        consumer: &Consumer<'_>,
        mut act: impl FnMut(&mut O) -> io::Result<()>,
    ) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match act(output) {
                Ok(()) => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => {
                    self.counters.failed();
                    let name = output.name();
                    if self.health.set_failing(format!("{name}: {error}")) {
                        tracing::warn!(sink = name, %error, "no events are taken");
                    }
                    if !consumer.pause(pause) {
                        return false;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

impl Sink for Lines {
    fn name(&self) -> &str {
        &self.name
    }

    fn encode(&self, draft: &Draft<'_>, sequence: Sequence, batch: &mut OpenBatch) {
        batch.push(sequence, |out| {
            write_structured_json(draft, out);
            out.push(b'\n');
        });
    }

    fn hand_over(&self, handover: Handover<'_>) {
        self.shared.queue.push(handover);
    }

    fn has_room(&self, _application: &str) -> bool {
        self.shared.queue.has_room()
    }

    fn notify_room(&self, _application: &str, slot: usize, completion: &Arc<dyn Completion>) {
        self.shared.queue.notify_room(slot, completion);
    }

    fn health(&self) -> Health {
        self.shared.health.get()
    }

    fn stats(&self) -> Stats {
        self.shared.queue.add_depth(self.shared.counters.read())
    }

    fn close(&self, patience: Duration) -> Result<(), Unfinished> {
        self.shared.queue.close(patience)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _unfinished = self.close(Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::Value;

    use super::*;
    use crate::sink::testing::Connection;

    const PLENTY: usize = 1 << 20;
    const LONG: Duration = Duration::from_secs(60);

    /// An output that takes a few bytes at a time and fails now and then, or always.
    #[derive(Clone, Default)]
    struct Output {
        state: Arc<Mutex<OutputState>>,
    }

    #[derive(Default)]
    struct OutputState {
        written: Vec<u8>,
        flushed: usize,
        calls: usize,
        is_broken: bool,
    }

    impl Output {
        fn lines(&self) -> Vec<Value> {
            let state = self.state.lock().unwrap();
            let text = String::from_utf8(state.written.clone()).unwrap();
            assert_eq!(state.flushed, state.written.len());
            assert!(text.is_empty() || text.ends_with('\n'));
            let parse = |line: &str| serde_json::from_str(line).unwrap();
            text.lines().map(parse).collect()
        }

        fn set_broken(&self, is_broken: bool) {
            self.state.lock().unwrap().is_broken = is_broken;
        }
    }

    impl super::Output for Output {
        fn name(&self) -> String {
            "the test".to_owned()
        }

        fn begin(&mut self, _bytes: usize) -> io::Result<()> {
            Ok(())
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self.state.lock().unwrap();
            state.calls += 1;
            if state.is_broken {
                return Err(io::ErrorKind::StorageFull.into());
            }
            if state.calls.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = bytes.len().min(100);
            state.written.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn commit(&mut self) -> io::Result<()> {
            let mut state = self.state.lock().unwrap();
            state.flushed = state.written.len();
            Ok(())
        }
    }

    #[test]
    fn prints_one_line_per_event_and_accepts_what_is_flushed() {
        let output = Output::default();
        let sink = Lines::start("out", PLENTY, output.clone()).unwrap();
        assert_eq!(sink.name(), "out");
        let mut connection = Connection::new("app", "device");
        for number in 0..50 {
            let payload = format!("{{\n  \"number\":\r\n {number}\n}}\n");
            connection.encode(&sink, "temp", payload.as_bytes());
        }
        connection.hand_over(&sink);
        connection.recorder.wait_accepted(50);
        let lines = output.lines();
        assert_eq!(lines.len(), 50);
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(line["data"]["number"], number);
        }
        sink.close(LONG).unwrap();
        assert_eq!(sink.stats().accepted, 50);
    }

    #[test]
    fn a_broken_output_stops_acceptance_and_no_line_is_torn_or_doubled() {
        let output = Output::default();
        let sink = Lines::start("out", PLENTY, output.clone()).unwrap();
        let mut connection = Connection::new("app", "device");
        for number in 0..20 {
            output.set_broken(number % 4 == 1);
            connection.publish(&sink, "temp", number.to_string().as_bytes());
        }
        output.set_broken(true);
        let sequence = connection.publish(&sink, "temp", b"20");
        let deadline = Instant::now() + LONG;
        let reason = loop {
            if let Health::Failing { reason, .. } = sink.health() {
                break reason;
            }
            assert!(Instant::now() < deadline);
            thread::yield_now();
        };
        assert!(reason.contains("the test"), "{reason}");
        assert!(connection.recorder.told().up_to() < sequence);

        output.set_broken(false);
        connection.recorder.wait_accepted(sequence);
        sink.close(LONG).unwrap();
        assert_eq!(sink.health(), Health::Up);
        let numbers: Vec<_> = output
            .lines()
            .iter()
            .map(|line| line["data"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (0..=20).collect::<Vec<_>>());
    }

    #[test]
    fn closing_with_a_broken_output_gives_up() {
        let output = Output::default();
        output.set_broken(true);
        let sink = Lines::start("out", PLENTY, output).unwrap();
        let mut connection = Connection::new("app", "device");
        connection.publish(&sink, "temp", b"1");
        assert_eq!(sink.close(Duration::ZERO), Err(Unfinished { events: 1 }));
        assert_eq!(connection.recorder.told().accepted, []);
    }
}
