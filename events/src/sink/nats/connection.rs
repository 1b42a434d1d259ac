//! One connection to a NATS server, which ends for good when it is lost.
//!
//! The client would connect again by itself, and first send what it still held: behind a gap where
//! earlier publishes were lost with the old connection. Order is only kept if those go again first.
//! So a client lives in a runtime of its own, and both end with the connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Event;
use async_nats::jetstream;
use async_nats::jetstream::context::ContextBuilder;
use tokio::runtime::{Builder, Runtime};

use super::NatsOptions;

/// How often the server is asked whether it is there, within these bounds once in each acknowledgement's
/// time. Three in vain, and the connection is lost: a server that vanished without a word is left
/// before devices lose their patience.
const LEAST_PING: Duration = Duration::from_secs(1);
const MOST_PING: Duration = Duration::from_secs(10);

/// Longer than any server stays away; nothing is waited for: the runtime ends before.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

pub(super) struct Connection {
    home: Owner,
    context: jetstream::Context,
}

/// Ends the client with itself, also when connecting is given up half-way.
#[derive(Default)]
struct Owner(Home);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The runtime, until the connection is lost.
#[derive(Clone, Default)]
struct Home(Arc<Mutex<Option<Runtime>>>);

impl Connection {
    /// Connects to one of the servers.
    ///
    /// The error is for log and readiness, and shows no secret.
    pub(super) async fn open(name: &str, options: &NatsOptions) -> Result<Self, String> {
        let home = Owner::default();
        let is_connected = Arc::new(AtomicBool::new(false));
        let (lost, connected) = (home.0.clone(), Arc::clone(&is_connected));
        let connect = options
            .connect(name)
            .map_err(|error| error.to_string())?
            .ping_interval(options.timeout.clamp(LEAST_PING, MOST_PING))
            .event_callback(move |event| {
                if event == Event::Disconnected {
                    lost.end();
                }
                std::future::ready(())
            })
            .reconnect_delay_callback(move |_| {
                if connected.load(Ordering::SeqCst) {
                    NEVER
                } else {
                    Duration::ZERO
                }
            });
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(format!("sink-{name}"))
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let servers = options.servers.clone();
        let connecting = runtime.spawn(async move { connect.connect(servers).await });
        home.0.begin(runtime);
        let connected = connecting.await;
        let client = connected
            .map_err(|_| "the client broke off".to_owned())?
            .map_err(|error| error.to_string())?;
        is_connected.store(true, Ordering::SeqCst);
        let context = ContextBuilder::new()
            .ack_timeout(options.timeout)
            // The window is kept by the sink.
            .backpressure_on_inflight(false)
            .build(client);
        Ok(Self { home, context })
    }

    /// The context to publish with, unless the connection is lost.
    pub(super) fn context(&self) -> Option<&jetstream::Context> {
        self.home.0.is_inhabited().then_some(&self.context)
    }
}

impl Home {
    fn begin(&self, runtime: Runtime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime);
    }

    fn is_inhabited(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Ends everything that the client does. Acknowledgements that are waited for break off.
    fn end(&self) {
        let runtime = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}
