//! Certificates and keys of sinks as PEM, whatever they are kept in.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::pkcs12::{ParsedPkcs12_2, Pkcs12};
use openssl::pkey::PKey;

use crate::config::{Identity, KeyStore, Material, Secret, TlsClientConfig};

const PEM: &[u8] = b"-----BEGIN";
/// What a Java key store starts with.
const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// The certificates to trust.
pub(super) fn trust(config: &TlsClientConfig) -> Result<Option<Vec<u8>>, String> {
    let Some(store) = &config.trust else {
        return Ok(None);
    };
    match open(store)? {
        Opened::Pem(pem) => Ok(Some(pem)),
        Opened::Pkcs12(parsed) => {
            let mut pem = Vec::new();
            let certificates = parsed.ca.iter().flatten();
            for certificate in parsed.cert.iter().map(AsRef::as_ref).chain(certificates) {
                pem.extend(certificate.to_pem().map_err(|error| error.to_string())?);
            }
            if pem.is_empty() {
                return Err("tls.trust: there are no certificates in it".to_owned());
            }
            Ok(Some(pem))
        }
    }
}

/// The client's own certificate chain, and its key behind it.
pub(super) fn identity(config: &TlsClientConfig) -> Result<Option<Vec<u8>>, String> {
    match &config.identity {
        None => Ok(None),
        Some(Identity::Pem {
            certificate,
            key,
            password,
        }) => {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            let mut key_pem = read(key)?;
            if let Some(password) = password {
                key_pem = decrypted(&key_pem, password.read()?.as_bytes())
                    .map_err(|reason| format!("{}: {reason}", key.display()))?;
            }
            pem.extend(key_pem);
            Ok(Some(pem))
        }
        Some(Identity::Store(store)) => match open(store)? {
            Opened::Pem(pem) => match &store.password {
                None => Ok(Some(pem)),
                Some(password) => {
                    let key = decrypted(&pem, password.read()?.as_bytes())
                        .map_err(|reason| format!("tls.key_store: {reason}"))?;
                    Ok(Some([pem, key].join(&b'\n')))
                }
            },
            Opened::Pkcs12(parsed) => chain_and_key(&parsed).map(Some),
        },
    }
}

enum Opened {
    Pem(Vec<u8>),
    Pkcs12(Box<ParsedPkcs12_2>),
}

fn open(store: &KeyStore) -> Result<Opened, String> {
    let (name, bytes) = match &store.material {
        Material::File(path) => (path.display().to_string(), read(path)?),
        Material::Inline(text) if text.contains("-----BEGIN") => {
            return Ok(Opened::Pem(text.clone().into_bytes()));
        }
        Material::Inline(text) => {
            let text: String = text.split_whitespace().collect();
            let bytes = STANDARD.decode(text);
            let bytes =
                bytes.map_err(|_| "what is written is neither PEM nor Base64".to_owned())?;
            ("what is written".to_owned(), bytes)
        }
    };
    if bytes.windows(PEM.len()).any(|window| window == PEM) {
        return Ok(Opened::Pem(bytes));
    }
    if bytes.starts_with(&JKS) {
        return Err(format!(
            "{name} is a Java key store; make it PKCS#12: keytool -importkeystore -srckeystore \
             old.jks -destkeystore new.p12 -deststoretype PKCS12"
        ));
    }
    let password = store.password.as_ref().map(Secret::read);
    let password = password.transpose()?.unwrap_or_default();
    let parsed =
        Pkcs12::from_der(&bytes).map_err(|_| format!("{name} is neither PEM nor PKCS#12"))?;
    let parsed = parsed.parse2(&password).map_err(|_| {
        format!("{name}: the password does not open it, or its encryption is out of date")
    })?;
    Ok(Opened::Pkcs12(Box::new(parsed)))
}

fn chain_and_key(parsed: &ParsedPkcs12_2) -> Result<Vec<u8>, String> {
    let (Some(certificate), Some(key)) = (&parsed.cert, &parsed.pkey) else {
        return Err("tls.key_store: there is no certificate with its key in it".to_owned());
    };
    let failed = |error: openssl::error::ErrorStack| error.to_string();
    let mut pem = certificate.to_pem().map_err(failed)?;
    for other in parsed.ca.iter().flatten() {
        pem.extend(other.to_pem().map_err(failed)?);
    }
    pem.extend(key.private_key_to_pem_pkcs8().map_err(failed)?);
    Ok(pem)
}

/// The key alone, in the clear.
fn decrypted(pem: &[u8], password: &[u8]) -> Result<Vec<u8>, String> {
    let key = PKey::private_key_from_pem_passphrase(pem, password)
        .map_err(|_| "the password does not open the key".to_owned())?;
    key.private_key_to_pem_pkcs8()
        .map_err(|error| error.to_string())
}

/// A file, or its name and why not.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
