//! `connect`: how many log-ins a second, and what one costs the server.

use std::time::{Duration, Instant};

use clap::Args;
use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use serde::Serialize;

use super::cost::{Cost, Meter, ratio};
use super::{KEEP_ALIVE, TICK, seconds};
use crate::client::{Connection, READ_BUFFER, Target, Watchdog, misplaced};
use crate::error::{Error, Result, ServerFault};
use crate::latency::{Latencies, Summary};
use crate::mqtt::{DISCONNECT, Reply};

/// How many log-ins at once, and for how long.
#[derive(Args, Clone)]
pub(crate) struct Spec {
    #[command(flatten)]
    pub target: Target,
    /// Log-ins at the same time; each slot logs in again and again as its own client
    #[arg(long, short = 'n', default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// Seconds of measured log-ins
    #[arg(long, short, default_value = "5", value_parser = seconds)]
    pub duration: Duration,
    /// Seconds of log-ins before that, which are not measured
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub warm_up: Duration,
}

/// Log-ins, each a TCP connect, handshakes, CONNECT, CONNACK, DISCONNECT and close.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    pub connections: u16,
    pub connects: u64,
    /// Of them, those that resumed a TLS session; absent without TLS.
    pub resumed: Option<u64>,
    pub seconds: f64,
    pub connects_per_second: f64,
    pub server: Option<Cost>,
    pub server_cpu_us_per_connect: Option<f64>,
    /// From the TCP connect to CONNACK.
    pub latency: Summary,
}

/// Warms up and measures.
///
/// # Errors
/// As soon as the server refuses, stalls, or leaves a connection open after DISCONNECT.
pub(crate) fn run(spec: &Spec) -> Result<Report> {
    let mut turnstile = Turnstile::new(spec)?;
    if !spec.warm_up.is_zero() {
        turnstile.phase(spec.warm_up)?;
    }
    let meter = Meter::start(spec.target.pid)?;
    let started = Instant::now();
    turnstile.resumed = 0;
    let latency = turnstile.phase(spec.duration)?.summary();
    let seconds = started.elapsed().as_secs_f64();
    let server = meter.map(|meter| meter.stop()).transpose()?;
    Ok(Report {
        connections: spec.connections,
        connects: latency.count,
        resumed: spec
            .target
            .way
            .over
            .is_secure()
            .then_some(turnstile.resumed),
        seconds,
        connects_per_second: ratio(latency.count as f64, seconds),
        server_cpu_us_per_connect: server.map(|cost| cost.micros_per(latency.count)),
        server,
        latency,
    })
}

struct Turnstile<'a> {
    spec: &'a Spec,
    /// The CONNECT packet of each slot.
    packets: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    resumed: u64,
}

/// One log-in on its way.
struct Visit {
    connection: Connection,
    started: Instant,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The TCP connection is being made.
    Connecting,
    /// CONNECT is sent, or waits for the end of the handshakes.
    LoggingIn,
    /// DISCONNECT is sent. The server closes first, so that the port that waits out TIME_WAIT is its
    /// own, and the client never runs out of ports.
    Leaving,
}

impl<'a> Turnstile<'a> {
    fn new(spec: &'a Spec) -> Result<Self> {
        Ok(Self {
            spec,
            packets: (0..usize::from(spec.connections))
                .map(|n| spec.target.connect(n, KEEP_ALIVE))
                .collect(),
            buffer: vec![0; READ_BUFFER],
            resumed: 0,
        })
    }

    /// Logs in for `duration`, then lets the last ones finish.
    fn phase(&mut self, duration: Duration) -> Result<Latencies> {
        let mut poll = Poll::new().map_err(Error::machine("epoll"))?;
        let mut events = Events::with_capacity(1024);
        let mut latencies = Latencies::new()?;
        let deadline = Instant::now() + duration;
        let mut visits = (0..self.packets.len())
            .map(|slot| self.visit(&poll, slot).map(Some))
            .collect::<Result<Vec<_>>>()?;
        let mut watchdog = Watchdog::new(Instant::now());
        while visits.iter().any(Option::is_some) {
            poll.poll(&mut events, Some(TICK))
                .map_err(Error::machine("epoll"))?;
            for event in &events {
                let slot = event.token().0;
                let Some(place) = visits.get_mut(slot) else {
                    continue;
                };
                let Some(visit) = place else { continue };
                if self.turn(visit, slot, &mut latencies)? {
                    watchdog.progress(Instant::now());
                    *place = None;
                    if Instant::now() < deadline {
                        *place = Some(self.visit(&poll, slot)?);
                    }
                }
            }
            watchdog.check(Instant::now())?;
        }
        Ok(latencies)
    }

    fn visit(&self, poll: &Poll, slot: usize) -> Result<Visit> {
        let started = Instant::now();
        let connecting = || Error::machine(format!("connect to {}", self.spec.target.address));
        let stream = TcpStream::connect(self.spec.target.address).map_err(connecting())?;
        stream.set_nodelay(true).map_err(connecting())?;
        let target = &self.spec.target;
        let mut connection = Connection::new(stream, &target.way, slot, target.mqtt)?;
        connection.register(poll.registry(), Token(slot))?;
        Ok(Visit {
            connection,
            started,
            step: Step::Connecting,
        })
    }

    /// Takes a visit further; whether it is over.
    fn turn(&mut self, visit: &mut Visit, slot: usize, latencies: &mut Latencies) -> Result<bool> {
        if visit.step == Step::Connecting {
            visit
                .connection
                .send(self.packets.get(slot).map_or(&[], Vec::as_slice))?;
            visit.step = Step::LoggingIn;
            return Ok(false);
        }
        visit.connection.flush()?;
        let mut accepted = false;
        let outcome = visit
            .connection
            .receive(&mut self.buffer, |reply| match reply {
                Reply::ConnAck { code: 0, .. } => {
                    accepted = true;
                    Ok(())
                }
                Reply::ConnAck { code, .. } => Err(ServerFault::RefusedConnect {
                    connection: slot,
                    code,
                }
                .into()),
                reply => Err(misplaced(reply)),
            });
        match outcome {
            Err(Error::Server(ServerFault::Closed)) if visit.step == Step::Leaving => {
                return Ok(true);
            }
            outcome => outcome?,
        }
        if accepted {
            latencies.record(visit.started.elapsed());
            self.resumed += u64::from(visit.connection.is_resumed());
            visit.connection.send(&DISCONNECT)?;
            visit.step = Step::Leaving;
        }
        Ok(false)
    }
}
