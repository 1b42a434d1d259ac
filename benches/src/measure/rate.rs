//! `rate`: a fixed rate over many connections, one message at a time on each.
//!
//! Message i of all is due at start + i / rate, on connection i mod N. Latency runs from when a
//! message was due, so that a server which falls behind is charged for the messages that had to
//! wait (no coordinated omission). The clock is polled without a pause: a timer of a millisecond
//! would bundle messages and hide what a single wake-up costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use mio::{Events, Poll, Token};
use serde::Serialize;

use super::cost::{Cost, Meter, ratio};
use super::publish::Message;
use super::{KEEP_ALIVE, seconds};
use crate::client::{
    Connection, READ_BUFFER, Settled, Target, Watchdog, Window, misplaced, numbered, open,
};
use crate::error::{Error, Result};
use crate::latency::{Latencies, Summary};
use crate::mqtt::{Qos, Reply, Train, pubrel};

/// At which rate to publish, and for how long.
#[derive(Args, Clone)]
pub(crate) struct Spec {
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub message: Message,
    /// Connections
    #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// Messages per second of all connections together
    #[arg(long, short, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: u32,
    /// Quality of service, 1 or 2: without an acknowledgement there is no latency
    #[arg(long, short, default_value = "1")]
    pub qos: Qos,
    /// Seconds of measured sending
    #[arg(long, short, default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Seconds of sending before that, which are not measured
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub warm_up: Duration,
}

/// Latency and cost at the rate.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub connections: u16,
    pub qos: Qos,
    pub rate_asked: u32,
    pub rate_achieved: f64,
    pub messages: u64,
    pub seconds: f64,
    pub server: Option<Cost>,
    pub server_cpu_us_per_message: Option<f64>,
    /// From when the message was due to its final acknowledgement.
    pub latency: Summary,
    /// From when the message was due to its write: how late this client was by itself, or because
    /// the connection's message before was not yet acknowledged.
    pub send_lag: Summary,
}

/// Opens the connections, warms up, measures.
///
/// # Errors
/// As soon as the server refuses, closes or stalls.
pub(crate) fn run(spec: &Spec) -> Result<Report> {
    if spec.qos == Qos::AtMostOnce {
        return Err(Error::Usage(
            "at QoS 0 nothing is acknowledged: use --qos 1 or 2".to_owned(),
        ));
    }
    let mut metronome = Metronome::new(spec)?;
    metronome.phase(spec.warm_up)?;
    let meter = Meter::start(spec.target.pid)?;
    let phase = metronome.phase(spec.duration)?;
    let server = meter.map(|meter| meter.stop()).transpose()?;
    let messages = phase.latencies.summary().count;
    Ok(Report {
        connections: spec.connections,
        qos: spec.qos,
        rate_asked: spec.rate,
        rate_achieved: ratio(messages as f64, phase.seconds),
        messages,
        seconds: phase.seconds,
        server_cpu_us_per_message: server.map(|cost| cost.micros_per(messages)),
        server,
        latency: phase.latencies.summary(),
        send_lag: phase.send_lag.summary(),
    })
}

struct Metronome {
    poll: Poll,
    links: Vec<Link>,
    buffer: Vec<u8>,
    /// Between two messages of all connections.
    interval: Duration,
}

struct Link {
    connection: Connection,
    /// Of one message; its clock starts when the message was due.
    window: Window,
    train: Arc<Train>,
    /// Messages sent in this phase.
    sent: u32,
    /// Messages of this phase that have come due.
    due: u32,
}

struct Phase {
    latencies: Latencies,
    send_lag: Latencies,
    seconds: f64,
}

/// When each message is due.
#[derive(Clone, Copy)]
struct Schedule {
    start: Instant,
    interval: Duration,
    connections: u32,
}

impl Schedule {
    /// Message `k` of connection `link`, both from 0.
    fn due(&self, k: u32, link: u32) -> Instant {
        self.start + self.interval.saturating_mul(k * self.connections + link)
    }
}

