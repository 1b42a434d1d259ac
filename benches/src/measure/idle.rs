//! `idle`: what a connection that only waits for commands costs in memory, and its pings in CPU.

use std::time::{Duration, Instant};

use clap::Args;
use mio::{Events, Poll, Token};
use serde::Serialize;

use super::cost::{Cost, Meter, ratio};
use super::{TICK, seconds};
use crate::client::{Connection, READ_BUFFER, STALL, Target, misplaced, numbered, open, short};
use crate::error::{Error, Result, ServerFault};
use crate::mqtt::{PINGREQ, Qos, Reply};
use crate::process::{Memory, memory};

/// How many idle connections, and how they are kept.
#[derive(Args, Clone)]
pub(crate) struct Spec {
    #[command(flatten)]
    pub target: Target,
    /// Connections
    #[arg(long, short = 'n', default_value_t = 5000, value_parser = clap::value_parser!(u32).range(2..))]
    pub connections: u32,
    /// Filter that each connection subscribes to; {i} is its number
    #[arg(long, default_value = "command/inbox//#", value_parser = short)]
    pub topic: String,
    /// Quality of service of the subscription
    #[arg(long, short, default_value = "1")]
    pub qos: Qos,
    /// Keep-alive in seconds; each connection pings twice in that time
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    pub keep_alive: u16,
    /// Seconds of waiting before memory is read
    #[arg(long, default_value = "0.5", value_parser = seconds)]
    pub settle: Duration,
    /// Seconds to hold all connections while the CPU time of their pings is measured
    #[arg(long, default_value = "0", value_parser = seconds)]
    pub hold: Duration,
}

/// Memory at three moments, and the slope between the last two.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub connections: u32,
    /// Connections that answered a last ping.
    pub alive: u32,
    /// No connection, half of them, all of them; absent without a process to read.
    pub memory: Option<Readings>,
    /// Cost of the pings while held; absent without a process or a hold.
    pub hold: Option<Hold>,
}

/// Each reading is taken after every connection has pinged once: a server that keeps a buffer from
/// the first packet on shows it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Readings {
    pub before: Memory,
    pub half: Memory,
    pub all: Memory,
    /// (all − half) / (N − N/2), of anonymous memory: the figure to compare.
    pub bytes_per_connection: f64,
    /// The same of resident memory.
    pub resident_bytes_per_connection: f64,
}

/// The server's CPU time while nothing but pings came.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Hold {
    pub pings: u64,
    pub cost: Cost,
    pub cpu_us_per_ping: f64,
}

/// Opens half of the connections, then the rest; reads memory; holds; checks that all are alive.
///
/// # Errors
/// As soon as the server refuses, closes or stalls.
pub(crate) fn run(spec: &Spec) -> Result<Report> {
    raise_descriptor_limit(u64::from(spec.connections) + 64)?;
    let reading = || spec.target.pid.map(memory).transpose();
    let mut crowd = Crowd::new(spec)?;
    let before = reading()?;
    let half_count = spec.connections / 2;
    crowd.grow_to(half_count)?;
    let half = reading()?;
    crowd.grow_to(spec.connections)?;
    let all = reading()?;

    let hold = crowd.hold()?;
    crowd.ping_all()?;
    Ok(Report {
        connections: spec.connections,
        alive: u32::try_from(crowd.members.len()).unwrap_or(u32::MAX),
        memory: readings(before, half, all, spec.connections - half_count),
        hold,
    })
}

fn readings(
    before: Option<Memory>,
    half: Option<Memory>,
    all: Option<Memory>,
    added: u32,
) -> Option<Readings> {
    let (before, half, all) = (before?, half?, all?);
    let slope =
        |of: fn(&Memory) -> u64| ratio(of(&all) as f64 - of(&half) as f64, f64::from(added));
    Some(Readings {
        before,
        half,
        all,
        bytes_per_connection: slope(|memory| memory.anonymous),
        resident_bytes_per_connection: slope(|memory| memory.resident),
    })
}

/// Makes room for `wanted` descriptors, as far as the hard limit allows.
fn raise_descriptor_limit(wanted: u64) -> Result<()> {
    let allowed =
        rlimit::increase_nofile_limit(wanted).map_err(Error::machine("descriptor limit"))?;
    if allowed < wanted {
        return Err(Error::Usage(format!(
            "{wanted} descriptors are needed and {allowed} allowed: use fewer connections or raise `ulimit -Hn`"
        )));
    }
    Ok(())
}

