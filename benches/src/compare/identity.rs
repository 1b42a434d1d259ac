//! The certificate that all servers of a comparison show: ECDSA on P-256, of the tool's own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use tempfile::TempDir;

use crate::error::{Error, Result};

/// The files of certificate and key. The certificate is its own authority.
pub(super) struct Identity(TempDir);

impl Identity {
    /// Makes one for `localhost`.
    pub(super) fn make() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .map_err(|fault| Error::Usage(format!("make a certificate: {fault}")))?;
        let writing = || Error::machine("write a certificate");
        let identity = Self(TempDir::new().map_err(writing())?);
        fs::write(identity.certificate(), made.cert.pem()).map_err(writing())?;
        let key: &KeyPair = &made.signing_key;
        fs::write(identity.key(), key.serialize_pem()).map_err(writing())?;
        Ok(identity)
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.path().join("server.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.path().join("server.key")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}
