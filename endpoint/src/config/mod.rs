//! Configuration: one TOML file, with overrides from the environment, parsed into types that
//! cannot hold what the server cannot run with.
//!
//! - The file is read once, at start. Each section has a file here; every option says what it
//!   means, its default, its unit and its danger; [`mod@reference`] says it to those who write the file.
//! - An environment variable `LANDFALL__SECTION__KEY` overrides the file, in lists
//!   `LANDFALL__SINKS__0__TYPE`: the head of `source` has the rules.
//! - Relative paths start at the folder of the config file.
//! - Durations and sizes are strings with a unit (`"30s"`, `"64KiB"`): see [`value`].
//! - Unknown keys are refused, with the line (or the variable) that holds them.

mod api;
mod cluster;
mod command_sources;
mod error;
mod limits;
mod listener;
mod logging;
mod nats;
mod ops;
pub mod reference;
mod registry;
mod sinks;
mod source;
mod telemetry;
#[cfg(test)]
mod tests;
pub mod value;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use error::Flaw;
use source::Source;

pub use api::ApiConfig;
pub use cluster::ClusterConfig;
#[cfg(feature = "kafka")]
pub use command_sources::KafkaSourceConfig;
pub use command_sources::{CommandSourceConfig, MqttSourceConfig, NatsSourceConfig, SourceKind};
pub use error::{ConfigError, Place};
pub use limits::LimitsConfig;
pub use listener::{
    AnonymousDevice, Bind, CertificateFiles, ListenerConfig, Network, TlsConfig, TlsVersion,
    Transport, Trusted, WebSocketConfig,
};
pub use logging::{LogConfig, LogFormat};
pub use nats::NatsAccess;
pub use ops::OpsConfig;
pub use registry::{RegistryConfig, Store};
#[cfg(feature = "kafka")]
pub use sinks::KafkaSinkConfig;
pub use sinks::{
    FileSinkConfig, HttpLogIn, HttpSinkConfig, Identity, KeyStore, LogSinkConfig, Material,
    MqttSinkConfig, NatsLogIn, NatsSinkConfig, NatsTlsFiles, Secret, SinkConfig, SinkKind,
    StdoutSinkConfig, TlsClientConfig,
};
pub use telemetry::TelemetryConfig;

/// Everything the server is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of this process in events (attribute `instance`), command answers and logs.
    /// 1 to 255 bytes without control characters. Default `landfall`. Give each instance of a
    /// fleet its own.
    pub instance: String,
    /// Folder of the server's own files: `registry.db`, `events.db`, `commands.db`, `sessions.db`
    /// and, by default, `token`.
    /// Made on first start. No default. Danger: one running process per folder,
    /// on a local disk; SQLite's locks do not hold on network file systems.
    pub data_dir: PathBuf,
    /// Whether each session is recorded on disk before its device is let in. Default `true`. Danger:
    /// without, wills and `false` connection events of sessions that a crash ends are lost.
    pub session_records: bool,
    /// Where devices connect: `[[listeners]]`, at least one.
    pub listeners: Vec<ListenerConfig>,
    /// What one connection, and all of them, may take: `[limits]`.
    pub limits: LimitsConfig,
    /// The HTTP API: `[api]`.
    pub api: ApiConfig,
    /// Metrics and health: `[ops]`. Not served without this section.
    pub ops: Option<OpsConfig>,
    /// Applications, devices and their credentials: `[registry]`.
    pub registry: RegistryConfig,
    /// Where events go: `[[sinks]]`. None given: one durable log named `events`.
    pub sinks: Vec<SinkConfig>,
    /// Where commands come from, beside HTTP: `[[command_sources]]`.
    pub command_sources: Vec<CommandSourceConfig>,
    /// The other instances: `[cluster]`. Without it there are none.
    pub cluster: Option<ClusterConfig>,
    /// Traces: `[telemetry]`. Without it there are none.
    pub telemetry: Option<TelemetryConfig>,
    /// The process's own log: `[log]`.
    pub log: LogConfig,
}

impl Config {
    /// Reads the file at `path` and lays `LANDFALL__…` variables of the environment over it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Read`] if the file cannot be read as UTF-8 text; [`ConfigError::Invalid`]
    /// with file and line, or with the variable, for what is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path, environment())
    }

    /// As [`Config::load`], from text: `path` names it in errors, and its folder is where relative
    /// paths start.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`].
    pub fn parse(
        text: &str,
        path: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let folder = folder_of(path);
        let source = Source::new(text, path, variables)?;
        let (root, sinks) = source.tree()?;
        let parsed: Result<Self, Flaw> = Root::deserialize(root)
            .map_err(Flaw::from)
            .and_then(|root| root.resolve(sinks, &folder));
        parsed.map_err(|flaw| source.blame(flaw))
    }

    /// The registry's database.
    pub fn registry_file(&self) -> PathBuf {
        self.data_dir.join("registry.db")
    }

    /// Where the sink of that name spills to.
    pub fn spill_file(&self, sink: &str) -> PathBuf {
        self.data_dir.join(format!("spill-{sink}.db"))
    }

    /// The database of the durable log.
    pub fn events_file(&self) -> PathBuf {
        self.data_dir.join("events.db")
    }

    /// The database of held commands.
    pub fn commands_file(&self) -> PathBuf {
        self.data_dir.join("commands.db")
    }

    /// The database of session records.
    pub fn sessions_file(&self) -> PathBuf {
        self.data_dir.join("sessions.db")
    }

    /// What is legal, but seldom meant: one sentence each, for the log and `check-config`.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for listener in &self.listeners {
            if !listener.bind.is_local() && listener.tls.is_none() {
                warnings.push(format!(
                    "listener {} has no TLS: passwords and data cross the network in clear text",
                    listener.bind
                ));
            }
            if listener.tls.as_ref().is_some_and(|tls| tls.legacy_rsa) {
                warnings.push(format!(
                    "listener {} serves RSA key exchange: whoever gets its key later can read what \
                     was recorded",
                    listener.bind
                ));
            }
        }
        if !self.api.bind.ip().is_loopback() && self.api.tls.is_none() {
            warnings.push(format!(
                "api {} is plain HTTP: only the proxy in front of it should be able to reach it",
                self.api.bind
            ));
        }
        let postgres = self.registry.url.as_ref();
        if postgres.is_some_and(landfall_registry::PostgresUrl::is_plain_and_remote) {
            warnings.push(
                "[registry] url switches TLS off: passwords and documents cross the network in \
                 clear text"
                    .to_owned(),
            );
        }
        let durable = |sink: &SinkConfig| sink.required && sink.kind.is_durable();
        if !self.sinks.iter().any(durable) {
            warnings
                .push("no required sink is durable: an acknowledged event can be lost".to_owned());
        }
        warnings
    }
}

