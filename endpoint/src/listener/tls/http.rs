//! The handshake of the API: a certificate serves it, and nobody's identity comes out of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::prompt::Prompt;
use super::{HTTP_2, Inside, Libraries, LoadError, Tls};
use crate::config::{CertificateFiles, TlsConfig};
use crate::connection::BoxStream;

/// TLS of the API.
#[derive(Clone)]
pub struct HttpTls {
    tls: Arc<Tls>,
    patience: Duration,
}

/// A stream behind TLS, and what is spoken in it.
pub(crate) struct HttpStream {
    pub(crate) stream: BoxStream,
    /// HTTP/2 was agreed on, instead of HTTP/1.1.
    pub(crate) is_http_2: bool,
}

impl HttpTls {
    /// Loads certificate and key. A handshake may take as long as `patience`.
    ///
    /// # Errors
    ///
    /// [`LoadError`] names the file and what is wrong with it.
    pub fn load(files: &CertificateFiles, patience: Duration) -> Result<Self, LoadError> {
        let config = TlsConfig {
            certificates: vec![files.clone()],
            ..TlsConfig::default()
        };
        let tls = Arc::new(Tls::load(&config, Inside::Http)?);
        Ok(Self { tls, patience })
    }

    /// Its files, to be loaded again when they change.
    pub(crate) fn files(&self) -> &Arc<Tls> {
        &self.tls
    }

    /// Serves the handshake on a fresh connection.
    ///
    /// # Errors
    ///
    /// The connection broke, the two do not agree, or time was up. For the log; the client got an
    /// alert, if it speaks TLS at all.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<HttpStream> {
        let setup = self.tls.setup();
        let config = match &setup.libraries {
            Libraries::Rustls(rustls) | Libraries::Both(rustls, _) => Arc::clone(&rustls.ours),
            // It serves those without a certificate; here is always one.
            Libraries::OpenSsl(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = tokio::time::timeout(self.patience, handshake)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (_, connection) = stream.get_ref();
        let is_http_2 = connection.alpn_protocol() == Some(HTTP_2);
        Ok(HttpStream {
            stream: Box::new(Prompt(stream)),
            is_http_2,
        })
    }
}
