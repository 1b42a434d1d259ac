//! How a registry is opened.

use std::path::PathBuf;

use crate::error::OpenError;
pub use crate::secret::cost::{PasswordCost, PasswordHash};

/// How a registry is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file, usually `registry.db` in the server's data folder; created, readable by its owner
    /// only, if it does not exist. A file `PATH.lock` keeps other processes out.
    pub path: PathBuf,
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
    /// for every KiB. As many log-ins are remembered. Default: 100,000, about 100 MiB when full.
    /// At least 16.
    pub cache_entries: usize,
    /// Slow password hashes computed at once for log-ins, and as many again for documents. Default:
    /// the number of cores. Each takes up to 128 MiB (19 MiB unless documents bring other
    /// hashes). At least 1.
    pub verify_workers: usize,
    /// Log-ins that wait for a worker, at most; any further is refused as busy. Default: 1,024.
    pub verify_queue: usize,
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
            path: path.into(),
            hash_passwords: true,
            password_hash: PasswordHash::default(),
            password_cost: PasswordCost::default(),
            cache_entries: 100_000,
            verify_workers: std::thread::available_parallelism().map_or(1, usize::from),
            verify_queue: 1024,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
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
