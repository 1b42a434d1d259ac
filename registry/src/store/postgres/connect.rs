//! Connections: TLS, time-outs, and what their failures mean.

use std::error::Error as _;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::PostgresUrl;
use crate::error::OpenError;
use crate::options::PostgresOptions;
use crate::store::Unavailable;

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The store may be away.
    Lost(Unavailable),
    /// It is there, and refuses.
    Refused(Unavailable),
}

impl Failure {
    pub(super) fn lost(reason: impl Into<String>) -> Failure {
        Failure::Lost(Unavailable(reason.into()))
    }

    pub(super) fn reason(&self) -> &Unavailable {
        match self {
            Failure::Lost(reason) | Failure::Refused(reason) => reason,
        }
    }

    pub(super) fn into_reason(self) -> Unavailable {
        match self {
            Failure::Lost(reason) | Failure::Refused(reason) => reason,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Failure {
        let reason = Unavailable(told(&error));
        match error.as_db_error() {
            Some(db) if !is_away(db) => Failure::Refused(reason),
            _ => Failure::Lost(reason),
        }
    }
}

/// Class 57 is the server's operator (it stops, it starts), class 08 the connection; a login that
/// is refused is of no more use than none.
fn is_away(error: &DbError) -> bool {
    let code = error.code();
    *code != SqlState::QUERY_CANCELED
        && ["57", "08", "28", "3D"]
            .iter()
            .any(|class| code.code().starts_with(class))
}

/// What PostgreSQL and the system said: messages, never values of statements.
pub(super) fn told(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", db.message(), db.code().code());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// How to connect.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    /// What every connection is told first.
    pub(super) greeting: Arc<str>,
}

impl Connector {
    pub(super) fn new(options: &PostgresOptions) -> Result<Connector, OpenError> {
        let mut config = options.url.config().clone();
        config.application_name("landfall");
        config.connect_timeout(options.connect_timeout);
        // What was sent is acknowledged, or the connection ends: a host that vanished is noticed.
        config.tcp_user_timeout(options.query_timeout);
        config.keepalives_idle(options.query_timeout);
        // An instance that hangs within a transaction holds up the writers of all.
        let milliseconds = options.query_timeout.as_millis();
        let greeting = format!(
            "SET statement_timeout = {milliseconds}; \
             SET idle_in_transaction_session_timeout = {milliseconds}; \
             SET lock_timeout = {milliseconds}"
        );
        Ok(Connector {
            config,
            tls: MakeRustlsConnect::new(tls(options)?),
            greeting: greeting.into(),
        })
    }

    /// A connection of its own, and the future that drives it.
    pub(super) async fn connect(
        &self,
    ) -> Result<(Client, impl Driver + use<>), tokio_postgres::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        Ok((client, connection))
    }
}

/// A connection that has to be polled.
pub(super) trait Driver: Send + Unpin + 'static {
    fn poll_message(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<tokio_postgres::AsyncMessage, tokio_postgres::Error>>>;
}

impl<S, T> Driver for tokio_postgres::Connection<S, T>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    fn poll_message(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<tokio_postgres::AsyncMessage, tokio_postgres::Error>>> {
        tokio_postgres::Connection::poll_message(self, cx)
    }
}

fn tls(options: &PostgresOptions) -> Result<ClientConfig, OpenError> {
    let refuse = |reason: String| OpenError::Store {
        store: options.url.to_string(),
        reason,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(format!("TLS: {error}")))?;
    let roots = roots(options).map_err(refuse)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn roots(options: &PostgresOptions) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    if !options.url.uses_tls() {
        return Ok(roots);
    }
    let Some(path) = &options.ca_certificates else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let reason = "the operating system trusts no certificate authority: \
                          name one in ca_certificates";
            return Err(reason.to_owned());
        }
        return Ok(roots);
    };
    let cannot = |what: String| format!("{}: {what}", path.display());
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| cannot(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| cannot(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| cannot(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(cannot("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// What names the store in errors.
pub(super) fn refused(url: &PostgresUrl, error: &tokio_postgres::Error) -> OpenError {
    OpenError::Store {
        store: url.to_string(),
        reason: told(error),
    }
}
