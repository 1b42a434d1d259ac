//! `[listeners.tls]`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de::Error};
use toml::Spanned;

use crate::config::error::Flaw;
use crate::listener::suites::{self, Kind};

/// TLS of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificates with their keys. The one whose names hold the host that the client asks for is
    /// shown; the first ones if none does. Of several for the same name, the first that the client
    /// can verify, so that ECDSA and RSA can stand side by side. Empty only with `psk`.
    pub certificates: Vec<CertificateFiles>,
    /// Whether clients are asked for a certificate, which they need not have. Default `false`:
    /// browsers cannot cope with being asked.
    pub client_certificates: bool,
    /// Whether clients may log in by a pre-shared key. Default `false`.
    pub psk: bool,
    /// Lowest version. Default 1.2.
    pub minimum_version: TlsVersion,
    /// Cipher suites by their IANA names, in the order of preference. Default: all that are secure.
    /// Each must be one that the other keys allow.
    pub cipher_suites: Vec<String>,
    /// Whether clients that offer nothing but RSA key exchange are served. Default `false`.
    /// Danger: it has no forward secrecy; whoever gets the key later can read what was recorded.
    pub legacy_rsa: bool,
}

/// A certificate chain and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The server's certificate, followed by the intermediates.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1, without a pass phrase.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    certificates: Vec<RawFiles>,
    #[serde(default)]
    client_certificates: bool,
    #[serde(default)]
    psk: bool,
    #[serde(default)]
    minimum_version: TlsVersion,
    #[serde(default, deserialize_with = "cipher_suites")]
    cipher_suites: Vec<String>,
    #[serde(default)]
    legacy_rsa: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFiles {
    certificate: PathBuf,
    key: PathBuf,
}

pub(super) fn resolve(tls: Spanned<RawTls>, folder: &Path) -> Result<TlsConfig, Flaw> {
    let span = tls.span();
    let flaw = |message: &str| Flaw {
        span: Some(span.clone()),
        message: message.to_owned(),
    };
    let raw = tls.into_inner();
    let first = match (raw.certificate, raw.key) {
        (Some(certificate), Some(key)) => Some(RawFiles { certificate, key }),
        (None, None) => None,
        _ => return Err(flaw("certificate and key belong together")),
    };
    let certificates: Vec<_> = first
        .into_iter()
        .chain(raw.certificates)
        .map(|files| CertificateFiles {
            certificate: folder.join(files.certificate),
            key: folder.join(files.key),
        })
        .collect();
    if certificates.is_empty() && !raw.psk {
        return Err(flaw("certificate and key are missing"));
    }
    let config = TlsConfig {
        certificates,
        client_certificates: raw.client_certificates,
        psk: raw.psk,
        minimum_version: raw.minimum_version,
        cipher_suites: raw.cipher_suites,
        legacy_rsa: raw.legacy_rsa,
    };
    match config.useless_suite() {
        Some(reason) => Err(flaw(&reason)),
        None => Ok(config),
    }
}

impl TlsConfig {
    /// Why a suite that is named can never be agreed on.
    fn useless_suite(&self) -> Option<String> {
        let suites = suites::chosen(&self.cipher_suites).into_iter();
        let mut named = suites.filter(|_| !self.cipher_suites.is_empty());
        named.find_map(|suite| {
            let why = match suite.kind {
                Kind::V1_3 => return None,
                _ if self.minimum_version == TlsVersion::V1_3 => {
                    "is one of TLS 1.2, which minimum_version rules out"
                }
                Kind::PreSharedKey | Kind::ShortTag if !self.psk => "needs psk = true",
                Kind::LegacyRsa if !self.legacy_rsa => "needs legacy_rsa = true",
                Kind::Certificate | Kind::LegacyRsa if self.certificates.is_empty() => {
                    "needs a certificate"
                }
                _ => return None,
            };
            Some(format!("cipher_suites: `{}` {why}", suite.name))
        })
    }
}

impl<'de> Deserialize<'de> for TlsVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            _ => Err(D::Error::custom(format_args!(
                "`{text}` is no version that is served: \"1.2\" or \"1.3\""
            ))),
        }
    }
}

fn cipher_suites<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    for name in &names {
        if suites::by_name(name).is_none() {
            let known: Vec<_> = suites::names().collect();
            return Err(D::Error::custom(format_args!(
                "`{name}` is no cipher suite that is served: {}",
                known.join(", ")
            )));
        }
    }
    Ok(names)
}
