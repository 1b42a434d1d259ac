//! Any rules of an application on any event: no panic, the event's identity stays, and what comes of
//! it is a CloudEvent in JSON.
//!
//! The input: a list of rules in JSON, then lines with channel, content type and payload.

#![no_main]

use std::sync::{Arc, LazyLock};

use landfall::rules::RuleBook;
use landfall_events::content::judge;
use landfall_events::encode::write_structured_json;
use landfall_events::event::{Draft, EventType, Origin, OriginParts, Timestamp, next_id};
use landfall_events::rule::{Parts, Verdict};
use landfall_registry::Registry;
use landfall_registry::document::{ApplicationDocument, Document};
use libfuzzer_sys::fuzz_target;

#[path = "../support/registry.rs"]
mod registry;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| registry::with("metadata: { name: app }\n"));

static ORIGIN: LazyLock<Arc<Origin>> = LazyLock::new(|| {
    Origin::new(OriginParts {
        instance: "fuzz",
        application: ("app", "app-uid"),
        device: ("dev", "dev-uid"),
        sender: ("gw", "gw-uid"),
    })
});

fuzz_target!(|input: &[u8]| {
    // Opened here: opening waits, and so do those who use it.
    LazyLock::force(&REGISTRY);
    let mut parts = input.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (rules, channel, content_type, payload) = (part(), part(), part(), part());
    let (Ok(rules), Ok(channel), Ok(content_type)) = (
        serde_json::from_slice::<serde_json::Value>(rules),
        str::from_utf8(channel),
        str::from_utf8(content_type),
    ) else {
        return;
    };
    let document = serde_json::json!({
        "metadata": { "name": "app" },
        "spec": { "publish": { "rules": rules } },
    });
    let Ok(document) = ApplicationDocument::read(document, None) else {
        return;
    };
    let application = registry::wait(async {
        REGISTRY.apply(Document::Application(document)).await.ok()?;
        REGISTRY.application("app").await.ok()?
    });
    let Some(ruleset) = application.and_then(|application| RuleBook::default().of(&application))
    else {
        return;
    };
    let declared = Some(content_type).filter(|text| !text.is_empty());
    let Ok((content_type, data)) = judge(declared, payload) else {
        return;
    };
    let time = Timestamp::now();
    let draft = Draft {
        origin: &ORIGIN,
        event_type: EventType::Event,
        id: next_id(time),
        time,
        subject: channel,
        data_content_type: content_type,
        data_schema: None,
        trace_parent: None,
        trace_state: None,
        retain: false,
        extensions: &[],
        data,
    };
    let mut parts = Parts::of(&draft);
    // `None`: an endpoint would be asked, and there is none here.
    if ruleset.rules.apply(&mut parts) != Some(Verdict::Pass) || parts.judge().is_err() {
        return;
    }
    let after = parts.draft(&ORIGIN, draft.id, draft.time);
    let mut json = Vec::new();
    write_structured_json(&after, &mut json);
    let event: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(event["id"], draft.id.to_string());
    assert_eq!(event["source"], "drogue://app/dev");
    assert_eq!(event["sender"], "gw");
    for member in event.as_object().expect("an object").keys() {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(member == "data_base64" || member.chars().all(legal), "{member}");
    }
});
