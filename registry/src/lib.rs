//! The device registry: applications, devices, credentials and gateway selectors.
//!
//! Start with [`Registry`]. Its device side ([`Registry::log_in`], [`Registry::device`]) answers
//! who may connect and who may speak for whom, from memory wherever it can; its management side
//! writes and reads the resource [`document`]s. Nothing here knows MQTT, sockets or HTTP.
//!
//! | module | idea |
//! | --- | --- |
//! | [`document`] | what callers write and read: parsed, validated, every problem with its path |
//! | [`secret`] | passwords and keys in documents: given, held, shown |
//! | `certificate` | trust anchors, chains verified against them, subjects |
//! | [`name`] | names, and the user name that carries both |
//! | `model` | [`Application`] and [`Device`], ready to use |
//! | `registry` | [`Registry`]: caches, log-ins, writes, changes |
//! | `verify` | bounded slow hashes, remembered log-ins |
//! | [`token`] | tokens of the management API |
//! | `selector` | [`LabelSelector`] |
//! | `store` | rows and transactions; SQLite and PostgreSQL |

mod certificate;
pub mod document;
mod error;
mod model;
pub mod name;
mod options;
mod registry;
pub mod secret;
mod selector;
mod store;
pub mod token;
mod verify;

pub use certificate::CertificateFault;
pub use document::{AutoRegister, DialectSpec, PayloadEncoding};
pub use error::{OpenError, Unavailable};
pub use model::{
    Application, CredentialId, Device, Found, effective_dialect, effective_payload_encoding,
};
pub use options::{
    InvalidUrl, Options, PasswordCost, PasswordHash, PostgresOptions, PostgresUrl, StoreOptions,
};
pub use registry::{
    BatchError, Behind, CacheFigures, CacheStats, Cause, Change, ListQuery, LogIn, LogInError,
    MAX_BATCH, Outcome, Page, Presented, REGISTERED_BY, RegisterError, Registry, Secrets, Signed,
    WriteError, Written,
};
pub use selector::{InvalidSelector, LabelSelector, MAX_SELECTOR};