impl Metronome {
    fn new(spec: &Spec) -> Result<Self> {
        let poll = Poll::new().map_err(Error::machine("epoll"))?;
        let links = (0..usize::from(spec.connections))
            .map(|n| {
                let mut connection = open(&spec.target, n, KEEP_ALIVE, None)?.connection;
                connection.register(poll.registry(), Token(n))?;
                let topic = numbered(&spec.message.topic, n);
                Ok(Link {
                    connection,
                    window: Window::new(1, Instant::now()),
                    train: Arc::new(Train::new(
                        spec.target.mqtt,
                        &topic,
                        spec.qos,
                        spec.message.payload(),
                        1,
                    )),
                    sent: 0,
                    due: 0,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            poll,
            links,
            buffer: vec![0; READ_BUFFER],
            interval: Duration::from_secs(1) / spec.rate,
        })
    }

    /// Sends for `duration`, then waits for the last acknowledgements.
    fn phase(&mut self, duration: Duration) -> Result<Phase> {
        for link in &mut self.links {
            (link.sent, link.due) = (0, 0);
        }
        let mut phase = Phase {
            latencies: Latencies::new()?,
            send_lag: Latencies::new()?,
            seconds: 0.0,
        };
        let schedule = Schedule {
            start: Instant::now(),
            interval: self.interval,
            connections: u32::try_from(self.links.len()).unwrap_or(u32::MAX),
        };
        let total = count(duration, self.interval);
        let mut next = 0;
        let mut watchdog = Watchdog::new(schedule.start);
        let mut events = Events::with_capacity(1024);
        while next < total || self.links.iter().any(|link| !link.is_idle()) {
            let now = Instant::now();
            while next < total && schedule.due(0, next) <= now {
                self.come_due(next, &schedule, &mut phase)?;
                next += 1;
            }
            self.poll
                .poll(&mut events, Some(Duration::ZERO))
                .map_err(Error::machine("epoll"))?;
            for event in &events {
                let index = event.token().0;
                if let Some(link) = self.links.get_mut(index) {
                    link.receive(&mut self.buffer, &mut phase)?;
                    link.send_if_due(index, &schedule, &mut phase)?;
                    watchdog.progress(now);
                }
            }
            if self.links.iter().all(Link::is_idle) {
                watchdog.progress(now);
            }
            watchdog.check(now)?;
        }
        phase.seconds = schedule.start.elapsed().as_secs_f64();
        Ok(phase)
    }

    /// Message `number` of all is due now.
    fn come_due(&mut self, number: u32, schedule: &Schedule, phase: &mut Phase) -> Result<()> {
        let index = number as usize % self.links.len().max(1);
        let Some(link) = self.links.get_mut(index) else {
            return Ok(());
        };
        link.due += 1;
        link.send_if_due(index, schedule, phase)
    }
}

impl Link {
    fn is_idle(&self) -> bool {
        self.sent == self.due && self.window.in_flight() == 0
    }

    fn send_if_due(&mut self, index: usize, schedule: &Schedule, phase: &mut Phase) -> Result<()> {
        if self.sent == self.due || self.window.room() == 0 {
            return Ok(());
        }
        let due = schedule.due(self.sent, u32::try_from(index).unwrap_or(u32::MAX));
        phase
            .send_lag
            .record(Instant::now().saturating_duration_since(due));
        let number = self.window.open(1, due);
        self.sent += 1;
        self.connection.send(self.train.run(number, 1))
    }

    fn receive(&mut self, buffer: &mut [u8], phase: &mut Phase) -> Result<()> {
        let Self {
            connection, window, ..
        } = self;
        connection.flush()?;
        let now = Instant::now();
        let mut release = None;
        connection.receive(buffer, |reply| {
            let Reply::Ack { ack, id, reason } = reply else {
                return Err(misplaced(reply));
            };
            match window.settle(ack, id, reason, now)? {
                Settled::Done(latency) => phase.latencies.record(latency),
                Settled::Release => release = Some(pubrel(id)),
            }
            Ok(())
        })?;
        release.map_or(Ok(()), |packet| connection.send(&packet))
    }
}

/// Messages that come due in `duration`, up to 4,294,967,295.
fn count(duration: Duration, interval: Duration) -> u32 {
    let count = duration.as_nanos() / interval.as_nanos().max(1);
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_round_the_connections_at_even_intervals() {
        let start = Instant::now();
        let schedule = Schedule {
            start,
            interval: Duration::from_micros(200),
            connections: 50,
        };
        assert_eq!(schedule.due(0, 0), start);
        assert_eq!(schedule.due(0, 49), start + Duration::from_micros(9_800));
        assert_eq!(schedule.due(3, 1), start + Duration::from_micros(30_200));
    }

    #[test]
    fn the_rate_decides_how_many_messages_a_phase_has() {
        let interval = Duration::from_secs(1) / 5_000;
        assert_eq!(count(Duration::from_secs(10), interval), 50_000);
        assert_eq!(count(Duration::ZERO, interval), 0);
    }
}
