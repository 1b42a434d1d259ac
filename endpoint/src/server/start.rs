//! Start: stores, sinks, addresses. Whatever fails is named.

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use landfall_registry::{Options, Registry};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::open_sinks::{open_sinks, reach};
use super::open_sources::{open_cluster, open_sources};
use super::{Addresses, Open, Places, Server, Shared};
use crate::alarm::Alarms;
use crate::api::{Token, TokenError};
use crate::auth::Throttle;
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterOptions};
use crate::command::CommandHub;
use crate::command::held::{HeldCommands, HeldOptions};
use crate::config::{Bind, Config, LimitsConfig, ListenerConfig};
use crate::listener::tls::{HttpTls, LoadError};
use crate::listener::{self, Bound, Entrance, Listening};
use crate::own_file;
use crate::records::{DeadSessions, Records};
use crate::rules::RuleBook;
use crate::sessions::Sessions;
use crate::telemetry::{ProcessCollector, SinkCollector, Telemetry};

/// Sockets beyond the connection limit, so that clients over the limit can be told.
const SPARE_PLACES: usize = 1_000;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made.
    #[error("cannot make the data folder {path}: {source}")]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The registry cannot be opened; the error names its file.
    #[error(transparent)]
    Registry(#[from] landfall_registry::OpenError),
    /// A file of the data folder cannot be used; the error names it.
    #[error(transparent)]
    File(#[from] own_file::OpenError),
    /// The API's first token cannot be read or made; the error names its file.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A sink cannot be opened.
    #[error("sink {name}: {reason}")]
    Sink {
        /// Its configured name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The line to the other instances cannot be opened.
    #[error("[cluster]: {0}")]
    Cluster(String),
    /// A command source cannot be opened.
    #[error("command source {name}: {reason}")]
    CommandSource {
        /// Its configured name.
        name: String,
        /// Why.
        reason: String,
    },
    /// An address cannot be bound.
    #[error("cannot listen on {address} ({role}): {source}")]
    Bind {
        /// `mqtt`, `api` or `ops`.
        role: &'static str,
        /// The address.
        address: Bind,
        /// The system's error.
        source: std::io::Error,
    },
    /// TLS of a listener cannot be set up; the error names the file.
    #[error("listener {listener}: {source}")]
    Tls {
        /// Its address.
        listener: Bind,
        /// Why.
        source: LoadError,
    },
    /// TLS of the API cannot be set up; the error names the file.
    #[error("[api.tls]: {0}")]
    ApiTls(LoadError),
    /// Metrics cannot be registered: a mistake of the program.
    #[error("metrics: {0}")]
    Telemetry(#[from] prometheus::Error),
}

pub(super) async fn start(config: Config) -> Result<Server, StartError> {
    // Addresses and certificates first: the commonest failures should leave no trace.
    let listeners = config
        .listeners
        .iter()
        .map(|listener| open_listener(listener, &config.limits))
        .collect::<Result<Vec<_>, _>>()?;
    let api_tls = config.api.tls.as_ref();
    let api_tls = api_tls
        .map(|files| HttpTls::load(files, config.limits.handshake_timeout))
        .transpose()
        .map_err(StartError::ApiTls)?;
    let api = bind("api", config.api.bind)?;
    let ops = config
        .ops
        .as_ref()
        .map(|ops| bind("ops", ops.bind))
        .transpose()?;
    let addresses = Addresses {
        listeners: listeners.iter().map(|(bound, ..)| bound.clone()).collect(),
        api: api.local_addr().unwrap_or(config.api.bind),
        ops: ops.as_ref().and_then(|ops| ops.local_addr().ok()),
    };
    make_data_dir(&config)?;
    let sources = open_sources(&config)?;
    let cluster = open_cluster(&config)?;
    let registry = open_registry(&config).await?;
    let shared = Arc::new(
        tokio::task::spawn_blocking(|| open(config, registry, cluster))
            .await
            .map_err(|error| crashed(&error))??,
    );
    reach(&shared.config, &shared.sinks).await?;
    let listeners = listeners
        .into_iter()
        .map(|(bound, sockets, entrance)| Open {
            bound,
            sockets,
            entrance,
        })
        .collect();
    Ok(Server {
        shared,
        addresses,
        listeners,
        sources,
        api,
        api_tls,
        ops,
    })
}

fn crashed(error: &tokio::task::JoinError) -> StartError {
    StartError::Sink {
        name: "start".to_owned(),
        reason: error.to_string(),
    }
}

fn bind(role: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    listener::bind(address).map_err(|source| StartError::Bind {
        role,
        address: address.into(),
        source,
    })
}

/// Binds a listener's sockets and loads its certificates.
fn open_listener(
    config: &ListenerConfig,
    limits: &LimitsConfig,
) -> Result<(Bound, Vec<Listening>, Arc<Entrance>), StartError> {
    let entrance = Entrance::new(config, limits).map_err(|source| StartError::Tls {
        listener: config.bind.clone(),
        source,
    })?;
    let failed = |source| StartError::Bind {
        role: "mqtt",
        address: config.bind.clone(),
        source,
    };
    let sockets = listener::bind_listener(config).map_err(failed)?;
    let bound = match sockets.first() {
        Some(first) => first.bound().map_err(failed)?,
        None => Bound(config.bind.clone()),
    };
    Ok((bound, sockets, Arc::new(entrance)))
}

fn make_data_dir(config: &Config) -> Result<(), StartError> {
    // What is in there is for nobody else: keys and passwords.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .map_err(|source| StartError::DataDir {
            path: config.data_dir.clone(),
            source,
        })
}

async fn open_registry(config: &Config) -> Result<Registry, StartError> {
    let keys = &config.registry;
    let registry = Registry::open(Options {
        store: keys.store_options(config.registry_file()),
        grace: keys.grace,
        hash_passwords: keys.hash_passwords,
        password_hash: keys.password_hash,
        cache_entries: keys.cache_entries.get(),
        verify_workers: keys.verify_workers.get(),
        verify_queue: keys.verify_queue.get(),
        ..Options::default()
    });
    Ok(registry.await?)
}

/// Opens the sinks; blocking.
fn open(
    config: Config,
    registry: Registry,
    cluster: Option<ClusterOptions>,
) -> Result<Shared, StartError> {
    let token = Token::load_or_create(&config.api.token_file)?;
    let (records, dead) = open_records(&config)?;
    let sinks = open_sinks(&config, &registry)?;
    let mut telemetry = Telemetry::new()?;
    if config.telemetry.is_some() {
        telemetry.trace();
    }
    telemetry
        .registry
        .register(Box::new(SinkCollector::new(sinks.all())?))?;
    telemetry
        .registry
        .register(Box::new(ProcessCollector::new(&registry)?))?;
    let instance: Arc<str> = config.instance.as_str().into();
    let sessions = Arc::new(Sessions::default());
    let queue = config.limits.command_queue.get();
    let held = HeldCommands::open(HeldOptions {
        path: config.commands_file(),
        per_device: config.limits.held_commands,
        bytes: config.limits.held_command_bytes,
        is_one_of_many: cluster.is_some(),
    })?;
    let cluster = cluster.map(|options| Arc::new(Cluster::new(options, Arc::clone(&instance))));
    if let Some(cluster) = &cluster {
        for dead in dead.all() {
            dead.sessions.iter().for_each(|due| cluster.is_due(due));
        }
    }
    let hub = Arc::new(CommandHub::new(
        registry.clone(),
        Arc::clone(&sessions),
        Arc::clone(&instance),
        queue,
        telemetry.commands.clone(),
        held,
        cluster.clone(),
    ));
    let connections = config.limits.connections.get();
    let places = Places::new(connections + connections / 10 + SPARE_PLACES);
    let throttle = Throttle::new(&config.limits);
    Ok(Shared {
        config: Arc::new(config),
        instance,
        token,
        registry,
        sinks,
        rules: RuleBook::default(),
        throttle,
        sessions,
        records,
        dead: Arc::new(dead),
        hub,
        cluster,
        telemetry,
        clock: Clock::start(),
        alarms: Alarms::default(),
        places,
        changes_seen: AtomicU64::new(0),
        reload: watch::Sender::new(()),
        stopping: watch::Sender::new(false),
        was_ready: AtomicBool::new(false),
    })
}

fn open_records(config: &Config) -> Result<(Records, DeadSessions), StartError> {
    let path = config.sessions_file();
    if config.session_records {
        return Ok(Records::open(&path)?);
    }
    if path.exists() {
        tracing::warn!(
            file = %path.display(),
            "sessions that were recorded before are not looked at: `session_records` is off"
        );
    }
    Ok((Records::none(), DeadSessions::default()))
}
