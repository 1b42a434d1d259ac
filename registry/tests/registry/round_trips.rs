//! What is written comes back.

use landfall_registry::Secrets;
use landfall_registry::document::{Document, parse_documents, to_yaml};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{document, fixture, json};

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
  mqtt: { dialect: { type: plainTopic, devicePrefix: true }, payloadEncoding: base64 }
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
        json!({
            "dialect": { "type": "plainTopic", "devicePrefix": true },
            "payloadEncoding": "base64",
        })
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

#[tokio::test]
async fn every_dialect_is_shown_as_it_is_read() {
    let fixture = fixture().await;
    for (written, shown) in [
        ("{ type: drogue/v1 }", json!({ "type": "drogue/v1" })),
        ("{ type: watsonIoT }", json!({ "type": "watsonIoT" })),
        (
            "{ type: watsonIoT, autoRegister: { roaming: true, maxDevices: 7 } }",
            json!({
                "type": "watsonIoT",
                "autoRegister": {
                    "roaming": true, "maxPending": 10, "maxActive": 500, "maxDevices": 7,
                    "retryPause": "30000ms",
                },
            }),
        ),
        ("{ type: azureIotHub }", json!({ "type": "azureIotHub" })),
        ("{ type: hono }", json!({ "type": "hono" })),
    ] {
        let spec = format!("{{ mqtt: {{ dialect: {written} }} }}");
        fixture.device("sensor01", &spec).await;
        let first = json(&fixture.get("sensor01").await)["spec"]["mqtt"].clone();
        assert_eq!(first["dialect"], shown);
        fixture
            .device("sensor01", &json!({ "mqtt": first }).to_string())
            .await;
        let again = &json(&fixture.get("sensor01").await)["spec"]["mqtt"];
        assert_eq!(*again, first);
    }
}
