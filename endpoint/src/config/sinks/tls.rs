//! `[sinks.tls]`: TLS of a sink that is a client.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Secret;

/// `[sinks.tls]`. Certificates and keys are PEM or PKCS#12, in files or written here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct TlsClientConfig {
    /// `trust` (a file) or `trust_data`: certificates that the server's may lead to; PKCS#12 with
    /// `trust_password` or `trust_password_file`. Default: the system's.
    pub trust: Option<KeyStore>,
    /// The client's own certificate chain and key, for servers that ask.
    pub identity: Option<Identity>,
    /// Accept certificates for another host name. Danger: whoever has any trusted certificate can
    /// stand in between.
    pub any_host_name: bool,
}

/// Certificates, perhaps with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStore {
    /// Where they are.
    pub material: Material,
    /// What opens them.
    pub password: Option<Secret>,
}

/// PEM, or PKCS#12 (written here: in Base64).
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// A file.
    File(PathBuf),
    /// Written into the configuration.
    Inline(String),
}

/// What is written may be a key.
impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Inline(_) => f.write_str("Inline(…)"),
        }
    }
}

/// A client certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// `certificate` and `key`, PEM files; `key_password` or `key_password_file` opens the key.
    Pem {
        /// The chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// What opens it.
        password: Option<Secret>,
    },
    /// `key_store` (a file) or `key_store_data`: PEM of both, or PKCS#12 with `key_store_password`
    /// or `key_store_password_file`.
    Store(KeyStore),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    trust: Option<PathBuf>,
    trust_data: Option<String>,
    trust_password: Option<String>,
    trust_password_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    key_password: Option<String>,
    key_password_file: Option<PathBuf>,
    key_store: Option<PathBuf>,
    key_store_data: Option<String>,
    key_store_password: Option<String>,
    key_store_password_file: Option<PathBuf>,
    any_host_name: bool,
}

impl TryFrom<Raw> for TlsClientConfig {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let secret = |key, text, file| Secret::either(key, text, file);
        let trust_password = secret(
            "tls.trust_password",
            raw.trust_password,
            raw.trust_password_file,
        )?;
        let key_password = secret("tls.key_password", raw.key_password, raw.key_password_file)?;
        let store_password = secret(
            "tls.key_store_password",
            raw.key_store_password,
            raw.key_store_password_file,
        )?;
        let trust = store("tls.trust", raw.trust, raw.trust_data, trust_password)?;
        let key_store = store(
            "tls.key_store",
            raw.key_store,
            raw.key_store_data,
            store_password,
        )?;
        let identity = match (raw.certificate, raw.key, key_store) {
            (None, None, None) if key_password.is_some() => {
                return Err("tls.key_password has no tls.key to open".to_owned());
            }
            (None, None, None) => None,
            (Some(certificate), Some(key), None) => Some(Identity::Pem {
                certificate,
                key,
                password: key_password,
            }),
            (None, None, Some(store)) => Some(Identity::Store(store)),
            (_, _, None) => return Err("tls.certificate and tls.key belong together".to_owned()),
            _ => return Err("has tls.certificate and tls.key_store: keep one".to_owned()),
        };
        Ok(Self {
            trust,
            identity,
            any_host_name: raw.any_host_name,
        })
    }
}

fn store(
    key: &str,
    file: Option<PathBuf>,
    data: Option<String>,
    password: Option<Secret>,
) -> Result<Option<KeyStore>, String> {
    let material = match (file, data) {
        (Some(_), Some(_)) => return Err(format!("has both {key} and {key}_data: keep one")),
        (Some(file), None) => Material::File(file),
        (None, Some(data)) => Material::Inline(data),
        (None, None) if password.is_some() => {
            return Err(format!("{key}_password has no {key} to open"));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(KeyStore { material, password }))
}

impl TlsClientConfig {
    pub(in crate::config) fn start_at(&mut self, folder: &Path) {
        if let Some(trust) = &mut self.trust {
            trust.start_at(folder);
        }
        match &mut self.identity {
            None => {}
            Some(Identity::Store(store)) => store.start_at(folder),
            Some(Identity::Pem {
                certificate,
                key,
                password,
            }) => {
                *certificate = folder.join(&certificate);
                *key = folder.join(&key);
                if let Some(password) = password {
                    password.start_at(folder);
                }
            }
        }
    }
}

impl KeyStore {
    fn start_at(&mut self, folder: &Path) {
        if let Material::File(path) = &mut self.material {
            *path = folder.join(&path);
        }
        if let Some(password) = &mut self.password {
            password.start_at(folder);
        }
    }
}
