//! QoS 1 and 2 as fast as acknowledgements come: each connection keeps its window full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::TICK;
use super::publish::{Phase, Worker};
use crate::client::{Connection, READ_BUFFER, Settled, Watchdog, Window, misplaced};
use crate::error::{Error, Result};
use crate::mqtt::{Reply, Train, pubrel};
use crate::process::thread_cpu;

/// One thread's share of the connections.
pub(super) struct Pipeline {
    poll: Poll,
    links: Vec<Link>,
    buffer: Vec<u8>,
}

/// One connection and what is in flight on it.
struct Link {
    connection: Connection,
    window: Window,
    train: Arc<Train>,
    /// PUBREL packets that a read asked for; kept to use its memory again.
    releases: Vec<u8>,
}

impl Pipeline {
    /// Each connection's window is its train's length.
    pub(super) fn new(connections: Vec<(Connection, Arc<Train>)>) -> Result<Self> {
        let poll = Poll::new().map_err(Error::machine("epoll"))?;
        let now = Instant::now();
        let mut links = Vec::with_capacity(connections.len());
        for (index, (mut connection, train)) in connections.into_iter().enumerate() {
            connection.register(poll.registry(), Token(index))?;
            links.push(Link {
                connection,
                window: Window::new(u16::try_from(train.len()).unwrap_or(u16::MAX), now),
                train,
                releases: Vec::new(),
            });
        }
        Ok(Self {
            poll,
            links,
            buffer: vec![0; READ_BUFFER],
        })
    }
}

impl Worker for Pipeline {
    /// Sends for `duration`, then waits until everything is acknowledged; the wait is part of the time.
    fn phase(&mut self, duration: Duration) -> Result<Phase> {
        let cpu = thread_cpu()?;
        let mut phase = Phase::new()?;
        let deadline = Instant::now() + duration;
        for link in &mut self.links {
            link.fill(Instant::now())?;
        }
        let mut watchdog = Watchdog::new(Instant::now());
        let mut events = Events::with_capacity(1024);
        while self.links.iter().any(|link| link.window.in_flight() > 0) {
            self.poll
                .poll(&mut events, Some(TICK))
                .map_err(Error::machine("epoll"))?;
            let before = phase.messages;
            for event in &events {
                if let Some(link) = self.links.get_mut(event.token().0) {
                    link.turn(event, deadline, &mut self.buffer, &mut phase)?;
                }
            }
            let now = Instant::now();
            if phase.messages > before {
                watchdog.progress(now);
            }
            watchdog.check(now)?;
        }
        phase.finished = Instant::now();
        phase.client_cpu = thread_cpu()?.saturating_sub(cpu);
        phase.out_of_order = self
            .links
            .iter()
            .map(|link| link.window.out_of_order())
            .sum();
        Ok(phase)
    }
}

impl Link {
    /// Takes what the event brings and answers with as many new publishes as became free.
    fn turn(
        &mut self,
        event: &Event,
        deadline: Instant,
        buffer: &mut [u8],
        phase: &mut Phase,
    ) -> Result<()> {
        if event.is_writable() {
            self.connection.flush()?;
        }
        if event.is_readable() {
            // One clock reading for all acknowledgements of a read: they are here by now.
            let now = Instant::now();
            self.receive(now, buffer, phase)?;
            if now < deadline {
                self.fill(now)?;
            }
        }
        Ok(())
    }

    fn receive(&mut self, now: Instant, buffer: &mut [u8], phase: &mut Phase) -> Result<()> {
        let Self {
            connection,
            window,
            releases,
            ..
        } = self;
        connection.receive(buffer, |reply| {
            let Reply::Ack { ack, id, reason } = reply else {
                return Err(misplaced(reply));
            };
            match window.settle(ack, id, reason, now)? {
                Settled::Done(latency) => {
                    phase.messages += 1;
                    phase.latencies.record(latency);
                }
                Settled::Release => releases.extend_from_slice(&pubrel(id)),
            }
            Ok(())
        })?;
        if !releases.is_empty() {
            connection.send(releases)?;
            releases.clear();
        }
        Ok(())
    }

    /// Fills the window once half of it is free.
    ///
    /// Answering every single acknowledgement with a single publish would feed the server packet by
    /// packet, and measure wake-ups: it costs mosquitto a third more and the client six times as much.
    fn fill(&mut self, now: Instant) -> Result<()> {
        let room = self.window.room();
        if room * 2 >= self.train.len() {
            let first = self.window.open(room, now);
            self.connection.send(self.train.run(first, room))?;
        }
        Ok(())
    }
}
