//! Keys of a sink of type `nats`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use landfall_events::sink::nats::{NatsMode, NatsOptions};
use landfall_events::template::Template;
use serde::{Deserialize, Deserializer};

use super::tls::{Identity, Material};
use super::{DEFAULT_QUEUE, Secret, TlsClientConfig, queue_bytes, value};

/// `nats`: publishes events to NATS JetStream (CloudEvents NATS binding). Accepted means
/// acknowledged by the stream that takes the subject; the stream itself is the operator's to make.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct NatsSinkConfig {
    /// `servers`: `nats://host:4222` or `tls://…`, one or several of a cluster. No default.
    pub servers: Vec<String>,
    /// `subject`, with the fields of [`super::HttpSinkConfig::url`]; levels of a channel become
    /// tokens. Default `events.{application}.{channel}`.
    pub subject: Template,
    /// `mode`: `binary` (default) or `structured`.
    pub mode: NatsMode,
    /// `credentials_file`; or `token` or `token_file`; or `user` with `password` or `password_file`.
    pub credentials: NatsLogIn,
    /// `tls`; its `trust`, `certificate` and `key`, which are PEM files.
    pub tls: NatsTlsFiles,
    /// `require_tls`: whether the connection must be encrypted. Default `false`.
    pub require_tls: bool,
    /// `window`: publishes of one application that may wait for acknowledgements. Default 1000, from
    /// 1 to 65,536.
    pub window: usize,
    /// `timeout`: how long an acknowledgement may take. Default 5s, from 100ms to 10m. A server that
    /// is silent for three times as long (of 1s to 10s) counts as lost.
    pub timeout: Duration,
    /// As [`super::LogSinkConfig::queue_bytes`].
    pub queue_bytes: usize,
}

/// Who the sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogIn {
    /// Nobody, or who its certificate says.
    None,
    /// A credentials file: a JWT and the seed of its key.
    File(PathBuf),
    /// A token.
    Token(Secret),
    /// A user.
    User(String, Secret),
}

/// Files that the client reads by itself. All are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatsTlsFiles {
    /// Certificates that the server's may lead to. Default: the system's.
    pub trust: Option<PathBuf>,
    /// The client's own certificate chain, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl TryFrom<TlsClientConfig> for NatsTlsFiles {
    type Error = String;

    fn try_from(tls: TlsClientConfig) -> Result<Self, String> {
        let no = |key: &str| Err(format!("{key} is not available for NATS"));
        if tls.any_host_name {
            return no("tls.any_host_name");
        }
        let trust = match tls.trust {
            None => None,
            Some(store) => match (store.material, store.password) {
                (Material::File(path), None) => Some(path),
                (Material::Inline(_), _) => return no("tls.trust_data"),
                (_, Some(_)) => return no("tls.trust_password"),
            },
        };
        let identity = match tls.identity {
            None => None,
            Some(Identity::Pem {
                certificate,
                key,
                password: None,
            }) => Some((certificate, key)),
            Some(Identity::Pem { .. }) => return no("tls.key_password"),
            Some(Identity::Store(_)) => return no("tls.key_store"),
        };
        Ok(Self { trust, identity })
    }
}

impl NatsTlsFiles {
    pub(in crate::config) fn start_at(&mut self, folder: &Path) {
        let identity = self
            .identity
            .iter_mut()
            .flat_map(|(chain, key)| [chain, key]);
        for path in self.trust.iter_mut().chain(identity) {
            *path = folder.join(&path);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    servers: Vec<String>,
    #[serde(default = "default_subject")]
    subject: String,
    #[serde(default)]
    mode: Mode,
    credentials_file: Option<PathBuf>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    tls: TlsClientConfig,
    #[serde(default)]
    require_tls: bool,
    #[serde(default = "default_window")]
    window: usize,
    #[serde(default = "default_timeout", deserialize_with = "timeout")]
    timeout: Duration,
    #[serde(default = "default_queue", deserialize_with = "queue_bytes")]
    queue_bytes: usize,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Binary,
    Structured,
}

impl TryFrom<Raw> for NatsSinkConfig {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let tls = NatsTlsFiles::try_from(raw.tls)?;
        let credentials = NatsLogIn::one_of(
            raw.credentials_file,
            (raw.token, raw.token_file),
            raw.user,
            (raw.password, raw.password_file),
        )?;
        if raw.servers.is_empty() {
            return Err("`servers` names none".to_owned());
        }
        if !(1..=65_536).contains(&raw.window) {
            return Err("`window` is 1 to 65536".to_owned());
        }
        let subject =
            Template::parse(&raw.subject).map_err(|error| format!("`subject`: {error}"))?;
        NatsOptions::new(&raw.servers, subject.clone()).map_err(|error| error.to_string())?;
        Ok(Self {
            servers: raw.servers,
            subject,
            mode: match raw.mode {
                Mode::Binary => NatsMode::Binary,
                Mode::Structured => NatsMode::Structured,
            },
            credentials,
            tls,
            require_tls: raw.require_tls,
            window: raw.window,
            timeout: raw.timeout,
            queue_bytes: raw.queue_bytes,
        })
    }
}

impl NatsLogIn {
    /// One of the ways; each pair is a key and its `_file`.
    pub(in crate::config) fn one_of(
        credentials_file: Option<PathBuf>,
        token: (Option<String>, Option<PathBuf>),
        user: Option<String>,
        password: (Option<String>, Option<PathBuf>),
    ) -> Result<Self, String> {
        let token = Secret::either("token", token.0, token.1)?;
        let password = Secret::either("password", password.0, password.1)?;
        match (credentials_file, token, user, password) {
            (None, None, None, None) => Ok(Self::None),
            (Some(file), None, None, None) => Ok(Self::File(file)),
            (None, Some(token), None, None) => Ok(Self::Token(token)),
            (None, None, Some(user), Some(password)) => Ok(Self::User(user, password)),
            (None, None, ..) => Err("`user` and `password` belong together".to_owned()),
            _ => Err("says in two ways who it is: keep one".to_owned()),
        }
    }

    pub(in crate::config) fn start_at(&mut self, folder: &Path) {
        match self {
            Self::None => {}
            Self::File(path) => *path = folder.join(&path),
            Self::Token(secret) | Self::User(_, secret) => secret.start_at(folder),
        }
    }
}

impl NatsSinkConfig {
    pub(super) fn start_at(&mut self, folder: &Path) {
        self.tls.start_at(folder);
        self.credentials.start_at(folder);
    }
}

fn default_subject() -> String {
    "events.{application}.{channel}".to_owned()
}

fn default_window() -> usize {
    1_000
}

fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_queue() -> usize {
    DEFAULT_QUEUE
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let (least, most) = (Duration::from_millis(100), Duration::from_secs(600));
    value::duration_within(deserializer, least, most)
}
