//! Following the other instances, on a connection that does nothing else.
//!
//! A notification says only that something changed; what, is read from `landfall_change`, which
//! outlives a lost connection. It is read at every heartbeat too, so that changes arrive late
//! rather than never where notifications get lost. The same heartbeat tells whether the database
//! answers: while it does not, nobody else asks.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::CHANNEL;
use super::changes::{self, Position};
use super::connect::{Connector, Driver, Failure};
use super::own::Own;
use crate::store::News;
use crate::store::health::Health;

/// How often the database is asked when nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long to wait before connecting again, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

pub(super) struct Feed {
    pub(super) connector: Connector,
    pub(super) health: Arc<Health>,
    pub(super) own: Own,
    pub(super) tell: Box<dyn Fn(News) + Send + Sync>,
    /// Somebody wants to know at once how the database is.
    pub(super) ask: Arc<Notify>,
    /// The database is there, again perhaps.
    pub(super) is_back: Arc<Notify>,
    pub(super) patience: Duration,
}

impl Feed {
    /// Follows until it is dropped.
    pub(super) async fn run(self, mut position: Position) {
        let mut backoff = BACKOFF.0;
        loop {
            match self.session(&mut position).await {
                Ok(never) => match never {},
                Err((failure, was_up)) => {
                    self.health.failed(failure.reason());
                    if was_up {
                        backoff = BACKOFF.0;
                    }
                }
            }
            sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    /// Follows on one connection until it fails; the flag says whether it was any good.
    async fn session(
        &self,
        position: &mut Position,
    ) -> Result<std::convert::Infallible, (Failure, bool)> {
        let woken = Arc::new(Notify::new());
        let mut driver = JoinSet::new();
        let connecting = async {
            let (client, connection) = self.connector.connect().await?;
            driver.spawn(drive(connection, Arc::clone(&woken)));
            client.batch_execute(&self.connector.greeting).await?;
            client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
            self.catch_up(&client, position).await?;
            Ok(client)
        };
        let client = self
            .within_patience(connecting)
            .await
            .map_err(|failure| (failure, false))?;
        self.health.recovered();
        self.is_back.notify_one();
        loop {
            tokio::select! {
                () = woken.notified() => {}
                () = self.ask.notified() => {}
                () = sleep(HEARTBEAT) => {}
                _ = driver.join_next() => {}
            }
            let followed =
                async { Ok(changes::follow(&client, *position, &self.own, &*self.tell).await?) };
            *position = self
                .within_patience(followed)
                .await
                .map_err(|failure| (failure, true))?;
            self.health.recovered();
        }
    }

    /// Tells what happened since the position, as far as that is known.
    async fn catch_up(&self, client: &Client, position: &mut Position) -> Result<(), Failure> {
        if !changes::is_known(client, *position).await? {
            *position = changes::now(client).await?;
            tracing::warn!(
                "what other instances changed meanwhile is not known: nothing in memory is relied on"
            );
            (self.tell)(News::Everything);
        }
        *position = changes::follow(client, *position, &self.own, &*self.tell).await?;
        Ok(())
    }

    async fn within_patience<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match timeout(self.patience, work).await {
            Ok(done) => done,
            Err(_) => Err(Failure::lost("the database does not answer")),
        }
    }
}

/// Drives a connection and wakes the feed at each notification, and at the connection's end.
async fn drive(mut connection: impl Driver, woken: Arc<Notify>) {
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notification(_))) => woken.notify_one(),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return woken.notify_one(),
        }
    }
}