/// The `LANDFALL__…` variables of this process. What is not UTF-8 cannot be one of ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::path::absolute(folder).unwrap_or_else(|_| match folder.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => folder.to_owned(),
    })
}

/// The file's root, as written; `sinks` is taken out before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    #[serde(default = "default_instance")]
    instance: Spanned<String>,
    data_dir: Option<Spanned<PathBuf>>,
    #[serde(default = "on")]
    session_records: bool,
    #[serde(default)]
    listeners: Vec<listener::RawListener>,
    #[serde(default)]
    limits: LimitsConfig,
    #[serde(default)]
    api: api::RawApi,
    ops: Option<ops::RawOps>,
    #[serde(default)]
    registry: RegistryConfig,
    #[serde(default)]
    command_sources: Vec<CommandSourceConfig>,
    cluster: Option<ClusterConfig>,
    telemetry: Option<TelemetryConfig>,
    #[serde(default)]
    log: LogConfig,
}

fn on() -> bool {
    true
}

fn default_instance() -> Spanned<String> {
    Spanned::new(0..0, "landfall".to_owned())
}

impl Root {
    fn resolve(self, sinks: Vec<sinks::RawSink>, folder: &Path) -> Result<Config, Flaw> {
        if self.listeners.is_empty() {
            return Err(Flaw::whole(
                "there is no [[listeners]] section: at least one is needed",
            ));
        }
        let data_dir = match self.data_dir {
            Some(data_dir) if data_dir.get_ref().as_os_str().is_empty() => {
                return Err(Flaw::at(&data_dir, "data_dir is empty"));
            }
            Some(data_dir) => folder.join(data_dir.into_inner()),
            None => return Err(Flaw::whole("data_dir is missing: name a folder")),
        };
        let mut binds = Binds::default();
        for listener in &self.listeners {
            binds.claim("a listener", &listener.bind)?;
        }
        let tcp =
            |bind: &Spanned<SocketAddr>| Spanned::new(bind.span(), Bind::Tcp(*bind.get_ref()));
        binds.claim("[api]", &tcp(&self.api.bind))?;
        if let Some(ops) = &self.ops {
            binds.claim("[ops]", &tcp(&ops.bind))?;
        }
        Ok(Config {
            instance: instance(self.instance)?,
            session_records: self.session_records,
            listeners: self
                .listeners
                .into_iter()
                .map(|listener| listener.resolve(folder))
                .collect::<Result<_, _>>()?,
            limits: self.limits,
            api: self.api.resolve(folder, &data_dir)?,
            ops: self.ops.map(ops::RawOps::resolve),
            registry: self.registry.resolve(folder)?,
            sinks: sinks::resolve(sinks, folder)?,
            command_sources: command_sources::resolve(self.command_sources, folder)
                .map_err(Flaw::whole)?,
            cluster: self.cluster.map(|mut cluster| {
                cluster.start_at(folder);
                cluster
            }),
            telemetry: self.telemetry,
            log: self.log,
            data_dir,
        })
    }
}

fn instance(name: Spanned<String>) -> Result<String, Flaw> {
    let text = name.get_ref();
    if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        return Err(Flaw::at(
            &name,
            "instance is 1 to 255 bytes without control characters",
        ));
    }
    Ok(name.into_inner())
}

/// The addresses spoken for so far, to name two sections that want the same one.
#[derive(Default)]
struct Binds(Vec<(&'static str, Bind)>);

impl Binds {
    fn claim(&mut self, who: &'static str, bind: &Spanned<Bind>) -> Result<(), Flaw> {
        let address = bind.get_ref();
        // Port 0 asks the system for a free one.
        let any = address.tcp().is_some_and(|tcp| tcp.port() == 0);
        let taken = self.0.iter().find(|(_, other)| !any && other == address);
        if let Some((holder, _)) = taken {
            return Err(Flaw::at(
                bind,
                format_args!("{who} cannot have {address}: {holder} has it"),
            ));
        }
        self.0.push((who, address.clone()));
        Ok(())
    }
}
