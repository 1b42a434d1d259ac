//! What lies between a socket and MQTT: nothing, TLS, WebSocket, or both.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde::Serialize;

use super::websocket::WebSocket;
use crate::error::{Error, Result};

/// The host that the server's certificate must name.
const HOST: &str = "localhost";

/// What MQTT is spoken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Over {
    /// TCP alone
    #[default]
    Tcp,
    /// TLS, 1.3 where the server has it
    Tls,
    /// WebSocket
    Ws,
    /// WebSocket over TLS
    Wss,
}

impl Over {
    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }
}

/// How to reach the server.
#[derive(Args, Clone, Default)]
pub(crate) struct Way {
    /// What to speak MQTT over
    #[arg(long, value_name = "WAY", default_value = "tcp")]
    pub over: Over,
    /// PEM file of the certificates that the server's must lead to; it must name `localhost`
    #[arg(long, value_name = "FILE", required_if_eq_any([("over", "tls"), ("over", "wss")]))]
    pub ca: Option<PathBuf>,
    /// Resume the TLS session of the connection of the same number before; else each handshake is a
    /// full one
    #[arg(long)]
    pub resume: bool,
    /// Path of the WebSocket
    #[arg(long, value_name = "PATH", default_value = "/mqtt", value_parser = super::short)]
    pub path: String,
    #[arg(skip)]
    sessions: Sessions,
}

/// Settings of each connection's TLS, by its number: each remembers its own tickets.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<usize, Arc<ClientConfig>>>>);

impl Way {
    /// Over TLS with these certificates, or in WebSocket.
    pub(crate) fn new(over: Over, ca: Option<PathBuf>, resume: bool) -> Self {
        Self {
            over,
            ca,
            resume,
            path: "/mqtt".to_owned(),
            sessions: Sessions::default(),
        }
    }

    /// TLS of connection `n`, whose handshake is still to come.
    ///
    /// # Errors
    /// `Machine` if the certificates cannot be read, `Usage` if they are none.
    pub(super) fn tls(&self, n: usize) -> Result<Option<Box<ClientConnection>>> {
        if !self.over.is_secure() {
            return Ok(None);
        }
        let name =
            ServerName::try_from(HOST).map_err(|fault| Error::Usage(format!("{HOST}: {fault}")))?;
        let connection = ClientConnection::new(self.config(n)?, name)
            .map_err(|fault| Error::Usage(format!("TLS: {fault}")))?;
        Ok(Some(Box::new(connection)))
    }

    /// A WebSocket whose upgrade is still to come.
    pub(super) fn websocket(&self) -> Option<Box<WebSocket>> {
        let websocket = || Box::new(WebSocket::new(HOST, &self.path));
        self.over.is_websocket().then(websocket)
    }

    fn config(&self, n: usize) -> Result<Arc<ClientConfig>> {
        // Without tickets all are alike.
        let key = if self.resume { n } else { 0 };
        let mut sessions = self
            .sessions
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = sessions.get(&key) {
            return Ok(Arc::clone(config));
        }
        let mut config = config(self.ca.as_deref())?;
        if !self.resume {
            config.resumption = Resumption::disabled();
        }
        let config = Arc::new(config);
        sessions.insert(key, Arc::clone(&config));
        Ok(config)
    }
}

fn config(ca: Option<&Path>) -> Result<ClientConfig> {
    let file = ca.ok_or_else(|| Error::Usage("TLS needs --ca FILE".to_owned()))?;
    let pem = std::fs::read(file).map_err(Error::machine(format!("read {}", file.display())))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate
            .ok()
            .and_then(|certificate| roots.add(certificate).ok());
        added.ok_or_else(|| Error::Usage(format!("{}: not a certificate", file.display())))?;
    }
    let mut provider = aws_lc_rs::default_provider();
    // As devices do today; not all servers have post-quantum key exchanges, and they cost more.
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|fault| Error::Usage(format!("TLS: {fault}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_needs_certificates_to_trust() {
        let without = Way::new(Over::Tls, None, false);
        assert!(matches!(without.tls(0), Err(Error::Usage(_))));
        let missing = Way::new(Over::Wss, Some("/no/such/file".into()), false);
        assert!(matches!(missing.tls(0), Err(Error::Machine { .. })));
        assert!(Way::new(Over::Ws, None, false).tls(0).unwrap().is_none());
    }
}
