//! Threads that own connections, so that no SQLite call ever runs on an async worker.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::store::Unavailable;

/// Jobs that wait for a thread, at most; a caller beyond that waits to hand its own over.
const QUEUE: usize = 1024;

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// A queue of jobs and the threads that do them, each with its own `C`.
pub(super) struct Lane<C> {
    jobs: Option<mpsc::Sender<Job<C>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<C: Send + 'static> Lane<C> {
    /// Starts one thread for each connection. When no job waits, `idle` is called until it says
    /// that there is nothing more to do.
    pub(super) fn start(
        name: &str,
        connections: Vec<C>,
        idle: fn(&mut C) -> bool,
    ) -> std::io::Result<Lane<C>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut lane = Lane {
            jobs: Some(sender),
            threads: Vec::new(),
        };
        for connection in connections {
            let receiver = Arc::clone(&receiver);
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || work(&receiver, connection, idle))?;
            lane.threads.push(thread);
        }
        Ok(lane)
    }

    /// Has a thread do the job. A job that was handed over is done even if the caller goes away.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut C) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let ended = || Unavailable("its thread has ended".to_owned());
        let (reply, answer) = oneshot::channel();
        let job: Job<C> = Box::new(move |connection| {
            let _ = reply.send(job(connection));
        });
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())
    }
}

/// Waits until all jobs are done and the connections closed, so that the file can be opened again.
impl<C> Drop for Lane<C> {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work<C>(jobs: &Mutex<mpsc::Receiver<Job<C>>>, mut connection: C, idle: fn(&mut C) -> bool) {
    let mut busy = true;
    loop {
        let next = {
            let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
            match jobs.try_recv() {
                Ok(job) => Some(job),
                Err(mpsc::error::TryRecvError::Empty) if busy => None,
                _ => match jobs.blocking_recv() {
                    Some(job) => Some(job),
                    None => return,
                },
            }
        };
        match next {
            Some(job) => {
                job(&mut connection);
                busy = true;
            }
            None => busy = idle(&mut connection),
        }
    }
}
