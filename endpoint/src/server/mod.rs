//! The process: everything is opened, bound, served until the word to stop, and drained.

mod changes;
mod key_material;
mod open_sinks;
mod open_sources;
mod places;
mod start;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use landfall_registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alarm::{self, Alarms};
use crate::auth::Throttle;
use crate::clock::Clock;
use crate::cluster::{self, Cluster};
use crate::command::{self, CommandHub};
use crate::config::Config;
use crate::connection::{self, Link};
use crate::listener::tls::HttpTls;
use crate::listener::{Bound, Entrance, Listening};
use crate::records::{DeadSessions, Records};
use crate::rules::RuleBook;
use crate::sessions::Sessions;
use crate::sinks::Sinks;
use crate::telemetry::{AcceptFailures, Telemetry, traces};
use crate::{
    api::{self, Token},
    listener, log,
};

use open_sources::Source;
pub use places::{Place, Places};
pub use start::StartError;

/// API requests that are still being answered when the server stops get this long.
const API_GRACE: Duration = Duration::from_secs(2);

/// The last traces get this long to be sent.
const TRACES_GRACE: Duration = Duration::from_secs(2);
/// Goodbyes that are spread are said in steps at least this far apart.
const SPREAD_STEP: Duration = Duration::from_millis(10);

/// What every part of the process shares.
pub struct Shared {
    /// The configuration it was started with.
    pub config: Arc<Config>,
    /// The configured instance name.
    pub instance: Arc<str>,
    /// The token of `api.token_file`, which may do everything.
    pub token: Token,
    /// Applications and devices.
    pub registry: Registry,
    /// Where events go.
    pub sinks: Sinks,
    /// What applications have done with their events first.
    pub rules: RuleBook,
    /// Who failed to log in how often.
    pub throttle: Throttle,
    /// Who is connected.
    pub sessions: Arc<Sessions>,
    /// What is due of them if the process dies.
    pub records: Records,
    /// Sessions of the process before of which something is due.
    pub dead: Arc<DeadSessions>,
    /// The way of commands.
    pub hub: Arc<CommandHub>,
    /// The line to other instances, if there may be any.
    pub cluster: Option<Arc<Cluster>>,
    /// Metrics.
    pub telemetry: Telemetry,
    /// The clock of all sessions.
    pub clock: Clock,
    /// What wakes connections when their time has come.
    pub alarms: Alarms,
    /// Places for sockets.
    pub places: Places,
    /// Changes of the registry that the table of connections was looked through for.
    changes_seen: AtomicU64,
    /// Asks for files to be loaded again.
    reload: watch::Sender<()>,
    stopping: watch::Sender<bool>,
    /// Whether the server has been ready since its start.
    was_ready: AtomicBool,
}

impl Shared {
    /// Whether the server has been told to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Has certificates and keys loaded again, without ending any connection.
    pub fn reload(&self) {
        self.reload.send_replace(());
    }

    /// How many changes of the registry have acted on the connections in the table: one that enters
    /// while this rises has to be [checked](Self::check) by itself.
    pub fn changes_seen(&self) -> u64 {
        self.changes_seen.load(Ordering::SeqCst)
    }

    /// Closes a connection whose device or credential is gone meanwhile; else gives it the newest
    /// documents.
    pub async fn check(&self, link: Arc<Link>) {
        changes::check_one(link, self).await;
    }

    /// Waits until the server is told to stop.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives in `self`, so there is no other way out than the word to stop.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Whether the server has been ready at least once since it was started.
    ///
    /// # Errors
    ///
    /// The reasons why it is not yet, without secrets.
    pub async fn has_started(&self) -> Result<(), Vec<String>> {
        if self.was_ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.readiness().await
    }

    /// Whether devices can be served now.
    ///
    /// # Errors
    ///
    /// The reasons why not, without secrets.
    pub async fn readiness(&self) -> Result<(), Vec<String>> {
        let mut reasons = self.sinks.problems();
        if let Err(error) = self.registry.health().await {
            reasons.push(error.to_string());
        }
        if self.is_stopping() {
            reasons.push("the server stops".to_owned());
        }
        if reasons.is_empty() {
            self.was_ready.store(true, Ordering::Relaxed);
            Ok(())
        } else {
            Err(reasons)
        }
    }
}

/// The addresses that were really bound.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// In the order of the configuration.
    pub listeners: Vec<Bound>,
    /// HTTP API.
    pub api: SocketAddr,
    /// Metrics and health.
    pub ops: Option<SocketAddr>,
}

/// A server that is bound and not serving yet.
pub struct Server {
    shared: Arc<Shared>,
    addresses: Addresses,
    listeners: Vec<Open>,
    sources: Vec<Source>,
    api: TcpListener,
    api_tls: Option<HttpTls>,
    ops: Option<TcpListener>,
}

/// A listener that is bound.
struct Open {
    bound: Bound,
    /// As many as it has accept loops.
    sockets: Vec<Listening>,
    entrance: Arc<Entrance>,
}

