//! How a registry is opened.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::OpenError;
pub use crate::secret::cost::{PasswordCost, PasswordHash};
pub use crate::store::{InvalidUrl, PostgresUrl};

/// How a registry is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where documents are kept.
    pub store: StoreOptions,
    /// How long a store that is away is bridged: devices in memory may log in for this long, then
    /// log-ins are refused as unavailable until it is back. Live sessions go on in any case.
    /// Default: 5 minutes. Danger: for this long a device logs in although another instance
    /// disabled or deleted it.
    pub grace: Duration,
    /// Whether plain passwords handed in are stored hashed. Default: true. Danger: without it,
    /// whoever reads the file or a backup of it has the passwords.
    pub hash_passwords: bool,
    /// By which hash. Default: Argon2id. It applies to passwords written from now on. Danger: the
    /// other one protects random secrets only.
    pub password_hash: PasswordHash,
    /// The cost of Argon2id. Default: 19 MiB, 2 passes, 1 lane. It applies to passwords written
    /// from now on. Danger: less makes guessing cheap once the file is stolen.
    pub password_cost: PasswordCost,
    /// Devices (and answers "no such device") kept in memory; a document above 1 KiB counts once
    /// for every KiB. As many log-ins are remembered. Default: 100,000, about 170 MiB when full.
    /// At least 16.
    pub cache_entries: usize,
    /// Slow password hashes computed at once for log-ins, and as many again for documents. Default:
    /// the number of cores. Each takes up to 128 MiB (19 MiB unless documents bring other
    /// hashes). At least 1.
    pub verify_workers: usize,
    /// Log-ins that wait for a worker, at most; any further is refused as busy. Default: 1,024.
    pub verify_queue: usize,
}

/// Where documents are kept.
#[derive(Clone, Debug)]
pub enum StoreOptions {
    /// An SQLite file, usually `registry.db` in the server's data folder; created, readable by its
    /// owner only, if it does not exist. A file `PATH.lock` keeps other processes out.
    Sqlite(PathBuf),
    /// A PostgreSQL database, which several instances may share.
    Postgres(PostgresOptions),
}

/// How a PostgreSQL database is used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Which database, as whom.
    pub url: PostgresUrl,
    /// Certificates, in PEM, of the authorities that may vouch for the database's host. Default:
    /// those that the operating system trusts.
    pub ca_certificates: Option<PathBuf>,
    /// Connections at most, beside one that listens for changes. Default: 8. 1 to 1,000.
    pub pool_size: usize,
    /// How long to wait for the host when connecting, and for a free connection. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long to wait for an answer to a look-up or a write; the server gives up, too. Default:
    /// 5 s; a write of a batch gets six times as long.
    pub query_timeout: Duration,
}

impl PostgresOptions {
    /// The defaults, for a database.
    #[must_use]
    pub fn new(url: PostgresUrl) -> PostgresOptions {
        PostgresOptions {
            url,
            ca_certificates: None,
            pool_size: 8,
            connect_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(5),
        }
    }

    fn check(&self) -> Result<(), OpenError> {
        if !(1..=1000).contains(&self.pool_size) {
            let reason = format!("pool_size is {}, allowed 1 to 1000", self.pool_size);
            return Err(OpenError::Options(reason));
        }
        for (name, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("query_timeout", self.query_timeout),
        ] {
            if !(Duration::from_millis(10)..=Duration::from_secs(600)).contains(&timeout) {
                let reason = format!("{name} is {timeout:?}, allowed 10ms to 600s");
                return Err(OpenError::Options(reason));
            }
        }
        Ok(())
    }
}

/// The defaults, for `registry.db` in the working folder.
impl Default for Options {
    fn default() -> Options {
        Options::new("registry.db")
    }
}

impl Options {
    /// The defaults, for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Options {
        Options {
            store: StoreOptions::Sqlite(path.into()),
            grace: Duration::from_secs(300),
            hash_passwords: true,
            password_hash: PasswordHash::default(),
            password_cost: PasswordCost::default(),
            cache_entries: 100_000,
            verify_workers: std::thread::available_parallelism().map_or(1, usize::from),
            verify_queue: 1024,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if let StoreOptions::Postgres(postgres) = &self.store {
            postgres.check()?;
        }
        let refuse = |reason: String| Err(OpenError::Options(reason));
        if let Err(reason) = self.password_cost.check() {
            return refuse(format!("password_cost {reason}"));
        }
        if self.cache_entries < 16 {
            return refuse(format!(
                "cache_entries is {}, at least 16",
                self.cache_entries
            ));
        }
        if !(1..=1024).contains(&self.verify_workers) {
            return refuse(format!(
                "verify_workers is {}, allowed 1 to 1024",
                self.verify_workers
            ));
        }
        if self.verify_queue > 1_000_000 {
            return refuse(format!(
                "verify_queue is {}, at most 1000000",
                self.verify_queue
            ));
        }
        Ok(())
    }
}
