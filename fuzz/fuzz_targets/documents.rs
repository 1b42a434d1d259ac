//! Any text as resource documents: no panic, no credential is shown, and what is stored can be shown,
//! written back, and is then unchanged.

#![no_main]

use std::sync::LazyLock;

use landfall_registry::document::{ApplicationDocument, Document, parse_documents};
use landfall_registry::{Outcome, Registry};
use libfuzzer_sys::fuzz_target;

#[path = "../support/registry.rs"]
mod registry;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| registry::with("metadata: { name: app }\n"));

/// Stands for any secret: what is shown of a device's credentials does not have it.
const SECRET: &str = "s3cr3t-0f-a-d3v1c3";

fuzz_target!(|input: &[u8]| {
    // Opened here: opening waits, and so do those who use it.
    LazyLock::force(&REGISTRY);
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    match parse_documents(text) {
        Ok(documents) => {
            // User names are no secrets, and may be anything.
            let hidden = !text.contains("user");
            for (_, document) in documents {
                if let Document::Device(device) = &document {
                    let shown = format!("{:?}", device.spec.authentication);
                    assert!(!hidden || !shown.contains(SECRET), "{shown}");
                }
                registry::wait(is_kept(document, hidden));
            }
        }
        Err(problems) => {
            let _ = problems.to_string();
        }
    }
});

/// Stores it, reads it and writes back what was read.
async fn is_kept(document: Document, hidden: bool) {
    if let Document::Device(device) = &document {
        let owner = serde_json::json!({ "metadata": { "name": device.application } });
        let Ok(owner) = ApplicationDocument::read(owner, None) else {
            return;
        };
        let _ = REGISTRY.apply(Document::Application(owner)).await;
    }
    let Ok(written) = REGISTRY.apply(document).await else {
        return;
    };
    let shown = serde_json::to_value(&written.resource).expect("JSON");
    let credentials = shown["spec"]["authentication"].to_string();
    assert!(!hidden || !credentials.contains(SECRET), "{credentials}");
    let again = Document::read(shown.clone())
        .unwrap_or_else(|problems| panic!("what is shown is refused: {problems}\n{shown}"));
    let again = REGISTRY.apply(again).await.expect("what is shown can be written");
    assert_eq!(again.outcome, Outcome::Unchanged, "{shown}");
}
