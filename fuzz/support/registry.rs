//! A registry in memory, and the runtime that waits for it.

use std::future::Future;
use std::path::Path;
use std::sync::LazyLock;

use landfall_registry::document::parse_documents;
use landfall_registry::{Options, Registry};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a runtime")
});

/// Waits for an answer of the registry.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    RUNTIME.block_on(answer)
}

/// Opens a registry of these documents, with passwords as they are: no hash slows the fuzzer down.
pub fn with(documents: &str) -> Registry {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let file = parent.join(format!("landfall-fuzz-{}.db", std::process::id()));
    let options = Options { hash_passwords: false, ..Options::new(&file) };
    wait(async {
        let registry = Registry::open(options).await.expect("a registry");
        let mut documents = parse_documents(documents).expect("documents");
        // Applications before their devices.
        documents.sort_by_key(|(_, document)| {
            matches!(document, landfall_registry::document::Document::Device(_))
        });
        for (_, document) in documents {
            registry.apply(document).await.expect("a good document");
        }
        forget_at_exit(&file);
        registry
    })
}

/// The open files go on; their names go now, so that no run leaves any behind.
fn forget_at_exit(file: &Path) {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
}
