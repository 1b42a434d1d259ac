//! `[cluster]`: several instances as one.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::nats::{NatsAccess, RawAccess};
use super::sinks::TlsClientConfig;
use crate::command::nats::Subjects;

/// How instances reach each other. Without the section an instance is alone, and needs no NATS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct ClusterConfig {
    /// How NATS is reached.
    pub access: NatsAccess,
    /// `prefix`: what the subjects of this fleet begin with; fleets that share a NATS have different
    /// ones. Default `landfall`. Danger: whoever may publish there may send commands to every
    /// device and end connections: only the instances should.
    pub prefix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    servers: Vec<String>,
    #[serde(default = "default_prefix")]
    prefix: String,
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
}

impl TryFrom<Raw> for ClusterConfig {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        Subjects::new(&raw.prefix).map_err(|error| format!("`prefix`: {error}"))?;
        let access = NatsAccess::of(RawAccess {
            servers: raw.servers,
            credentials_file: raw.credentials_file,
            token: (raw.token, raw.token_file),
            user: raw.user,
            password: (raw.password, raw.password_file),
            tls: raw.tls,
            require_tls: raw.require_tls,
        })?;
        Ok(Self {
            access,
            prefix: raw.prefix,
        })
    }
}

impl ClusterConfig {
    pub(super) fn start_at(&mut self, folder: &Path) {
        self.access.start_at(folder);
    }
}

fn default_prefix() -> String {
    "landfall".to_owned()
}
