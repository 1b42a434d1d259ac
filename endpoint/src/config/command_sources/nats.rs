//! Keys of a command source of type `nats`.

use std::path::PathBuf;

use serde::Deserialize;

use super::{check_group, concurrency, default_concurrency, default_group};
use crate::command::nats::Subjects;
use crate::config::nats::{NatsAccess, RawAccess};
use crate::config::sinks::TlsClientConfig;

/// How requests of NATS are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsSourceConfig {
    /// How NATS is reached.
    pub access: NatsAccess,
    /// `prefix`: commands come on `{prefix}.{application}.{device}.{command}`. Default `commands`.
    /// Danger: whoever may publish there may send commands to every device: restrict it in NATS.
    pub subjects: Subjects,
    /// `group`: sources of one group, on all instances, share the requests. Default `landfall`.
    pub group: String,
    /// `concurrency`: commands under way at once; as many more wait. Default 1000, from 1 to 65,535.
    pub concurrency: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) name: String,
    servers: Vec<String>,
    #[serde(default = "default_prefix")]
    prefix: String,
    #[serde(default = "default_group")]
    group: String,
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
    #[serde(default = "default_concurrency", deserialize_with = "concurrency")]
    concurrency: usize,
}

impl NatsSourceConfig {
    pub(super) fn of(raw: Raw) -> Result<Self, String> {
        let access = NatsAccess::of(RawAccess {
            servers: raw.servers,
            credentials_file: raw.credentials_file,
            token: (raw.token, raw.token_file),
            user: raw.user,
            password: (raw.password, raw.password_file),
            tls: raw.tls,
            require_tls: raw.require_tls,
        })?;
        check_group(&raw.group)?;
        let subjects = Subjects::new(&raw.prefix).map_err(|error| format!("`prefix`: {error}"))?;
        Ok(Self {
            access,
            subjects,
            group: raw.group,
            concurrency: raw.concurrency,
        })
    }
}

fn default_prefix() -> String {
    "commands".to_owned()
}
