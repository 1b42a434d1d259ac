//! QoS 0 as fast as the sockets take it, closed by a QoS 1 publish per connection.
//!
//! A socket buffer holds thousands of messages, so what was written says little about what was
//! taken. The acknowledgement of the closing publish shows that the server has taken all before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::TICK;
use super::publish::{Phase, Worker};
use crate::client::{Connection, READ_BUFFER, Watchdog, misplaced};
use crate::error::{Error, Result};
use crate::mqtt::{Ack, Reply, Train};
use crate::process::thread_cpu;

/// Send buffer of a connection. The kernel would let it grow to megabytes, and the backlog that the
/// server has to work off after the end would be longer than the measurement.
const SEND_BUFFER: usize = 128 * 1024;

/// Packet id of the closing publish.
const BARRIER_ID: u16 = 1;

/// One thread's share of the connections.
pub(super) struct Flood {
    poll: Poll,
    links: Vec<Link>,
    buffer: Vec<u8>,
}

struct Link {
    connection: Connection,
    /// QoS 0 packets; a run of all of them is written at once.
    train: Arc<Train>,
    /// A train of the one QoS 1 packet.
    barrier: Arc<Train>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Sending.
    Open,
    /// The closing publish is sent, its acknowledgement is due.
    Closing,
    /// Acknowledged.
    Closed,
}

impl Flood {
    /// Each connection comes with its QoS 0 train and its closing publish.
    pub(super) fn new(connections: Vec<(Connection, Arc<Train>, Arc<Train>)>) -> Result<Self> {
        let poll = Poll::new().map_err(Error::machine("epoll"))?;
        let mut links = Vec::with_capacity(connections.len());
        for (index, (mut connection, train, barrier)) in connections.into_iter().enumerate() {
            connection.limit_send_buffer(SEND_BUFFER)?;
            connection.register(poll.registry(), Token(index))?;
            links.push(Link {
                connection,
                train,
                barrier,
                state: State::Closed,
            });
        }
        Ok(Self {
            poll,
            links,
            buffer: vec![0; READ_BUFFER],
        })
    }

    /// One run on every connection whose socket takes it; whether any did.
    fn send_round(&mut self, deadline: Instant, phase: &mut Phase) -> Result<bool> {
        let mut any = false;
        for link in &mut self.links {
            if link.state == State::Open && link.connection.is_flushed() {
                link.send(deadline, phase)?;
                any |= link.connection.is_flushed();
            }
        }
        Ok(any)
    }
}

impl Worker for Flood {
    fn phase(&mut self, duration: Duration) -> Result<Phase> {
        let cpu = thread_cpu()?;
        let mut phase = Phase::new()?;
        let deadline = Instant::now() + duration;
        for link in &mut self.links {
            link.state = State::Open;
        }
        let mut watchdog = Watchdog::new(Instant::now());
        let mut events = Events::with_capacity(1024);
        while self.links.iter().any(|link| link.state != State::Closed) {
            let any = self.send_round(deadline, &mut phase)?;
            let timeout = if any { Duration::ZERO } else { TICK };
            self.poll
                .poll(&mut events, Some(timeout))
                .map_err(Error::machine("epoll"))?;
            for event in &events {
                if let Some(link) = self.links.get_mut(event.token().0) {
                    link.turn(event, &mut self.buffer)?;
                }
            }
            let now = Instant::now();
            if any || !events.is_empty() {
                watchdog.progress(now);
            }
            watchdog.check(now)?;
        }
        phase.finished = Instant::now();
        phase.client_cpu = thread_cpu()?.saturating_sub(cpu);
        Ok(phase)
    }
}

impl Link {
    fn send(&mut self, deadline: Instant, phase: &mut Phase) -> Result<()> {
        if Instant::now() >= deadline {
            self.state = State::Closing;
            return self.connection.send(self.barrier.run(0, 1));
        }
        let count = self.train.len();
        self.connection.send(self.train.run(0, count))?;
        phase.messages += count as u64;
        Ok(())
    }

    fn turn(&mut self, event: &Event, buffer: &mut [u8]) -> Result<()> {
        if event.is_writable() {
            self.connection.flush()?;
        }
        if !event.is_readable() {
            return Ok(());
        }
        let Self {
            connection, state, ..
        } = self;
        connection.receive(buffer, |reply| match reply {
            Reply::Ack {
                ack: Ack::PubAck,
                id: BARRIER_ID,
                reason: 0..0x80,
            } if *state == State::Closing => {
                *state = State::Closed;
                Ok(())
            }
            reply => Err(misplaced(reply)),
        })
    }
}
