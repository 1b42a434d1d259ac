//! Devices that take commands: all connections on one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::Spec;
use crate::client::{Connection, READ_BUFFER, misplaced, open};
use crate::error::{Error, Result};
use crate::mqtt::{PINGREQ, Qos, Reply, puback};

/// Long enough that pings cost nothing, in seconds.
const KEEP_ALIVE: u16 = 600;
/// What each device subscribes to.
const INBOX: &str = "command/inbox//#";
/// Longest wait for an event before the word to stop is looked for.
const TICK: Duration = Duration::from_millis(20);

/// Connected devices that acknowledge their commands.
pub(super) struct Devices {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    delivered: AtomicU64,
}

impl Devices {
    /// Logs them in and subscribes, one after the other, spread over the instances.
    pub(super) fn connect(spec: &Spec) -> Result<Self> {
        let connections = (0..spec.devices as usize)
            .map(|number| {
                let mut target = spec.target.clone();
                let turn = number % (spec.also.len() + 1);
                if let Some(address) = turn.checked_sub(1).and_then(|at| spec.also.get(at)) {
                    target.address = *address;
                }
                let inbox = Some((INBOX, Qos::AtLeastOnce));
                Ok(open(&target, number, KEEP_ALIVE, inbox)?.connection)
            })
            .collect::<Result<Vec<_>>>()?;
        let shared = Arc::<Shared>::default();
        let taker = Arc::clone(&shared);
        Ok(Self {
            shared,
            thread: Some(std::thread::spawn(move || take(connections, &taker))),
        })
    }

    /// Ends them; how many commands they got.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.shared.stop.store(true, Ordering::Release);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome?,
            Some(Err(_)) | None => {
                return Err(Error::Usage("the devices' thread failed".to_owned()));
            }
        }
        Ok(self.shared.delivered.load(Ordering::Acquire))
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn take(mut connections: Vec<Connection>, shared: &Shared) -> Result<()> {
    let mut poll = Poll::new().map_err(Error::machine("epoll"))?;
    for (number, connection) in connections.iter_mut().enumerate() {
        connection.register(poll.registry(), Token(number))?;
    }
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; READ_BUFFER];
    let mut answers = Vec::new();
    let mut pinged = Instant::now();
    while !shared.stop.load(Ordering::Acquire) {
        poll.poll(&mut events, Some(TICK))
            .map_err(Error::machine("epoll"))?;
        for event in &events {
            let Some(connection) = connections.get_mut(event.token().0) else {
                continue;
            };
            connection.flush()?;
            let mut count = 0;
            connection.receive(&mut buffer, |reply| match reply {
                Reply::Message { id, .. } => {
                    count += 1;
                    if let Some(id) = id {
                        answers.extend_from_slice(&puback(id));
                    }
                    Ok(())
                }
                Reply::Pong => Ok(()),
                reply => Err(misplaced(reply)),
            })?;
            shared.delivered.fetch_add(count, Ordering::AcqRel);
            if !answers.is_empty() {
                connection.send(&answers)?;
                answers.clear();
            }
        }
        if pinged.elapsed().as_secs() >= u64::from(KEEP_ALIVE) / 2 {
            pinged = Instant::now();
            for connection in &mut connections {
                connection.send(&PINGREQ)?;
            }
        }
    }
    Ok(())
}
