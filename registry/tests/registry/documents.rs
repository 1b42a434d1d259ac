//! Documents as text: what is accepted, in which forms, and what comes back.

use landfall_registry::Secrets;
use landfall_registry::document::{
    Address, Credential, DeviceDocument, DialectSpec, Document, parse_documents, to_yaml,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{document, fixture, json, parse_application, parse_device};

/// Everything that a device's document can hold.
const DEVICE: &str = r#"
metadata:
  name: sensor01
  application: app
  labels: { example.com/site: north, line: "3" }
  annotations: { note: "mounted upside down\nsince 2024" }
spec:
  core: { disabled: true }
  authentication:
    credentials:
      - pass: plain-text
      - pass: { bcrypt: "$2a$12$WsLmgORBv3WHZ3CjCiMzXOeo2hL5UEeq8PEd11q9BfbM/RWqb7c3G" }
      - user: { username: u, password: p }
      - user: { username: pump-7, password: { plain: p }, unique: true }
      - psk: { key: aGV5LXJvZG5leQ==, validity: { notBefore: 2022-10-05T07:05:26Z, notAfter: 2023-10-05T09:05:26+02:00 } }
      - psk: { key: bWV0YWxsaWNh }
  gatewaySelector: { matchNames: [gateway01], matchLabels: { role: gateway } }
  alias: ["O=Example, CN=sensor01"]
  mqtt: { dialect: { type: plainTopic, devicePrefix: true } }
  commands: { commands: [ { external: { url: "http://example.com", headers: {} } } ] }
  custom: [1, 2.5, null, { deep: true }]
"#;

#[tokio::test]
async fn a_full_device_survives_write_and_read() {
    let fixture = fixture().await;
    fixture.apply(DEVICE).await.unwrap();
    let shown = json(&fixture.get("sensor01").await);

    assert_eq!(shown["metadata"]["name"], "sensor01");
    assert_eq!(shown["metadata"]["application"], "app");
    assert_eq!(shown["metadata"]["generation"], 1);
    assert_eq!(
        shown["metadata"]["labels"],
        json!({ "example.com/site": "north", "line": "3" })
    );
    assert_eq!(
        shown["metadata"]["annotations"]["note"],
        "mounted upside down\nsince 2024"
    );
    let spec = &shown["spec"];
    assert_eq!(spec["core"], json!({ "disabled": true }));
    assert_eq!(spec["gatewaySelector"]["matchNames"], json!(["gateway01"]));
    assert_eq!(
        spec["gatewaySelector"]["matchLabels"],
        json!({ "role": "gateway" })
    );
    assert_eq!(spec["alias"], json!(["O=Example, CN=sensor01"]));
    assert_eq!(
        spec["mqtt"],
        json!({ "dialect": { "type": "plainTopic", "devicePrefix": true } })
    );
    assert_eq!(
        spec["custom"],
        json!([1, 2.5, null, { "deep": true }]),
        "a foreign section"
    );
    assert_eq!(
        spec["commands"]["commands"][0]["external"]["url"],
        "http://example.com"
    );

    let credentials = spec["authentication"]["credentials"].as_array().unwrap();
    assert_eq!(credentials.len(), 6);
    assert_eq!(credentials[2]["user"]["username"], "u");
    assert_eq!(credentials[2]["user"].get("unique"), None);
    assert_eq!(credentials[3]["user"]["unique"], true);
    let validity = &credentials[4]["psk"]["validity"];
    assert_eq!(validity["notBefore"], "2022-10-05T07:05:26Z");
    assert_eq!(validity["notAfter"], "2023-10-05T09:05:26+02:00");
    for secret in [
        &credentials[0]["pass"],
        &credentials[1]["pass"],
        &credentials[2]["user"]["password"],
        &credentials[4]["psk"]["key"],
    ] {
        let map = secret.as_object().unwrap();
        assert_eq!(map.keys().collect::<Vec<_>>(), ["secretRef"]);
    }
}

#[tokio::test]
async fn yaml_and_json_of_what_is_shown_read_back_the_same() {
    let fixture = fixture().await;
    fixture.apply(DEVICE).await.unwrap();
    for secrets in [Secrets::Hidden, Secrets::Revealed] {
        let shown = fixture
            .registry
            .get_device("app", "sensor01", secrets)
            .await
            .unwrap()
            .unwrap();
        let of_json = document(&serde_json::to_string(&shown).unwrap());
        let of_yaml = document(&to_yaml(std::slice::from_ref(&shown)).unwrap());
        assert_eq!(of_json, of_yaml);
        let Document::Device(device) = of_json else {
            panic!("not a device")
        };
        assert_eq!(
            device.metadata.preconditions.uid.as_ref(),
            Some(&shown.metadata.uid)
        );
    }
}

#[tokio::test]
async fn the_server_sets_uid_creation_generation_and_resource_version() {
    let fixture = fixture().await;
    fixture.device("sensor01", "{}").await;
    let first = fixture.get("sensor01").await.metadata;
    let parsed = uuid_like(&first.uid);
    assert!(parsed, "{}", first.uid);
    let created = time::OffsetDateTime::parse(
        &first.creation_timestamp,
        &time::format_description::well_known::Rfc3339,
    );
    assert!(created.unwrap().year() >= 2024);
    assert_eq!(first.generation, 1);

    fixture
        .apply("metadata: { name: sensor01, application: app, labels: { a: b } }")
        .await
        .unwrap();
    let labelled = fixture.get("sensor01").await.metadata;
    assert_eq!(labelled.generation, 1, "labels are not the spec");
    assert_ne!(labelled.resource_version, first.resource_version);

    fixture
        .device("sensor01", "{ core: { disabled: true } }")
        .await;
    let changed = fixture.get("sensor01").await.metadata;
    assert_eq!(changed.generation, 2);
    assert_eq!(
        (changed.uid, changed.creation_timestamp),
        (first.uid, first.creation_timestamp)
    );
}

fn uuid_like(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

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

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        // What YAML could take for something else, and what it has to quote.
        prop::sample::select(vec![
            "yes",
            "no",
            "on",
            "null",
            "~",
            "0x1F",
            "1e3",
            "1_000",
            "-",
            "---",
            "...",
            ": ",
            " #",
            "a: b",
            "- a",
            "&a",
            "*a",
            "!a",
            "%a",
            "@a",
            "`a",
            "{",
            "[",
            "}",
            "|",
            ">",
            "'",
            "\"",
            "\\",
            "",
            " ",
            "  a",
            "a  ",
            "a\nb",
            "\n",
            "\ta",
            "a\r\nb",
            "2024-01-01",
            "12:30:45",
            ".5",
            "+1",
            "0o17",
            "<<",
            "=",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "\u{0}",
        ])
        .prop_map(Value::from),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn foreign_sections_survive_yaml_and_json(value in any_value()) {
        let text = json!({ "metadata": { "name": "app" }, "spec": { "x-foreign": value } });
        let of_json = document(&text.to_string());
        let of_yaml = document(&to_yaml(std::slice::from_ref(&text)).unwrap());
        prop_assert_eq!(&of_json, &of_yaml);
        let Document::Application(application) = of_json else { panic!("not an application") };
        let foreign = &application.spec.foreign["x-foreign"];
        prop_assert_eq!(foreign, &text["spec"]["x-foreign"]);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}|[-\\[\\]{}:,&*!|>'\"#%@ \nab]{0,200}") {
        let _ = parse_documents(&text);
    }
}
