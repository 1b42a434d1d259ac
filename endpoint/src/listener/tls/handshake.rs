//! One handshake: the ClientHello decides which library serves it.

use std::io;
use std::sync::Arc;

use landfall_preamble::hello::{ClientHello, HelloError, HelloReader};
use landfall_registry::Registry;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::prompt::Prompt;
use super::{Libraries, Rustls, Setup, Tls, psk};
use crate::auth::Proven;
use crate::connection::BoxStream;
use crate::listener::rewind::Rewind;

/// A stream behind TLS, and what the client proved.
pub(in crate::listener) struct Secured {
    pub(in crate::listener) stream: BoxStream,
    pub(in crate::listener) proven: Proven,
}

/// Why there is no TLS. For the log; the client got an alert, if it speaks TLS at all.
#[derive(Debug, thiserror::Error)]
pub(in crate::listener) enum TlsError {
    /// Nothing came: somebody looked whether the port is open.
    #[error("closed before the first byte")]
    Probe,
    /// No ClientHello.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// The connection broke.
    #[error("connection lost in the TLS handshake: {0}")]
    Lost(#[from] io::Error),
    /// The two do not agree, or the client broke the rules.
    #[error("TLS handshake failed: {0}")]
    Handshake(String),
    /// The client has nothing that is served here.
    #[error(
        "the client offers only RSA key exchange, which has no forward secrecy: legacy_rsa = true would serve it"
    )]
    OnlyRsa,
}

/// Serves the handshake on a fresh connection.
pub(in crate::listener) async fn accept(
    tls: &Tls,
    mut stream: Rewind<BoxStream>,
    registry: &Registry,
) -> Result<Secured, TlsError> {
    let hello = read_hello(&mut stream).await?;
    let setup = tls.setup();
    let only_rsa = hello.offers_only_rsa_key_exchange();
    match setup.library(&hello) {
        Library::OpenSsl(contexts) => psk::accept(contexts, &hello, stream, registry).await,
        Library::Rustls(config) => {
            drop(hello);
            with_rustls(config, stream)
                .await
                .map_err(|error| match error {
                    TlsError::Handshake(_) if only_rsa => TlsError::OnlyRsa,
                    error => error,
                })
        }
    }
}

/// Who serves one client.
enum Library<'a> {
    Rustls(&'a Arc<ServerConfig>),
    OpenSsl(&'a psk::Contexts),
}

impl Setup {
    fn library(&self, hello: &ClientHello) -> Library<'_> {
        match &self.libraries {
            Libraries::Rustls(rustls) => Library::Rustls(rustls.config(hello)),
            Libraries::OpenSsl(openssl) => Library::OpenSsl(openssl),
            Libraries::Both(rustls, openssl) => {
                let legacy = self.legacy_rsa && hello.offers_only_rsa_key_exchange();
                match legacy || openssl.wants(hello) {
                    true => Library::OpenSsl(openssl),
                    false => Library::Rustls(rustls.config(hello)),
                }
            }
        }
    }
}

impl Rustls {
    fn config(&self, hello: &ClientHello) -> &Arc<ServerConfig> {
        match hello.prefers_chacha20() {
            true => &self.theirs,
            false => &self.ours,
        }
    }
}

/// Reads the ClientHello and puts it back.
async fn read_hello(stream: &mut Rewind<BoxStream>) -> Result<ClientHello, TlsError> {
    let mut bytes = Vec::new();
    let mut reader = HelloReader::default();
    loop {
        if !stream.read_more(&mut bytes).await? {
            return Err(match bytes.is_empty() {
                true => TlsError::Probe,
                false => TlsError::Lost(io::ErrorKind::UnexpectedEof.into()),
            });
        }
        match reader.read(&bytes) {
            Ok(Some(hello)) => {
                stream.put_back(bytes);
                return Ok(hello);
            }
            Ok(None) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn with_rustls(
    config: &Arc<ServerConfig>,
    stream: Rewind<BoxStream>,
) -> Result<Secured, TlsError> {
    let acceptor = TlsAcceptor::from(Arc::clone(config));
    let stream = acceptor
        .accept(stream)
        .await
        .map_err(|error| match error.get_ref() {
            Some(source) if source.is::<rustls::Error>() => TlsError::Handshake(source.to_string()),
            _ => TlsError::Lost(error),
        })?;
    let (_, connection) = stream.get_ref();
    let proven = match connection.peer_certificates() {
        Some(chain) if !chain.is_empty() => Proven::Certificate(
            chain
                .iter()
                .map(|certificate| certificate.as_ref().into())
                .collect(),
        ),
        _ => Proven::Nothing,
    };
    Ok(Secured {
        stream: Box::new(Prompt(stream)),
        proven,
    })
}
