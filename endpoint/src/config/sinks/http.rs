//! Keys of a sink of type `http`.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use landfall_events::sink::http::{HttpMode, HttpUrl};
use serde::{Deserialize, Deserializer};

use super::{DEFAULT_QUEUE, Secret, queue_bytes, value};

/// `http`: posts events to an endpoint (CloudEvents HTTP binding). Accepted means answered with 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct HttpSinkConfig {
    /// `url`: `http://` or `https://`, in its path or query with `{application}`, `{device}`,
    /// `{sender}`, `{channel}`, `{type}` or `{instance}`, percent-encoded. No default.
    pub url: HttpUrl,
    /// `mode`: `binary` (default), `structured` or `batch`.
    pub mode: HttpMode,
    /// `headers`: further headers of every request.
    pub headers: BTreeMap<String, String>,
    /// `bearer_token` or `bearer_token_file`; or `username` with `password` or `password_file`.
    pub authorization: HttpLogIn,
    /// `tls`.
    pub tls: TlsClientConfig,
    /// `timeout`: how long a request may take. Default 10s, from 100ms to 10m.
    pub timeout: Duration,
    /// `concurrency`: requests of one application under way at once. Default 16. Events of one
    /// sender follow each other whatever it is.
    pub concurrency: NonZeroU16,
    /// `batch_events`: events of one batch at most. Default 100, from 1 to 10,000.
    pub batch_events: usize,
    /// `batch_bytes`: their bytes at most, about. Default 1MiB, from 1KiB to 64MiB.
    pub batch_bytes: usize,
    /// As [`super::LogSinkConfig::queue_bytes`].
    pub queue_bytes: usize,
}

/// Who the sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpLogIn {
    /// Nobody, or who its certificate says.
    None,
    /// The bearer of a token.
    Bearer(Secret),
    /// A user.
    Basic(String, Secret),
}

/// `[sinks.tls]`: TLS of a client. All files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsClientConfig {
    /// Certificates that the server's may lead to. Default: the system's.
    pub trust: Option<PathBuf>,
    /// The client's own certificate chain, for servers that ask; with `key`.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Accept certificates for another host name. Danger: whoever has any trusted certificate can
    /// stand in between.
    pub any_host_name: bool,
}

impl TlsClientConfig {
    pub(in crate::config) fn check(&self) -> Result<(), String> {
        if self.certificate.is_some() == self.key.is_some() {
            return Ok(());
        }
        Err("tls.certificate and tls.key belong together".to_owned())
    }

    pub(in crate::config) fn start_at(&mut self, folder: &Path) {
        let paths = [&mut self.trust, &mut self.certificate, &mut self.key];
        for path in paths.into_iter().flatten() {
            *path = folder.join(&path);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    url: String,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    bearer_token: Option<String>,
    bearer_token_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    tls: TlsClientConfig,
    #[serde(default = "default_timeout", deserialize_with = "timeout")]
    timeout: Duration,
    #[serde(default = "default_concurrency")]
    concurrency: NonZeroU16,
    #[serde(default = "default_batch_events")]
    batch_events: usize,
    #[serde(default = "default_batch_bytes", deserialize_with = "batch_bytes")]
    batch_bytes: usize,
    #[serde(default = "default_queue", deserialize_with = "queue_bytes")]
    queue_bytes: usize,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Binary,
    Structured,
    Batch,
}

impl TryFrom<Raw> for HttpSinkConfig {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        raw.tls.check()?;
        let bearer = Secret::either("bearer_token", raw.bearer_token, raw.bearer_token_file)?;
        let password = Secret::either("password", raw.password, raw.password_file)?;
        let authorization = match (bearer, raw.username, password) {
            (None, None, None) => HttpLogIn::None,
            (Some(token), None, None) => HttpLogIn::Bearer(token),
            (None, Some(username), Some(password)) => HttpLogIn::Basic(username, password),
            (None, ..) => return Err("`username` and `password` belong together".to_owned()),
            _ => return Err("has a token and a user name: keep one".to_owned()),
        };
        if !(1..=10_000).contains(&raw.batch_events) {
            return Err("`batch_events` is 1 to 10000".to_owned());
        }
        Ok(Self {
            url: HttpUrl::parse(&raw.url).map_err(|reason| format!("`url`: {reason}"))?,
            mode: match raw.mode {
                Mode::Binary => HttpMode::Binary,
                Mode::Structured => HttpMode::Structured,
                Mode::Batch => HttpMode::Batch,
            },
            headers: raw.headers,
            authorization,
            tls: raw.tls,
            timeout: raw.timeout,
            concurrency: raw.concurrency,
            batch_events: raw.batch_events,
            batch_bytes: raw.batch_bytes,
            queue_bytes: raw.queue_bytes,
        })
    }
}

impl HttpSinkConfig {
    pub(super) fn start_at(&mut self, folder: &Path) {
        self.tls.start_at(folder);
        match &mut self.authorization {
            HttpLogIn::None => {}
            HttpLogIn::Bearer(secret) | HttpLogIn::Basic(_, secret) => secret.start_at(folder),
        }
    }
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_concurrency() -> NonZeroU16 {
    const SIXTEEN: NonZeroU16 = NonZeroU16::MIN.saturating_add(15);
    SIXTEEN
}

fn default_batch_events() -> usize {
    100
}

fn default_batch_bytes() -> usize {
    1 << 20
}

fn default_queue() -> usize {
    DEFAULT_QUEUE
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let (least, most) = (Duration::from_millis(100), Duration::from_secs(600));
    value::duration_within(deserializer, least, most)
}

fn batch_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let bytes = value::size_within(deserializer, 1 << 10, 64 << 20)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}
