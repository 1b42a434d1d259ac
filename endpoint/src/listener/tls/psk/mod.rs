//! TLS with pre-shared keys, by OpenSSL: TLS 1.2 with PSK, DHE-PSK and ECDHE-PSK suites, and TLS 1.3
//! with external keys (RFC 4279, RFC 5489, RFC 8446 4.2.11).
//!
//! OpenSSL asks for the key in a callback that must answer at once. So the key is looked up before
//! OpenSSL sees the bytes that need it: in TLS 1.3 the identity stands in the ClientHello, which has
//! been read already; in TLS 1.2 it stands in the ClientKeyExchange, which `sniff` holds back for
//! that long.
//!
//! An identity that nobody has gets a random key: from outside it looks like a wrong key.

mod context;
mod key;
mod sniff;

use std::io;
use std::pin::Pin;

use landfall_preamble::hello::ClientHello;
use landfall_registry::Registry;
use openssl::error::ErrorStack;
use openssl::ssl::{ErrorCode, Ssl, SslVersion};
use tokio_openssl::SslStream;

use super::handshake::{Secured, TlsError};
use crate::auth::{Named, Proven};
use crate::connection::BoxStream;
use crate::listener::rewind::Rewind;

pub(super) use context::Contexts;
use key::{Exchange, Keys};
use sniff::Sniffer;

/// Longest identity that OpenSSL takes.
const MAX_IDENTITY: usize = 256;

impl Contexts {
    /// Whether a client is one for this library: it offers suites of TLS 1.2 with pre-shared keys,
    /// or a TLS 1.3 identity of the form `<device>@<application>`. All other identities are
    /// tickets of the other library, or of another server.
    pub(super) fn wants(&self, hello: &ClientHello) -> bool {
        self.takes_keys() && (hello.offers_psk_suite() || identity(hello).is_some())
    }
}

/// The TLS 1.3 identity that is one of ours.
fn identity(hello: &ClientHello) -> Option<&[u8]> {
    let is_ours = |identity: &&Vec<u8>| named(identity).is_some();
    hello.identities.iter().find(is_ours).map(Vec::as_slice)
}

/// The device that an identity names.
fn named(identity: &[u8]) -> Option<Named> {
    if identity.len() > MAX_IDENTITY {
        return None;
    }
    Named::read(std::str::from_utf8(identity).ok()?)
}

/// Serves the handshake.
pub(super) async fn accept(
    contexts: &Contexts,
    hello: &ClientHello,
    stream: Rewind<BoxStream>,
    registry: &Registry,
) -> Result<Secured, TlsError> {
    let exchange = Exchange::default();
    let keys = Keys::new(registry.clone(), exchange.clone());
    if let Some(identity) = identity(hello) {
        keys.look_up(identity.to_vec()).await;
    }
    let ssl = contexts
        .ssl(hello, exchange.clone())
        .map_err(|error| library(&error))?;
    let mut stream =
        SslStream::new(ssl, Sniffer::new(stream, keys)).map_err(|error| library(&error))?;
    let accepted = Pin::new(&mut stream).accept().await;
    if let Some(error) = exchange.unavailable() {
        return Err(TlsError::Handshake(format!(
            "the registry cannot be asked for keys: {error}"
        )));
    }
    accepted.map_err(|error| failed(error, &exchange))?;
    stream.get_mut().end();
    let proven = proven(stream.ssl(), &exchange);
    Ok(Secured {
        stream: Box::new(stream),
        proven,
    })
}

fn library(error: &ErrorStack) -> TlsError {
    TlsError::Handshake(error.to_string())
}

/// For the log: what OpenSSL says, and whether a key was at stake.
fn failed(error: openssl::ssl::Error, exchange: &Exchange) -> TlsError {
    let code = error.code();
    match error.into_io_error() {
        Ok(error) => TlsError::Lost(error),
        Err(_) if code == ErrorCode::ZERO_RETURN => {
            TlsError::Lost(io::ErrorKind::UnexpectedEof.into())
        }
        Err(error) => {
            let reasons: Vec<_> = error
                .ssl_error()
                .into_iter()
                .flat_map(ErrorStack::errors)
                .filter_map(openssl::error::Error::reason)
                .collect();
            let reason = match reasons.is_empty() {
                true => "closed by the client".to_owned(),
                false => reasons.join(", "),
            };
            TlsError::Handshake(match exchange.offered() {
                Some(offered) => format!("{reason} ({offered})"),
                None => reason,
            })
        }
    }
}

/// What the handshake proved. That the callback was asked for a key says nothing: OpenSSL may have
/// gone on with a certificate.
fn proven(ssl: &openssl::ssl::SslRef, exchange: &Exchange) -> Proven {
    let by_key = match ssl.version2() {
        // No session is ever given out, so that only an external key can be taken up.
        Some(SslVersion::TLS1_3) => ssl.session_reused(),
        // RFC 4279, 2: all suites whose name says PSK.
        _ => ssl
            .current_cipher()
            .is_some_and(|cipher| cipher.name().contains("PSK")),
    };
    if by_key {
        return exchange.taken().unwrap_or_default();
    }
    let Some(leaf) = ssl.peer_certificate().and_then(|leaf| leaf.to_der().ok()) else {
        return Proven::Nothing;
    };
    // On the server's side the chain is without the first.
    let above = ssl.peer_cert_chain().into_iter().flatten();
    let above = above.filter_map(|certificate| certificate.to_der().ok());
    let chain = std::iter::once(leaf)
        .chain(above)
        .map(Vec::into_boxed_slice);
    Proven::Certificate(chain.collect())
}

impl Contexts {
    /// A new connection's state.
    fn ssl(&self, hello: &ClientHello, exchange: Exchange) -> Result<Ssl, ErrorStack> {
        let mut ssl = Ssl::new(self.for_host(hello.server_name.as_deref()))?;
        ssl.set_ex_data(self.index(), exchange);
        Ok(ssl)
    }
}