struct Crowd<'a> {
    spec: &'a Spec,
    poll: Poll,
    members: Vec<Member>,
    buffer: Vec<u8>,
}

struct Member {
    connection: Connection,
    /// PINGREQs without their PINGRESP.
    pings_open: u32,
}

impl<'a> Crowd<'a> {
    fn new(spec: &'a Spec) -> Result<Self> {
        Ok(Self {
            spec,
            poll: Poll::new().map_err(Error::machine("epoll"))?,
            members: Vec::new(),
            buffer: vec![0; READ_BUFFER],
        })
    }

    /// Opens connections up to `count`, lets each ping once, and waits.
    fn grow_to(&mut self, count: u32) -> Result<()> {
        for n in self.members.len()..usize::try_from(count).unwrap_or(usize::MAX) {
            let topic = numbered(&self.spec.topic, n);
            let subscription = Some((topic.as_str(), self.spec.qos));
            let opened = open(&self.spec.target, n, self.spec.keep_alive, subscription)?;
            let mut connection = opened.connection;
            connection.register(self.poll.registry(), Token(n))?;
            self.members.push(Member {
                connection,
                pings_open: 0,
            });
        }
        self.ping_all()?;
        let settled = Instant::now() + self.spec.settle;
        while Instant::now() < settled {
            self.turn()?;
        }
        Ok(())
    }

    /// Lets every connection ping, and waits for all answers: a proof of life.
    fn ping_all(&mut self) -> Result<()> {
        for index in 0..self.members.len() {
            self.ping(index)?;
        }
        let deadline = Instant::now() + STALL;
        while self.members.iter().any(|member| member.pings_open > 0) {
            self.turn()?;
            if Instant::now() > deadline {
                return Err(ServerFault::Stalled(STALL).into());
            }
        }
        Ok(())
    }

    /// Keeps all connections alive for the hold, pings spread evenly over half the keep-alive.
    fn hold(&mut self) -> Result<Option<Hold>> {
        let meter = Meter::start(self.spec.target.pid)?;
        let start = Instant::now();
        let count = self.members.len();
        let round = Duration::from_secs(self.spec.keep_alive.into()) / 2;
        let interval = round / u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let mut pings = 0_u32;
        while start.elapsed() < self.spec.hold {
            while interval.saturating_mul(pings) <= start.elapsed() {
                self.ping(pings as usize % count.max(1))?;
                pings = pings.saturating_add(1);
            }
            self.turn()?;
        }
        if pings == 0 {
            return Ok(None);
        }
        let pings = u64::from(pings);
        let cost = meter.map(|meter| meter.stop()).transpose()?;
        Ok(cost.map(|cost| Hold {
            pings,
            cost,
            cpu_us_per_ping: cost.micros_per(pings),
        }))
    }

    fn ping(&mut self, index: usize) -> Result<()> {
        let Some(member) = self.members.get_mut(index) else {
            return Ok(());
        };
        member.pings_open += 1;
        member.connection.send(&PINGREQ)
    }

    /// Waits for events up to a tick and takes what came.
    fn turn(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        self.poll
            .poll(&mut events, Some(TICK))
            .map_err(Error::machine("epoll"))?;
        for event in &events {
            let Some(member) = self.members.get_mut(event.token().0) else {
                continue;
            };
            let Member {
                connection,
                pings_open,
            } = member;
            connection.flush()?;
            connection.receive(&mut self.buffer, |reply| match reply {
                Reply::Pong if *pings_open > 0 => {
                    *pings_open -= 1;
                    Ok(())
                }
                reply => Err(misplaced(reply)),
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(anonymous: u64, resident: u64) -> Option<Memory> {
        Some(Memory {
            resident,
            anonymous,
        })
    }

    #[test]
    fn the_slope_is_taken_between_half_and_all() {
        let readings = readings(
            memory(5_000, 9_000),
            memory(10_000, 19_000),
            memory(110_000, 139_000),
            100,
        )
        .unwrap();
        assert!((readings.bytes_per_connection - 1_000.0).abs() < 1e-9);
        assert!((readings.resident_bytes_per_connection - 1_200.0).abs() < 1e-9);
    }

    #[test]
    fn without_a_process_there_are_no_readings() {
        assert_eq!(readings(None, None, None, 100), None);
    }

    #[test]
    fn more_descriptors_than_allowed_are_a_usage_error() {
        assert!(matches!(
            raise_descriptor_limit(u64::MAX),
            Err(Error::Usage(_))
        ));
    }
}
