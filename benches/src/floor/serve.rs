//! Sockets of the floor server.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use super::Spec;
use super::answer::{Dialogue, answer};
use super::count::{Counters, Counts};
use crate::error::{Error, Result};

const READ_BUFFER: usize = 64 * 1024;
/// Largest packet that may be cut between two reads.
const MAX_PACKET: usize = 1 << 20;

thread_local! {
    /// Serves whichever connection this worker is reading: idle connections own no buffer.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch {
        buffer: vec![0; READ_BUFFER],
        answers: Vec::with_capacity(READ_BUFFER),
    });
}

struct Scratch {
    buffer: Vec<u8>,
    answers: Vec<u8>,
}

/// Serves until SIGTERM or SIGINT, and tells what it has taken.
///
/// # Errors
/// `Machine` if the address cannot be bound.
pub(crate) fn run(spec: &Spec) -> Result<Counts> {
    // A server is not the place to fail for want of descriptors: take what there is.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = spec.workers {
        runtime.worker_threads(workers.into());
    }
    runtime
        .enable_all()
        .build()
        .map_err(Error::machine("start the runtime"))?
        .block_on(listen(spec))
}

async fn listen(spec: &Spec) -> Result<Counts> {
    let listener = TcpListener::bind(spec.bind)
        .await
        .map_err(Error::machine(format!("listen on {}", spec.bind)))?;
    announce(&listener).map_err(Error::machine("write to standard output"))?;
    let counters = Arc::new(Counters::default());
    let accepting = tokio::spawn(accept(listener, Arc::clone(&counters)));
    asked_to_stop().await.map_err(Error::machine("signals"))?;
    accepting.abort();
    Ok(counters.read())
}

fn announce(listener: &TcpListener) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {}", listener.local_addr()?)?;
    out.flush()
}

async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

async fn accept(listener: TcpListener, counters: Arc<Counters>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if stream.set_nodelay(true).is_ok() => {
                tokio::spawn(attend(stream, Arc::clone(&counters)));
            }
            // The client is gone already, or descriptors have run out until another leaves.
            Ok(_) | Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Serves one connection until it leaves. All that a waiting connection keeps is in this future.
async fn attend(stream: TcpStream, counters: Arc<Counters>) {
    let mut guest = Guest {
        stream,
        dialogue: Dialogue::default(),
        cut: Vec::new(),
        unsent: Vec::new(),
    };
    while let Ok(Next::Flush) = poll_fn(|context| guest.poll_serve(context, &counters)).await {
        if guest.flush().await.is_err() {
            return;
        }
    }
}

struct Guest {
    stream: TcpStream,
    dialogue: Dialogue,
    /// Start of a packet whose end has not come; empty between packets.
    cut: Vec<u8>,
    /// Answers that the socket did not take; reading waits for it.
    unsent: Vec<u8>,
}

enum Next {
    /// The socket does not take the answers now.
    Flush,
    Leave,
}

impl Guest {
    /// Reads and answers until the socket is empty (pending), full, or done with.
    fn poll_serve(
        &mut self,
        context: &mut Context<'_>,
        counters: &Counters,
    ) -> Poll<io::Result<Next>> {
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut buffer = ReadBuf::new(&mut scratch.buffer);
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Poll::Ready(Ok(Next::Leave));
                }
                scratch.answers.clear();
                let leave = self.take(buffer.filled(), &mut scratch.answers, counters)?;
                self.send(&scratch.answers)?;
                if leave {
                    return Poll::Ready(Ok(Next::Leave));
                }
                if !self.unsent.is_empty() {
                    return Poll::Ready(Ok(Next::Flush));
                }
            }
        })
    }

    /// Answers what has come; whether the client leaves.
    fn take(
        &mut self,
        bytes: &[u8],
        answers: &mut Vec<u8>,
        counters: &Counters,
    ) -> io::Result<bool> {
        let unanswerable = |_| io::Error::from(ErrorKind::InvalidData);
        let mut counts = Counts::default();
        let dialogue = &mut self.dialogue;
        let answered = if self.cut.is_empty() {
            let answered = answer(dialogue, bytes, answers, &mut counts).map_err(unanswerable)?;
            self.cut
                .extend_from_slice(bytes.get(answered.taken..).unwrap_or_default());
            answered
        } else {
            self.cut.extend_from_slice(bytes);
            let answered =
                answer(dialogue, &self.cut, answers, &mut counts).map_err(unanswerable)?;
            self.cut.drain(..answered.taken);
            answered
        };
        counters.add(&counts);
        if self.cut.len() > MAX_PACKET {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(answered.leave)
    }

    /// Writes what the socket takes now and keeps the rest.
    fn send(&mut self, answers: &[u8]) -> io::Result<()> {
        if answers.is_empty() {
            return Ok(());
        }
        let taken = match self.stream.try_write(answers) {
            Ok(taken) => taken,
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => 0,
            Err(fault) => return Err(fault),
        };
        self.unsent
            .extend_from_slice(answers.get(taken..).unwrap_or_default());
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(&self.unsent) {
                Ok(taken) => drop(self.unsent.drain(..taken)),
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}
