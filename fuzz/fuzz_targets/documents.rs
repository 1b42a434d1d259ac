//! Any text as resource documents: no panic, a problem is told without the secrets of the text, and
//! what is stored can be shown, written back, and is then unchanged.

#![no_main]

use std::sync::LazyLock;

use landfall_registry::document::{ApplicationDocument, Document, parse_documents};
use landfall_registry::{Outcome, Registry};
use libfuzzer_sys::fuzz_target;

#[path = "../support/registry.rs"]
mod registry;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| registry::with("metadata: { name: app }\n"));

/// Stands for any secret: whatever is said about the text, it is not in it.
const SECRET: &str = "s3cr3t-0f-a-d3v1c3";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    match parse_documents(text) {
        Ok(documents) => {
            for (_, document) in documents {
                let shown = format!("{document:?}");
                assert!(!hides_in_a_name(&document) || !shown.contains(SECRET), "{shown}");
                registry::wait(is_kept(document));
            }
        }
        Err(problems) => {
            let _ = problems.to_string();
        }
    }
});

/// Whether the text's secret, if it has one, stands where a secret belongs.
fn hides_in_a_name(document: &Document) -> bool {
    let credentials = match document {
        Document::Application(_) => return false,
        Document::Device(device) => &device.spec.authentication,
    };
    let without = {
        let mut device = match document {
            Document::Device(device) => device.clone(),
            Document::Application(_) => return false,
        };
        device.spec.authentication = Default::default();
        format!("{device:?}")
    };
    !without.contains(SECRET) && !format!("{credentials:?}").is_empty()
}

/// Stores it, reads it and writes back what was read.
async fn is_kept(document: Document) {
    if let Document::Device(device) = &document {
        let owner = serde_json::json!({ "metadata": { "name": device.application } });
        let Ok(owner) = ApplicationDocument::read(owner, None) else {
            return;
        };
        let _ = REGISTRY.apply(Document::Application(owner)).await;
    }
    let is_device = matches!(document, Document::Device(_));
    let Ok(written) = REGISTRY.apply(document).await else {
        return;
    };
    let shown = serde_json::to_value(&written.resource).expect("JSON");
    assert!(!is_device || !shown["spec"]["authentication"].to_string().contains(SECRET));
    let again = Document::read(shown.clone())
        .unwrap_or_else(|problems| panic!("what is shown is refused: {problems}\n{shown}"));
    let again = REGISTRY.apply(again).await.expect("what is shown can be written");
    assert_eq!(again.outcome, Outcome::Unchanged, "{shown}");
}
