//! Documents as text: which forms are accepted, and what they mean.

use landfall_registry::document::{
    Address, Credential, DeviceDocument, DialectSpec, Document, parse_documents,
};

use crate::common::{document, fixture, parse_application, parse_device};

#[test]
fn a_document_with_an_application_is_a_device() {
    let documents = parse_documents(
        "metadata: { name: app }\n---\nmetadata: { name: d, application: app }\n---\n",
    )
    .unwrap();
    let kinds: Vec<_> = documents
        .iter()
        .map(|(index, document)| (*index, matches!(document, Document::Device(_))))
        .collect();
    assert_eq!(kinds, [(0, false), (1, true)]);
}

#[test]
fn many_documents_come_as_yaml_stream_json_array_or_items() {
    let names = |text: &str| -> Vec<String> {
        let documents = parse_documents(text).unwrap();
        documents
            .iter()
            .map(|(_, document)| document.name().to_owned())
            .collect()
    };
    assert_eq!(
        names("metadata: {name: a}\n---\nmetadata: {name: b}\n"),
        ["a", "b"]
    );
    assert_eq!(
        names(r#"[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]"#),
        ["a", "b"]
    );
    assert_eq!(
        names(r#"{"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"#),
        ["a", "b"]
    );
    assert_eq!(
        names("items:\n- metadata: {name: a}\n- metadata: {name: b}\n"),
        ["a", "b"]
    );
    assert_eq!(names(r#" {"metadata":{"name":"a"}} "#), ["a"]);
    assert_eq!(names("{metadata: {name: a}}"), ["a"], "YAML in flow style");
    assert!(names("").is_empty());
    assert!(names("# only a comment\n").is_empty());
}

#[tokio::test]
async fn the_documentations_example_is_valid() {
    let documentation = include_str!("../../../docs/registry.md");
    let (_, example) = documentation.split_once("```yaml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let fixture = fixture().await;
    fixture.apply(example).await.unwrap();
    let device = async |name| {
        let found = fixture.registry.device("my-app", name).await.unwrap();
        found.unwrap().device
    };
    assert!(
        device("sensor01")
            .await
            .selects_gateway(&*device("gateway01").await)
    );
}

#[test]
fn a_text_may_hold_thousands_of_documents() {
    let mut text = "metadata: { name: app }\n".to_owned();
    for n in 0..5000 {
        text.push_str(&format!(
            "---\nmetadata: {{ name: d{n}, application: app }}\nspec: {{ alias: &a [a{n}], x-y: *a }}\n"
        ));
    }
    assert_eq!(parse_documents(&text).unwrap().len(), 5001);
}

#[test]
fn every_invalid_document_of_a_text_is_told_with_its_place() {
    let text = "metadata: {name: a}\n---\nmetadata: {name: b/c}\n---\nmetadata: {nam: d}\n";
    let invalid = parse_documents(text).unwrap_err();
    let places: Vec<_> = invalid
        .documents
        .iter()
        .map(|document| (document.index, document.name.as_deref()))
        .collect();
    assert_eq!(places, [(1, Some("b/c")), (2, None)]);
    let told = invalid.to_string();
    assert!(
        told.contains("document 2 (`b/c`): metadata.name: `b/c` must not contain `/`"),
        "{told}"
    );
    assert!(told.contains("did you mean `name`?"), "{told}");
}

#[test]
fn an_address_stands_in_for_names_and_may_not_be_contradicted() {
    let address = Address {
        application: Some("app"),
        name: Some("sensor01"),
    };
    for text in [
        "spec: {}",
        "metadata: {}",
        "metadata: { name: sensor01 }",
        "{}",
    ] {
        let document = DeviceDocument::parse(text, address).unwrap();
        assert_eq!(
            (
                document.application.as_str(),
                document.metadata.name.as_str()
            ),
            ("app", "sensor01")
        );
    }
    let other = DeviceDocument::parse("metadata: { name: x, application: y }", address);
    let told = other.unwrap_err().to_string();
    assert!(
        told.contains("metadata.name: is `x`, but the request is for `sensor01`"),
        "{told}"
    );
    assert!(
        told.contains("metadata.application: is `y`, but the request is for `app`"),
        "{told}"
    );
}

#[test]
fn drogue_clouds_own_metadata_and_status_are_taken_in() {
    let text = r#"{"metadata":{"name":"d","application":"app","uid":"","creationTimestamp":
        "2021-01-01T00:00:00Z","generation":7,"resourceVersion":"","finalizers":["x"],
        "deletionTimestamp":null},"status":{"conditions":[]}}"#;
    let Document::Device(device) = document(text) else {
        panic!("not a device")
    };
    assert_eq!(device.metadata.preconditions, Default::default());
}

#[test]
fn drogue_clouds_older_credentials_section_is_an_alias() {
    let new = parse_device("{ authentication: { credentials: [{ pass: p }] } }").unwrap();
    let old = parse_device("{ credentials: { credentials: [{ pass: p }] } }").unwrap();
    let both = parse_device(
        "{ credentials: { credentials: [{ pass: p }] },
           authentication: { credentials: [{ pass: p }] } }",
    );
    assert_eq!(new, old);
    assert_eq!(new, both.unwrap());
}

#[test]
fn secrets_do_not_show_in_debug() {
    let document = parse_device(
        "{ authentication: { credentials: [{ pass: hunter2 }, { psk: { key: aHVudGVyMg== } },
           { user: { username: u, password: { argon2: '$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aHVudGVyMmh1bnRlcjI' } } }] } }",
    );
    let debug = format!("{:?}", document.unwrap());
    for secret in ["hunter2", "aHVudGVyMg", "104, 117", "c2FsdHNhbHQ"] {
        assert!(!debug.contains(secret), "{debug}");
    }
    assert!(debug.contains("argon2(…)"), "{debug}");
}

#[test]
fn an_absent_or_empty_section_means_its_default() {
    for spec in [
        "",
        "{}",
        "{ core: }",
        "{ authentication: {}, mqtt: {}, gatewaySelector: {} }",
    ] {
        assert_eq!(
            parse_device(spec).unwrap(),
            parse_device("{}").unwrap(),
            "{spec}"
        );
    }
    let spec = parse_device("{}").unwrap().spec;
    assert!(!spec.core.disabled);
    assert!(spec.authentication.credentials.is_empty());
    assert_eq!(spec.mqtt.dialect, None);
}

#[test]
fn dialects_are_read_by_type() {
    let dialect = |spec: &str| parse_application(spec).unwrap().spec.mqtt.dialect;
    assert_eq!(
        dialect("{ mqtt: { dialect: { type: drogue/v1 } } }"),
        Some(DialectSpec::DrogueV1)
    );
    for (options, device_prefix) in [("", false), (", devicePrefix: true", true)] {
        let spec = format!("{{ mqtt: {{ dialect: {{ type: plainTopic{options} }} }} }}");
        assert_eq!(
            dialect(&spec),
            Some(DialectSpec::PlainTopic { device_prefix })
        );
    }
}

#[test]
fn a_password_that_looks_like_a_reference_is_one_only_as_a_mapping() {
    let document = parse_device("{ authentication: { credentials: [{ pass: 'secretRef' }] } }");
    let credentials = document.unwrap().spec.authentication.credentials;
    assert!(matches!(
        &credentials[0],
        Credential::Pass(landfall_registry::secret::Given::New(_))
    ));
}
