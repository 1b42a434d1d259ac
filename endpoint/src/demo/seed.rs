//! The demo's application and devices. What exists is left as it is, so that what was tried out
//! survives the next start.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use landfall_registry::{
    Registry, WriteError,
    document::{Document, parse_documents},
};
use serde_json::json;

use crate::cli::Failure;

use super::APPLICATION;

const DOCUMENTS: &str = include_str!("devices.yaml");
const PSK_DEVICE: &str = "psk01";
pub(super) const PSK_FILE: &str = "psk01.key";
/// 256 bits.
const PSK_BYTES: usize = 32;

/// Makes what is missing. A new CA becomes the application's trust anchor.
pub(super) async fn seed(
    registry: &Registry,
    data_dir: &Path,
    new_ca: Option<&str>,
) -> Result<(), Failure> {
    if let Some(ca) = new_ca {
        let applied = registry.apply(application(ca)?).await;
        applied.map_err(Failure::new)?;
    }
    let documents = parse_documents(DOCUMENTS).map_err(Failure::new)?;
    for (_, document) in documents {
        create(registry, document).await?;
    }
    let file = data_dir.join(PSK_FILE);
    // Without the file nobody knows the key any more: a new one takes its place.
    match new_key(&file)
        .map_err(|error| Failure::new(format_args!("{}: {error}", file.display())))?
    {
        Some(key) => {
            let applied = registry.apply(psk_device(&key)?).await;
            applied.map(drop).map_err(Failure::new)
        }
        None => Ok(()),
    }
}

async fn create(registry: &Registry, document: Document) -> Result<(), Failure> {
    let created = match document {
        Document::Application(document) => registry.create_application(document).await.map(drop),
        Document::Device(document) => registry.create_device(document).await.map(drop),
    };
    match created {
        Ok(()) | Err(WriteError::AlreadyExists) => Ok(()),
        Err(error) => Err(Failure::new(error)),
    }
}

/// Makes the key's file, in hexadecimal as clients want it; `None` if it is there already.
fn new_key(file: &Path) -> io::Result<Option<[u8; PSK_BYTES]>> {
    let mut key = [0; PSK_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    match made {
        Ok(mut made) => {
            made.write_all(format!("{digits}\n").as_bytes())?;
            Ok(Some(key))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

fn application(ca: &str) -> Result<Document, Failure> {
    let document = json!({
        "metadata": { "name": APPLICATION },
        "spec": { "trustAnchors": { "anchors": [{ "certificate": ca }] } },
    });
    Document::read(document).map_err(Failure::new)
}

fn psk_device(key: &[u8]) -> Result<Document, Failure> {
    let document = json!({
        "metadata": { "name": PSK_DEVICE, "application": APPLICATION },
        "spec": { "authentication": { "credentials": [
            { "psk": { "key": BASE64_STANDARD.encode(key) } },
        ] } },
    });
    Document::read(document).map_err(Failure::new)
}
