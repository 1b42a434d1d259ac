//! What a client has proved before its first packet.

use std::fmt;

use landfall_registry::CredentialId;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Proved in the TLS handshake.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Proven {
    /// Nothing, or there was no handshake.
    #[default]
    Nothing,
    /// That it has the key of the first certificate of this chain, in DER. Nobody has vouched for
    /// the chain yet.
    Certificate(Vec<Box<[u8]>>),
    /// That it has a pre-shared key of a device.
    PreSharedKey {
        /// The application.
        application: String,
        /// The device.
        device: String,
        /// Which of its keys.
        credential: CredentialId,
    },
}

impl Proven {
    /// For the log.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Certificate(_) => "certificate",
            Self::PreSharedKey { .. } => "pre-shared key",
        }
    }
}

/// The subject of a chain's first certificate, for the log: whoever made it chose the text.
pub fn subject(chain: &[Box<[u8]>]) -> String {
    let first = chain.first().map(|first| X509Certificate::from_der(first));
    match first {
        Some(Ok((_, certificate))) => certificate.subject().to_string(),
        _ => "that cannot be read".to_owned(),
    }
}

impl fmt::Debug for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Certificate(chain) => write!(f, "Certificate({} in the chain)", chain.len()),
            Self::PreSharedKey {
                application,
                device,
                ..
            } => write!(f, "PreSharedKey({device}@{application})"),
        }
    }
}
