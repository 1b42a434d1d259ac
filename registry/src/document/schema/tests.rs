//! The schemas against the parser: what one takes the other takes, whatever is bent.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::document::{Document, document_values};
use crate::token::NewToken;

/// The validator of one schema, with all others at hand.
fn validator(name: &str) -> jsonschema::Validator {
    let schemas: Map<String, Value> = super::all()
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    let whole = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": { "schemas": schemas },
    });
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&whole)
        .unwrap()
}

/// Every key that documents have, at least once.
const DOCUMENTS: &str = r#"
metadata:
  name: app
  labels: { example.com/site: north, empty: "" }
  annotations: { note: "any text: even this" }
  uid: u
  resourceVersion: "7"
  creationTimestamp: 2026-01-01T00:00:00Z
  generation: 3
spec:
  core: { disabled: true }
  mqtt: { dialect: { type: plainTopic, devicePrefix: true } }
  trustAnchors:
    anchors: [{ certificate: CERTIFICATE, deviceName: "${CN}" }]
  publish:
    sinks: [events]
    endpoint: { url: https://example.com/events, auth: { bearer: { token: t } }, timeout: 5s }
    rules:
      - when: always
        then: drop
      - when: { and: [{ isChannel: a }, { not: { or: [{ isChannel: b }, always] } }] }
        then:
          - break
          - reject: no
          - setExtension: { name: site, value: north }
          - removeExtension: site
          - setAttribute: { name: subject, value: x }
          - removeAttribute: dataschema
          - validate:
              request: { type: cloudEvent, mode: structured }
              endpoint:
                url: https://example.com/check
                method: POST
                auth: { basic: { username: u, password: p } }
                tls: { insecure: true }
                headers: [{ name: x-api-key, value: k }, { x-other: v }]
                timeout: 5s
          - enrich:
              response: { type: raw }
              endpoint: { url: "http://localhost:8080", auth: { bearer: { token: t } } }
  extension: { of: [anything] }
---
metadata: { name: sensor01, application: app }
spec:
  core: { disabled: false }
  authentication:
    credentials:
      - pass: plain
      - pass: { plain: plain }
      - pass: { bcrypt: $2b$04$oynqNpgrDwDSEBU9nMWwTOMfDbxkbfq.Qz3NdAoireyCuon.auqwe }
      - pass: { blake2s: "$blake2s$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }
      - pass: { secretRef: 0123456789abcdef0123456789abcdef }
      - user: { username: u, password: p, unique: true }
      - psk:
          key: MDEyMzQ1Njc4OWFiY2RlZg==
          validity: { notBefore: 2026-01-01T00:00:00Z, notAfter: 2027-01-01T00:00:00Z }
      - psk: { key: { secretRef: 0123456789abcdef0123456789abcdee } }
  gatewaySelector: { matchNames: [gateway01], matchLabels: { role: gateway } }
  alias: ["O=Example, CN=sensor01"]
  mqtt: { dialect: { type: drogue/v1 } }
"#;

fn documents() -> [Value; 2] {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = BASE64_STANDARD.encode(authority.self_signed(&key).unwrap().der());
    let text = DOCUMENTS.replace("CERTIFICATE", &certificate);
    document_values(&text).unwrap().try_into().unwrap()
}

/// The pointers of all values below, the document itself left out.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.map(|(i, value)| (i.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    for (key, value) in below {
        let pointer = format!("{at}/{key}");
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

/// The value with the one at `pointer` taken away.
fn without(value: &Value, pointer: &str) -> Value {
    let mut value = value.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.remove(&key.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(key.parse().unwrap())),
        _ => unreachable!(),
    }
    value
}

/// Each way to bend a document in one place: another type, a value too many, one too few.
fn bent(document: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    pointers(document, "", &mut places);
    let mut bent = Vec::new();
    for place in places {
        bent.push((format!("{place} gone"), without(document, &place)));
        for other in [
            json!(7),
            json!(true),
            json!("a/b@c"),
            json!([]),
            json!({}),
            json!([{}]),
        ] {
            let mut changed = document.clone();
            *changed.pointer_mut(&place).unwrap() = other.clone();
            bent.push((format!("{place} = {other}"), changed));
        }
        let mut changed = document.clone();
        if let Some(Value::Object(map)) = changed.pointer_mut(&place) {
            map.insert("unheard".to_owned(), json!("of"));
            bent.push((format!("{place} with a key more"), changed));
        }
    }
    bent
}

/// Where a schema cannot say what the parser knows.
fn beyond_a_schema(how: &str) -> bool {
    // Which kind of document it is, and so which schema counts, is said by the key itself.
    how.starts_with("/metadata/application")
}

#[test]
fn schemas_take_what_the_parser_takes_and_nothing_else() {
    let [application, device] = documents();
    let (mut checked, mut differences) = (0, Vec::new());
    for (document, schema) in [
        (application, "ApplicationDocument"),
        (device, "DeviceDocument"),
    ] {
        let schema = validator(schema);
        let unbent = ("as it is".to_owned(), document.clone());
        for (how, document) in bent(&document).into_iter().chain([unbent]) {
            if beyond_a_schema(&how) {
                continue;
            }
            let parsed = Document::read(document.clone());
            let validated = schema.validate(&document);
            if parsed.is_ok() != validated.is_ok() {
                let parsed = parsed.err().map(|invalid| invalid.to_string());
                let validated = validated.err().map(|error| error.to_string());
                differences.push(format!("{how}: {parsed:?}, {validated:?}"));
            }
            checked += 1;
        }
    }
    assert_eq!(differences, Vec::<String>::new());
    assert!(checked > 700, "{checked}");
}

#[test]
fn the_schema_of_a_new_token_takes_what_its_parser_takes() {
    let schema = validator("NewToken");
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let token = json!({
        "name": "ci", "roles": ["registry", "events"], "applications": ["app"],
        "expires": "2030-01-01T00:00:00Z",
    });
    let admin = json!({ "name": "ci", "roles": ["admin"], "applications": ["app"] });
    for (how, token) in bent(&token).into_iter().chain(bent(&admin)) {
        let parsed = NewToken::read(token.clone(), now);
        assert_eq!(parsed.is_ok(), schema.is_valid(&token), "{how}: {parsed:?}");
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    let all = super::all();
    for (name, schema) in &all {
        let text = schema.to_string();
        for rest in text.split("#/components/schemas/").skip(1) {
            let target = rest.split('"').next().unwrap();
            assert!(
                all.iter().any(|(name, _)| *name == target),
                "{name}: {target}"
            );
        }
    }
}
