//! How NATS is reached: what command sources and `[cluster]` have in common.

use std::path::{Path, PathBuf};

use super::sinks::{NatsLogIn, NatsTlsFiles, TlsClientConfig};

/// Servers, credentials and TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsAccess {
    /// `servers`: `nats://host:4222` or `tls://…`, one or several of a cluster. No default.
    pub servers: Vec<String>,
    /// `credentials_file`; or `token` or `token_file`; or `user` with `password` or `password_file`.
    pub credentials: NatsLogIn,
    /// `tls`; its `trust`, `certificate` and `key`, which are PEM files.
    pub tls: NatsTlsFiles,
    /// `require_tls`: whether the connection must be encrypted. Default `false`.
    pub require_tls: bool,
}

/// The keys as written; a key and its `_file` are a pair.
pub(super) struct RawAccess {
    pub(super) servers: Vec<String>,
    pub(super) credentials_file: Option<PathBuf>,
    pub(super) token: (Option<String>, Option<PathBuf>),
    pub(super) user: Option<String>,
    pub(super) password: (Option<String>, Option<PathBuf>),
    pub(super) tls: TlsClientConfig,
    pub(super) require_tls: bool,
}

impl NatsAccess {
    pub(super) fn of(raw: RawAccess) -> Result<Self, String> {
        let tls = NatsTlsFiles::try_from(raw.tls)?;
        let credentials =
            NatsLogIn::one_of(raw.credentials_file, raw.token, raw.user, raw.password)?;
        if raw.servers.is_empty() {
            return Err("`servers` names none".to_owned());
        }
        for (index, server) in raw.servers.iter().enumerate() {
            // It is not quoted: it may hold a password.
            if server.parse::<async_nats::ServerAddr>().is_err() {
                let number = index + 1;
                return Err(format!(
                    "server {number} is not an address like nats://host:4222"
                ));
            }
        }
        Ok(Self {
            servers: raw.servers,
            credentials,
            tls,
            require_tls: raw.require_tls,
        })
    }

    pub(super) fn start_at(&mut self, folder: &Path) {
        self.tls.start_at(folder);
        self.credentials.start_at(folder);
    }
}
