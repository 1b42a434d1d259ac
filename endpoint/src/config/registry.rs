//! `[registry]`: applications, devices and their credentials.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use landfall_registry::{PasswordHash, PostgresOptions, PostgresUrl, StoreOptions};
use serde::{Deserialize, Deserializer, de::Error};

use super::error::Flaw;
use super::value::duration_within;

/// Where devices are kept, and what checking their passwords may cost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// Where documents are stored. Default `sqlite`: `registry.db` in `data_dir`. `postgres`: a
    /// PostgreSQL database, which several instances may share; it needs `url`.
    pub store: Store,
    /// The database: `postgres://user:password@host:5432/database`. No default. Best given as
    /// `LANDFALL__REGISTRY__URL`, so that the file holds no password. A host other than this one is
    /// spoken to over TLS and has to prove its name. Danger: with `?sslmode=disable` passwords and
    /// documents cross the network in clear text.
    #[serde(deserialize_with = "url")]
    pub url: Option<PostgresUrl>,
    /// PEM file of the authorities that may vouch for the database's host. Default: those that the
    /// operating system trusts.
    pub ca_certificates: Option<PathBuf>,
    /// Connections to the database at most, beside one that listens for changes. Default 8, at
    /// most 1,000.
    #[serde(deserialize_with = "pool_size")]
    pub pool_size: NonZeroUsize,
    /// How long to wait for the database's host, and for a free connection. Default 5s; 10ms to
    /// 10m.
    #[serde(deserialize_with = "timeout")]
    pub connect_timeout: Duration,
    /// How long to wait for an answer of the database. Default 5s; 10ms to 10m. A write gets six
    /// times as long.
    #[serde(deserialize_with = "timeout")]
    pub query_timeout: Duration,
    /// While the store is away, devices in memory may log in for this long; others are told "server
    /// unavailable", and after it all. Live connections go on. Default 5m; up to 7d. Danger: a
    /// device that was disabled or deleted by another instance logs in for this long.
    #[serde(deserialize_with = "grace")]
    pub grace: Duration,
    /// Whether plain passwords handed in are stored hashed. Default `true`. Danger: with `false`
    /// whoever reads the file, or a backup of it, knows the passwords.
    pub hash_passwords: bool,
    /// By which hash; passwords written from now on. Default `argon2id`, good for every password.
    /// Danger: `blake2s-random-secrets` is so fast that it protects only random secrets of at least
    /// 128 bits, made by machines; whoever reads the file finds any that a person chose.
    #[serde(deserialize_with = "password_hash")]
    pub password_hash: PasswordHash,
    /// Devices kept in memory for log-ins and gateway checks, and answers "no such device". Default
    /// 100,000, about 170MiB when full. At least 16.
    #[serde(deserialize_with = "cache_entries")]
    pub cache_entries: NonZeroUsize,
    /// Passwords checked at once by slow hashes, and as many again for documents. Default: the
    /// number of CPUs; at most 1,024. Each check takes 19MiB while it runs, up to 128MiB if
    /// documents bring hashes that want more.
    #[serde(deserialize_with = "verify_workers")]
    pub verify_workers: NonZeroUsize,
    /// Log-ins that may wait for such a check; one more is told "server busy". Default 1,024, at
    /// most 1,000,000.
    #[serde(deserialize_with = "verify_queue")]
    pub verify_queue: NonZeroUsize,
}

/// A kind of registry store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// One embedded SQLite file.
    #[default]
    Sqlite,
    /// A PostgreSQL database.
    Postgres,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        const fn non_zero(n: usize) -> NonZeroUsize {
            match NonZeroUsize::new(n) {
                Some(n) => n,
                None => NonZeroUsize::MIN,
            }
        }
        Self {
            store: Store::default(),
            url: None,
            ca_certificates: None,
            pool_size: non_zero(8),
            connect_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(5),
            grace: Duration::from_secs(300),
            hash_passwords: true,
            password_hash: PasswordHash::default(),
            cache_entries: non_zero(100_000),
            verify_workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            verify_queue: non_zero(1_024),
        }
    }
}

impl RegistryConfig {
    /// Checks what the keys say together; relative paths start at `folder`.
    pub(super) fn resolve(mut self, folder: &Path) -> Result<Self, Flaw> {
        match (self.store, &self.url) {
            (Store::Postgres, None) => {
                return Err(Flaw::whole(
                    "[registry] has store = \"postgres\" and no url: give it there or as \
                     LANDFALL__REGISTRY__URL",
                ));
            }
            (Store::Sqlite, Some(_)) => {
                return Err(Flaw::whole(
                    "[registry] has a url, but its store is \"sqlite\": say store = \"postgres\"",
                ));
            }
            _ => {}
        }
        self.ca_certificates = self.ca_certificates.map(|path| folder.join(path));
        Ok(self)
    }

    /// How the registry opens its store, which is `file` for SQLite.
    pub fn store_options(&self, file: PathBuf) -> StoreOptions {
        match &self.url {
            Some(url) if self.store == Store::Postgres => StoreOptions::Postgres(PostgresOptions {
                url: url.clone(),
                ca_certificates: self.ca_certificates.clone(),
                pool_size: self.pool_size.get(),
                connect_timeout: self.connect_timeout,
                query_timeout: self.query_timeout,
            }),
            _ => StoreOptions::Sqlite(file),
        }
    }
}

/// Nothing of a wrong one is told: it may hold a password.
fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PostgresUrl>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map(Some)
        .map_err(|error| D::Error::custom(format_args!("url {error}")))
}

fn pool_size<'de, D: Deserializer<'de>>(d: D) -> Result<NonZeroUsize, D::Error> {
    within(d, 1, 1_000)
}

fn timeout<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    duration_within(d, Duration::from_millis(10), Duration::from_secs(600))
}

fn grace<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    duration_within(d, Duration::ZERO, Duration::from_secs(7 * 86_400))
}

fn password_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PasswordHash, D::Error> {
    let name = String::deserialize(deserializer)?;
    match name.as_str() {
        "argon2id" => Ok(PasswordHash::Argon2id),
        "blake2s-random-secrets" => Ok(PasswordHash::Blake2sRandomSecrets),
        _ => Err(D::Error::custom(format_args!(
            "unknown password hash `{name}`; there are `argon2id` and, for random secrets made by \
             machines only, `blake2s-random-secrets`"
        ))),
    }
}

fn cache_entries<'de, D: Deserializer<'de>>(d: D) -> Result<NonZeroUsize, D::Error> {
    within(d, 16, usize::MAX)
}

fn verify_workers<'de, D: Deserializer<'de>>(d: D) -> Result<NonZeroUsize, D::Error> {
    within(d, 1, 1_024)
}

fn verify_queue<'de, D: Deserializer<'de>>(d: D) -> Result<NonZeroUsize, D::Error> {
    within(d, 1, 1_000_000)
}

fn within<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: usize,
    most: usize,
) -> Result<NonZeroUsize, D::Error> {
    let n = NonZeroUsize::deserialize(deserializer)?;
    if n.get() < least || n.get() > most {
        let bounds = match most {
            usize::MAX => format!("less than {least}"),
            most => format!("not between {least} and {most}"),
        };
        return Err(D::Error::custom(format_args!("{n} is {bounds}")));
    }
    Ok(n)
}

impl<'de> Deserialize<'de> for Store {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name.as_str() {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            _ => Err(D::Error::custom(format_args!(
                "unknown store `{name}`; there are `sqlite` and `postgres`"
            ))),
        }
    }
}
