//! TLS: rustls for everything but pre-shared keys, which it does not have; OpenSSL for those.
//!
//! - `files`: certificates and keys from their files;
//! - `resolver`: which certificate a client is shown;
//! - `possession`: clients' certificates are proved to be theirs here, and judged after the
//!   handshake by the registry;
//! - `handshake`: reads the ClientHello, which decides who serves the connection;
//! - `http`: the handshake of the API, which certificates alone serve;
//! - `prompt`: what the protocol owes the client is sent at once;
//! - `psk`: the OpenSSL side;
//! - `reload`: new files take effect for new connections.

mod files;
mod handshake;
mod http;
mod possession;
mod prompt;
mod psk;
mod reload;
mod resolver;

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::version::{TLS12, TLS13};

use super::suites::{self, Kind};
use crate::config::{TlsConfig, TlsVersion};

pub use files::LoadError;
pub(super) use handshake::{Secured, TlsError, accept};
pub(crate) use http::HttpStream;
pub use http::HttpTls;
pub(crate) use reload::watch;

/// The ALPN name of HTTP/2 (RFC 9113, 3.1).
const HTTP_2: &[u8] = b"h2";

/// What is spoken inside, for ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// MQTT.
    Mqtt,
    /// HTTP/1.1, to become WebSocket.
    WebSocket,
    /// HTTP/2 or HTTP/1.1: the API.
    Http,
}

impl Inside {
    /// ALPN names (RFC 7301); `x-amzn-mqtt-ca` is what AWS clients ask for on port 443.
    const fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Mqtt => &[b"mqtt", b"x-amzn-mqtt-ca"],
            Self::WebSocket => &[b"http/1.1"],
            Self::Http => &[HTTP_2, b"http/1.1"],
        }
    }

    /// The same as a list of RFC 7301, 3.1: each name behind its length.
    const fn protocols_on_the_wire(self) -> &'static [u8] {
        match self {
            Self::Mqtt => b"\x04mqtt\x0ex-amzn-mqtt-ca",
            Self::WebSocket => b"\x08http/1.1",
            Self::Http => b"\x02h2\x08http/1.1",
        }
    }
}

/// TLS of one listener; what its files hold can be replaced while it serves.
pub struct Tls {
    config: TlsConfig,
    inside: Inside,
    /// Tickets outlive a reload: their keys are the process's own, and change by themselves.
    tickets: Arc<dyn ProducesTickets>,
    setup: RwLock<Arc<Setup>>,
}

/// What a handshake needs, made from the files as they were at one time.
struct Setup {
    libraries: Libraries,
    legacy_rsa: bool,
}

/// Who can serve a listener's clients.
enum Libraries {
    /// Certificates alone.
    Rustls(Rustls),
    /// Each client by whom it fits.
    Both(Rustls, psk::Contexts),
    /// Pre-shared keys alone: there is no certificate, or no suite that goes with one.
    OpenSsl(psk::Contexts),
}

/// Whose preference decides on the suite.
struct Rustls {
    /// The server's, as it is configured.
    ours: Arc<ServerConfig>,
    /// The client's, where none is configured: for one that likes ChaCha20 best.
    theirs: Arc<ServerConfig>,
}

impl Rustls {
    fn new(config: &TlsConfig, ours: ServerConfig) -> Self {
        let mut theirs = ours.clone();
        theirs.ignore_client_order = !config.cipher_suites.is_empty();
        Self {
            ours: Arc::new(ours),
            theirs: Arc::new(theirs),
        }
    }
}

impl Tls {
    /// Loads all files.
    ///
    /// # Errors
    ///
    /// [`LoadError`] names the file and what is wrong with it.
    pub fn load(config: &TlsConfig, inside: Inside) -> Result<Self, LoadError> {
        let tickets = Ticketer::new().map_err(|error| LoadError::Library(error.to_string()))?;
        let setup = Setup::load(config, inside, &tickets)?;
        Ok(Self {
            config: config.clone(),
            inside,
            tickets,
            setup: RwLock::new(Arc::new(setup)),
        })
    }

