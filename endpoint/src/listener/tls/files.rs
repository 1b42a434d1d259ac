//! Certificates and keys from their files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::config::CertificateFiles;

/// Why TLS cannot be served. Whoever manages the files is to blame.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}", file = file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{file}: {reason}", file = file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong; never the content itself.
        reason: String,
    },
    /// The TLS libraries refuse the settings.
    #[error("TLS: {0}")]
    Library(String),
}

impl LoadError {
    pub(super) fn content(file: &Path, reason: impl Into<String>) -> Self {
        Self::Content {
            file: file.to_owned(),
            reason: reason.into(),
        }
    }
}

/// A certificate chain, its key, and the hosts it is for.
#[derive(Clone)]
pub(super) struct Certificate {
    pub(super) certified: Arc<CertifiedKey>,
    /// The key for the other library.
    pub(super) key: Arc<PrivateKeyDer<'static>>,
    pub(super) file: PathBuf,
    /// DNS names and IP addresses of the subject alternative name, in lower case; a first label
    /// may be `*`.
    pub(super) names: Vec<String>,
}

pub(super) fn load(files: &[CertificateFiles]) -> Result<Vec<Certificate>, LoadError> {
    files.iter().map(load_one).collect()
}

fn load_one(files: &CertificateFiles) -> Result<Certificate, LoadError> {
    let chain = chain(&files.certificate)?;
    let key = key(&files.key)?;
    let signing = any_supported_type(&key)
        .map_err(|_| LoadError::content(&files.key, "not a key of RSA, ECDSA or Ed25519"))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(_) => {
            let reason = format!("not the key of {}", files.certificate.display());
            return Err(LoadError::content(&files.key, reason));
        }
    }
    let names = match certified.cert.first() {
        Some(leaf) => names(leaf, &files.certificate)?,
        None => Vec::new(),
    };
    Ok(Certificate {
        certified: Arc::new(certified),
        key: Arc::new(key),
        file: files.certificate.clone(),
        names,
    })
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    let pem = read(file)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| LoadError::content(file, broken(&error)))?;
    match chain.is_empty() {
        true => Err(LoadError::content(file, "no certificate in PEM")),
        false => Ok(chain),
    }
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, LoadError> {
    let pem = read(file)?;
    if find(&pem, b"ENCRYPTED") {
        return Err(LoadError::content(
            file,
            "the key is encrypted: store it without a pass phrase",
        ));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| match error {
        PemError::NoItemsFound => LoadError::content(file, "no private key in PEM"),
        error => LoadError::content(file, broken(&error)),
    })
}

/// Errors of the PEM reader may quote lines of the file, which may be a key.
fn broken(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "broken PEM: no END line",
        PemError::Base64Decode(_) => "broken PEM: not base64",
        _ => "broken PEM",
    }
}

fn read(file: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(file).map_err(|source| LoadError::Read {
        file: file.to_owned(),
        source,
    })
}

fn find(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// The names in a certificate; says in the log if it is not valid now.
fn names(leaf: &CertificateDer<'_>, file: &Path) -> Result<Vec<String>, LoadError> {
    let (_, certificate) = X509Certificate::from_der(leaf)
        .map_err(|_| LoadError::content(file, "not an X.509 certificate"))?;
    warn_if_not_valid(&certificate, file);
    let alternative = certificate
        .subject_alternative_name()
        .map_err(|_| LoadError::content(file, "broken subject alternative name"))?;
    let names = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    Ok(names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect())
}

fn warn_if_not_valid(certificate: &X509Certificate<'_>, file: &Path) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let validity = certificate.validity();
    let file = file.display();
    if now < validity.not_before.timestamp() {
        tracing::warn!(%file, from = %validity.not_before, "the server's certificate is not valid yet");
    } else if now > validity.not_after.timestamp() {
        tracing::warn!(%file, until = %validity.not_after, "the server's certificate has expired");
    }
}

#[cfg(test)]
mod tests;
