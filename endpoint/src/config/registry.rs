//! `[registry]`: applications, devices and their credentials.

use std::num::NonZeroUsize;

use landfall_registry::PasswordHash;
use serde::{Deserialize, Deserializer, de::Error};

/// Where devices are kept, and what checking their passwords may cost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    /// Where documents are stored. Default `sqlite`: `registry.db` in `data_dir`.
    pub store: Store,
    /// Whether plain passwords handed in are stored hashed. Default `true`. Danger: with `false`
    /// whoever reads the file, or a backup of it, knows the passwords.
    pub hash_passwords: bool,
    /// By which hash; passwords written from now on. Default `argon2id`, good for every password.
    /// Danger: `blake2s-random-secrets` is so fast that it protects only random secrets of at least
    /// 128 bits, made by machines; whoever reads the file finds any that a person chose.
    #[serde(deserialize_with = "password_hash")]
    pub password_hash: PasswordHash,
    /// Devices kept in memory for log-ins and gateway checks, and answers "no such device". Default
    /// 100,000, about 100MiB when full. At least 16.
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
            hash_passwords: true,
            password_hash: PasswordHash::default(),
            cache_entries: non_zero(100_000),
            verify_workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            verify_queue: non_zero(1_024),
        }
    }
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
            "postgres" => Err(D::Error::custom(
                "store `postgres` is not available in this version; there is `sqlite`",
            )),
            _ => Err(D::Error::custom(format_args!(
                "unknown store `{name}`; there is `sqlite`"
            ))),
        }
    }
}