impl Server {
    /// Opens the stores and sinks and binds all addresses.
    ///
    /// # Errors
    ///
    /// [`StartError`] names the file, the sink or the address.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        start::start(config).await
    }

    /// What the parts share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The addresses that were bound.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves until `shutdown`, then drains: no new connections, publishes in flight are taken and
    /// acknowledged, devices are told, wills and events reach the sinks, the sinks are closed.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self {
            shared,
            listeners,
            sources,
            addresses,
            api,
            api_tls,
            ops,
        } = self;
        let mut tasks = JoinSet::new();
        for listener in listeners {
            listener.serve(&shared, &mut tasks);
        }
        tasks.spawn(alarm::run(Arc::clone(&shared)));
        tasks.spawn(log::tell_left_out());
        tasks.spawn(changes::watch(Arc::clone(&shared)));
        if let (Some(tracer), Some(to)) = (&shared.telemetry.tracer, &shared.config.telemetry) {
            let (tracer, address) = (Arc::clone(tracer), to.otlp_endpoint.clone());
            tasks.spawn(traces::run(tracer, address, Arc::clone(&shared.instance)));
        }
        if let Some(cluster) = &shared.cluster {
            tasks.spawn(cluster::run(Arc::clone(cluster), Arc::clone(&shared)));
        }
        for source in sources {
            let up = &shared.telemetry.command_source_up;
            let up = up.with_label_values(&[source.name()]);
            tasks.spawn(source.run(Arc::clone(&shared.hub), up));
        }
        tasks.spawn(command::held::sweep(Arc::clone(&shared.hub)));
        tasks.spawn(connection::settle_all(Arc::clone(&shared)));
        if let Some(tls) = &api_tls {
            let (files, name) = (Arc::clone(tls.files()), addresses.api.to_string());
            tasks.spawn(listener::tls::watch(files, name, shared.reload.subscribe()));
        }
        let (end_http, http_ended) = watch::channel(false);
        let mut http = JoinSet::new();
        http.spawn(api::serve(
            api,
            api_tls,
            api::router(Arc::clone(&shared)),
            http_ended.clone(),
            accept_failed(addresses.api, &shared),
        ));
        if let (Some(ops), Some(address)) = (ops, addresses.ops) {
            http.spawn(api::serve(
                ops,
                None,
                api::ops_router(Arc::clone(&shared)),
                http_ended,
                accept_failed(address, &shared),
            ));
        }
        shutdown.await;
        shared.stopping.send_replace(true);
        drain(&shared).await;
        if let Some(tracer) = &shared.telemetry.tracer {
            tracer.flush(TRACES_GRACE).await;
        }
        end_http.send_replace(true);
        let ended = async { while http.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(API_GRACE, ended).await;
        tasks.abort_all();
    }
}

/// What counts and logs failures to accept HTTP connections.
fn accept_failed(address: SocketAddr, shared: &Arc<Shared>) -> impl FnMut(&io::Error) + use<> {
    let mut failures = AcceptFailures::of(Bound(address.into()));
    let shared = Arc::clone(shared);
    move |error| failures.emit(error, &shared.telemetry, shared.clock.now())
}

impl Open {
    /// Starts its accept loops, and the look-out for new certificates.
    fn serve(self, shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
        if let Some(tls) = self.entrance.tls() {
            let tls = Arc::clone(tls);
            let name = self.bound.to_string();
            tasks.spawn(listener::tls::watch(tls, name, shared.reload.subscribe()));
        }
        for socket in self.sockets {
            let (bound, entrance) = (self.bound.clone(), Arc::clone(&self.entrance));
            let shared = Arc::clone(shared);
            tasks.spawn(listener::serve(bound, socket, entrance, shared));
        }
    }
}

/// Asks the connections to end one after the other, evenly over `drain_spread`: whoever takes over
/// gets them at that pace.
async fn spread_goodbyes(shared: &Arc<Shared>) {
    let spread = shared.config.limits.drain_spread;
    let links = shared.sessions.all();
    if spread.is_zero() || links.is_empty() {
        return;
    }
    let steps = spread.as_millis().div_ceil(SPREAD_STEP.as_millis());
    let steps = usize::try_from(steps)
        .unwrap_or(usize::MAX)
        .clamp(1, links.len());
    let mut ticks = tokio::time::interval(spread / u32::try_from(steps).unwrap_or(u32::MAX));
    for some in links.chunks(links.len().div_ceil(steps)) {
        ticks.tick().await;
        for link in some {
            link.stop();
        }
    }
}

/// Says goodbye to all devices, waits for their last events, and closes the sinks.
async fn drain(shared: &Arc<Shared>) {
    let patience = shared.config.limits.drain_timeout;
    tracing::info!(connections = shared.sessions.len(), "stopping");
    spread_goodbyes(shared).await;
    let goodbye = async {
        loop {
            // Again and again: a device that was logging in has entered the table by now.
            for link in shared.sessions.all() {
                link.stop();
            }
            let all_free =
                tokio::time::timeout(Duration::from_millis(200), shared.places.all_free());
            if all_free.await.is_ok() {
                return;
            }
        }
    };
    if tokio::time::timeout(patience, goodbye).await.is_err() {
        tracing::warn!(
            connections = shared.sessions.len(),
            "connections did not end in time"
        );
    }
    shared.sinks.close(patience).await;
    // Behind the sinks: what they have accepted need not be said again.
    let shared = Arc::clone(shared);
    let closing = tokio::task::spawn_blocking(move || shared.records.close());
    if closing.await.is_err() {
        tracing::error!("closing the records of sessions failed");
    }
    tracing::info!("stopped");
}