    /// Loads all files again; what was loaded before stays if that fails.
    ///
    /// # Errors
    ///
    /// As for [`Tls::load`].
    pub fn reload(&self) -> Result<(), LoadError> {
        let setup = Setup::load(&self.config, self.inside, &self.tickets)?;
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(setup);
        Ok(())
    }

    fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Setup {
    fn load(
        config: &TlsConfig,
        inside: Inside,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, LoadError> {
        let certificates = files::load(&config.certificates)?;
        let openssl = match config.psk || config.legacy_rsa {
            true => Some(psk::Contexts::new(config, inside, &certificates)?),
            false => None,
        };
        let libraries = match (openssl, has_work_for_rustls(config)) {
            (Some(openssl), false) => Libraries::OpenSsl(openssl),
            (openssl, _) => {
                let resolver = resolver::Resolver::new(certificates);
                let rustls = rustls_config(config, inside, resolver, tickets)?;
                let rustls = Rustls::new(config, rustls);
                match openssl {
                    Some(openssl) => Libraries::Both(rustls, openssl),
                    None => Libraries::Rustls(rustls),
                }
            }
        };
        Ok(Self {
            libraries,
            legacy_rsa: config.legacy_rsa,
        })
    }
}

/// Whether a certificate and a suite of rustls could meet.
fn has_work_for_rustls(config: &TlsConfig) -> bool {
    let is_for_it = |suite: &&suites::Suite| matches!(suite.kind, Kind::V1_3 | Kind::Certificate);
    let chosen = suites::chosen(&config.cipher_suites);
    !config.certificates.is_empty() && chosen.iter().any(is_for_it)
}

fn rustls_config(
    config: &TlsConfig,
    inside: Inside,
    resolver: resolver::Resolver,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, LoadError> {
    let library = |error: rustls::Error| LoadError::Library(error.to_string());
    let provider = Arc::new(provider(config));
    let versions = match config.minimum_version {
        TlsVersion::V1_2 => &[&TLS13, &TLS12][..],
        TlsVersion::V1_3 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(library)?;
    let builder = match config.client_certificates {
        true => builder.with_client_cert_verifier(Arc::new(possession::Possession::new(&provider))),
        false => builder.with_no_client_auth(),
    };
    let mut rustls = builder.with_cert_resolver(Arc::new(resolver));
    rustls.alpn_protocols = inside
        .protocols()
        .iter()
        .map(|name| name.to_vec())
        .collect();
    rustls.ignore_client_order = true;
    // A device makes one connection at a time, and a ticket that carries a chain is not small.
    rustls.send_tls13_tickets = 1;
    rustls.ticketer = Arc::clone(tickets);
    // Tickets are the clients' memory; a store would be the server's.
    rustls.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(rustls)
}

/// The provider with the suites that are configured, or all, in their order.
fn provider(config: &TlsConfig) -> CryptoProvider {
    let mut provider = default_provider();
    let all = std::mem::take(&mut provider.cipher_suites);
    let of_code = |code| {
        all.iter()
            .find(|suite| u16::from(suite.suite()) == code)
            .copied()
    };
    provider.cipher_suites = suites::chosen(&config.cipher_suites)
        .into_iter()
        .filter_map(|suite| of_code(suite.code))
        .collect();
    provider
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_libraries_are_told_the_same_protocols() {
        for inside in [Inside::Mqtt, Inside::WebSocket, Inside::Http] {
            let length = |name: &&[u8]| u8::try_from(name.len()).unwrap();
            let wire: Vec<u8> = inside
                .protocols()
                .iter()
                .flat_map(|name| [&[length(name)][..], name].concat())
                .collect();
            assert_eq!(inside.protocols_on_the_wire(), wire);
        }
    }
}
