//! Commands over the HTTP API: connections that each have one request under way, on one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::{Load, Source, Spec};
use crate::error::{Error, Result, ServerFault};
use crate::http::{Answer, Requests, TIMEOUT};
use crate::latency::{Latencies, Summary};

/// The timer's; callers have their place in the list.
const ALARM: Token = Token(usize::MAX);

/// All connections, and what wakes them.
pub(super) struct Callers {
    poll: Poll,
    /// Precise to microseconds, where epoll counts milliseconds.
    alarm: TimerFd,
    callers: Vec<Caller>,
    /// Those without a request under way.
    free: Vec<usize>,
    application: String,
    payload: Vec<u8>,
}

struct Caller {
    stream: TcpStream,
    requests: Requests,
    /// Since when the command under way is due, from the phase's start.
    since: Duration,
    path: String,
    unsent: Vec<u8>,
    received: Vec<u8>,
}

/// When commands are due.
struct Pace {
    /// Of the phase.
    duration: Duration,
    /// Commands a second; `None`: whenever a caller is free.
    rate: Option<f64>,
    begun: u64,
}

impl Callers {
    /// Connects all of them, spread over the instances.
    pub(super) fn connect(spec: &Spec) -> Result<Self> {
        let file = spec
            .token_file
            .as_deref()
            .unwrap_or(std::path::Path::new("token"));
        let token = std::fs::read_to_string(file).map_err(Error::machine("read the API token"))?;
        let poll = Poll::new().map_err(Error::machine("epoll"))?;
        let apis = spec.api.iter().cycle().take(spec.workers.into());
        let callers = apis.enumerate().map(|(number, api)| {
            let mut caller = Caller::connect(*api, token.trim())?;
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut caller.stream, Token(number), both)
                .map_err(Error::machine("epoll"))?;
            Ok(caller)
        });
        let callers = callers.collect::<Result<Vec<_>>>()?;
        let alarm = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK);
        let alarm = alarm.map_err(|fault| Error::machine("a timer")(fault.into()))?;
        poll.registry()
            .register(
                &mut SourceFd(&alarm.as_fd().as_raw_fd()),
                ALARM,
                Interest::READABLE,
            )
            .map_err(Error::machine("epoll"))?;
        Ok(Self {
            poll,
            alarm,
            free: (0..callers.len()).collect(),
            callers,
            application: spec.application.clone(),
            payload: vec![b'x'; spec.payload.into()],
        })
    }

    /// Sends what is due, until the phase is over and everything is answered.
    fn run(&mut self, load: &Load<'_>, mut pace: Pace) -> Result<Latencies> {
        let started = Instant::now();
        let mut latencies = Latencies::new()?;
        let mut events = Events::with_capacity(1024);
        loop {
            let next = self.begin_due(load, &mut pace, started)?;
            if self.free.len() == self.callers.len() && next.is_none() {
                return Ok(latencies);
            }
            if let Some(due) = next.filter(|_| !self.free.is_empty()) {
                self.ring(due.saturating_sub(started.elapsed()))?;
            }
            self.poll
                .poll(&mut events, Some(TIMEOUT))
                .map_err(Error::machine("epoll"))?;
            if events.is_empty() {
                return Err(ServerFault::Stalled(TIMEOUT).into());
            }
            for event in &events {
                let Some(caller) = self.callers.get_mut(event.token().0) else {
                    continue;
                };
                caller.send()?;
                if caller.is_answered()? {
                    latencies.record(started.elapsed().saturating_sub(caller.since));
                    self.free.push(event.token().0);
                }
            }
        }
    }

    /// Begins what is due by now, as far as callers are free. Returns when the next command is due.
    fn begin_due(
        &mut self,
        load: &Load<'_>,
        pace: &mut Pace,
        started: Instant,
    ) -> Result<Option<Duration>> {
        loop {
            let now = started.elapsed();
            let due = pace.next(now);
            let is_due = due.is_some_and(|due| due <= now);
            let Some(caller) = is_due.then(|| self.free.pop()).flatten() else {
                return Ok(due);
            };
            pace.begun += 1;
            let (_, device) = load.next();
            if let (Some(caller), Some(since)) = (self.callers.get_mut(caller), due) {
                caller.begin(&self.application, &device, &self.payload, since)?;
            }
        }
    }

    fn ring(&self, after: Duration) -> Result<()> {
        // Zero would turn it off.
        let after =
            Expiration::OneShot(TimeSpec::from_duration(after.max(Duration::from_nanos(1))));
        let set = self.alarm.set(after, TimerSetTimeFlags::empty());
        set.map_err(|fault| Error::machine("a timer")(fault.into()))
    }
}

impl Source for Callers {
    fn saturate(&mut self, load: &Load<'_>, duration: Duration) -> Result<(Summary, f64)> {
        let started = Instant::now();
        let pace = Pace {
            duration,
            rate: None,
            begun: 0,
        };
        let summary = self.run(load, pace)?.summary();
        let per_second = summary.count as f64 / started.elapsed().as_secs_f64();
        Ok((summary, per_second))
    }

    fn at_rate(&mut self, load: &Load<'_>, rate: f64) -> Result<Summary> {
        let pace = Pace {
            duration: load.spec.duration,
            rate: Some(rate),
            begun: 0,
        };
        Ok(self.run(load, pace)?.summary())
    }
}

impl Pace {
    /// When the next command is due, if one is in this phase.
    fn next(&self, now: Duration) -> Option<Duration> {
        let due = match self.rate {
            Some(rate) => Duration::from_secs_f64(self.begun as f64 / rate),
            None => now,
        };
        (due < self.duration).then_some(due)
    }
}

impl Caller {
    fn connect(api: SocketAddr, token: &str) -> Result<Self> {
        let connecting = || Error::machine(format!("connect to {api}"));
        let stream = std::net::TcpStream::connect(api).map_err(connecting())?;
        stream.set_nodelay(true).map_err(connecting())?;
        stream.set_nonblocking(true).map_err(connecting())?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            requests: Requests::new(api, token),
            since: Duration::ZERO,
            path: String::new(),
            unsent: Vec::new(),
            received: Vec::new(),
        })
    }

    fn begin(
        &mut self,
        application: &str,
        device: &str,
        payload: &[u8],
        since: Duration,
    ) -> Result<()> {
        self.path = format!(
            "/api/command/v1alpha1/apps/{application}/devices/{device}?command=load&timeout=10"
        );
        self.since = since;
        let kind = "application/octet-stream";
        self.requests
            .post(&self.path, kind, payload, &mut self.unsent);
        self.send()
    }

    /// Writes what the socket takes.
    fn send(&mut self) -> Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                Err(fault) => return Err(Error::machine("write to the API")(fault)),
            }
        }
        Ok(())
    }

    /// Reads what there is. True: the command was acknowledged.
    fn is_answered(&mut self) -> Result<bool> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ServerFault::Closed.into()),
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.received.extend_from_slice(bytes);
                }
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => break,
                Err(fault) => return Err(Error::machine("read from the API")(fault)),
            }
        }
        let Some(answer) = Answer::read(&self.received)? else {
            return Ok(false);
        };
        self.received.drain(..answer.length);
        let told = answer.accepted(&self.path)?;
        match told.contains("\"acknowledged\"") {
            true => Ok(true),
            false => Err(ServerFault::NotAcknowledged(told).into()),
        }
    }
}
