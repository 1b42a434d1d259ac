//! Certificates and keys that change on disk: new connections get the new ones, those that are
//! served go on.
//!
//! The files' metadata is looked at every few seconds. That also sees files that are replaced by
//! renaming or through symbolic links, as certificate managers and Kubernetes do it, and needs no
//! watch that can be lost.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;

use super::Tls;

/// Between two looks at the files.
const PERIOD: Duration = Duration::from_secs(2);

/// What shows that a file is another one than before.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature(Vec<Option<(u64, u64, i64, i64)>>);

/// Loads a listener's files again when they change, or when `asks` rings.
pub(crate) async fn watch(tls: Arc<Tls>, name: String, mut asks: Receiver<()>) {
    let mut seen = signature(&tls).await;
    loop {
        let asked = tokio::select! {
            asked = asks.changed() => match asked {
                Ok(()) => true,
                // The server is gone.
                Err(_) => return,
            },
            () = tokio::time::sleep(PERIOD) => false,
        };
        let found = signature(&tls).await;
        if found == seen && !asked {
            continue;
        }
        // Looked at before they are read: a change in between is seen the next time.
        seen = found;
        let loading = Arc::clone(&tls);
        match tokio::task::spawn_blocking(move || loading.reload()).await {
            Ok(Ok(())) => tracing::info!(listener = name, "certificates and keys loaded again"),
            Ok(Err(error)) => tracing::error!(
                listener = name,
                %error,
                "certificates and keys not loaded: those from before stay"
            ),
            Err(error) => tracing::error!(%error, "loading certificates failed"),
        }
    }
}

async fn signature(tls: &Tls) -> Signature {
    let files: Vec<PathBuf> = tls
        .config
        .certificates
        .iter()
        .flat_map(|files| [files.certificate.clone(), files.key.clone()])
        .collect();
    let look = move || {
        let one = |file: &PathBuf| {
            let data = fs::metadata(file).ok()?;
            Some((data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
        };
        Signature(files.iter().map(one).collect())
    };
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|_| Signature(Vec::new()))
}
