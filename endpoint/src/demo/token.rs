//! The demo's API token: one of the registry's, named `demo`, like those that `landfall token` makes.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use landfall_registry::{Registry, WriteError, token::NewToken};

use crate::cli::Failure;

/// The demo's file for it.
pub(super) const FILE: &str = "token";
const NAME: &str = "demo";
const DOCUMENT: &str = "{ name: demo, roles: [admin] }";

/// Sees to it that the file holds the token. Without the file nobody knows it any more, and a token
/// that was revoked is no good: a new one takes its place.
pub(super) async fn make(registry: &Registry, data_dir: &Path) -> Result<(), Failure> {
    let file = data_dir.join(FILE);
    let failed = |error: io::Error| Failure::new(format_args!("{}: {error}", file.display()));
    match fs::read_to_string(&file) {
        Ok(text) => {
            let token = registry.token(text.trim().as_bytes()).await;
            if token.map_err(Failure::new)?.is_some() {
                return Ok(());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    match registry.revoke_token(NAME).await {
        Ok(()) | Err(WriteError::NotFound) => {}
        Err(error) => return Err(Failure::new(error)),
    }
    let new = NewToken::parse(DOCUMENT).map_err(Failure::new)?;
    let (_, secret) = registry.create_token(new).await.map_err(Failure::new)?;
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut file| writeln!(file, "{}", secret.reveal()));
    written.map_err(failed)
}
