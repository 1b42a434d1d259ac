//! Where a test's registry is kept: a file.

use std::path::Path;

use landfall_registry::StoreOptions;
use tempfile::TempDir;

/// A folder of the test's own.
pub(crate) struct Home(TempDir);

impl Home {
    // As that of PostgreSQL.
    #[allow(clippy::unused_async)]
    pub(crate) async fn new() -> Home {
        Home(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Everything that is stored.
    #[allow(clippy::unused_async)]
    pub(crate) async fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.path()).unwrap();
        files
            .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .collect()
    }

    pub(crate) fn store(&self) -> StoreOptions {
        StoreOptions::Sqlite(self.path().join("registry.db"))
    }
}
