//! `spec` of an application: anchors, rules, sinks.

use serde_json::{Value, json};

use super::{list, object, one_of, printable, reference, with};
use crate::document::step;

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("ApplicationSpec", spec()),
        ("TrustAnchor", anchor()),
        ("Publish", publish()),
        (
            "Rule",
            object(
                &[],
                json!({
                    "when": reference("When"),
                    "then": { "anyOf": [
                        { "type": "array", "maxItems": 64, "items": reference("Step") },
                        reference("Step"),
                    ] },
                }),
            ),
        ),
        ("When", when()),
        ("Step", step()),
    ]
}

fn spec() -> Value {
    json!({
        "type": "object",
        "description": "Sections that are not known are kept and shown as they came; those of devices are refused.",
        "properties": {
            "core": reference("Core"),
            "trustAnchors": object(&[], json!({
                "anchors": {
                    "type": "array", "maxItems": 32, "items": reference("TrustAnchor"),
                },
            })),
            "publish": reference("Publish"),
            "mqtt": reference("Mqtt"),
        },
    })
}

fn anchor() -> Value {
    object(
        &["certificate"],
        json!({
            "certificate": {
                "type": "string",
                "pattern": "BEGIN CERTIFICATE|^\\s*M|^\\s*LS0t",
                "description": "A CA certificate: base64 of DER, or PEM.",
            },
            "deviceName": {
                "type": "string", "maxLength": 255, "pattern": "\\$\\{[-A-Za-z0-9.]+\\}",
                "default": "${CN}",
                "description": "How a device is named after the subject of its certificate.",
            },
        }),
    )
}

fn publish() -> Value {
    object(
        &[],
        json!({
            "rules": { "type": "array", "maxItems": 256, "items": reference("Rule") },
            "sinks": {
                "type": "array", "minItems": 1, "maxItems": 16, "uniqueItems": true,
                "items": printable(255),
                "description": "The server's sinks that take these events; left out: all.",
            },
            "endpoint": with(
                reference("ExternalEndpoint"),
                "description",
                "Where sinks of type http post these events, instead of their own URL.".into(),
            ),
        }),
    )
}

fn when() -> Value {
    let conditions = with(list("When"), "maxItems", 256.into());
    json!({ "anyOf": [
        { "const": "always" },
        one_of(json!({
            "always": { "type": "null" },
            "isChannel": { "type": "string" },
            "not": reference("When"),
            "and": conditions,
            "or": conditions,
        })),
    ] })
}

fn step() -> Value {
    let extension = |more: &[&'static str]| {
        let names: Vec<&str> = step::taken().chain(more.iter().copied()).collect();
        json!({ "type": "string", "pattern": "^[a-z0-9]{1,64}$", "not": { "enum": names } })
    };
    let assigned = |name: Value, value: Value| {
        object(&["name", "value"], json!({ "name": name, "value": value }))
    };
    let text = json!({ "type": "string" });
    let request = object(
        &["type"],
        json!({
            "type": { "const": "cloudEvent" },
            "mode": { "enum": ["binary", "structured"], "default": "binary" },
        }),
    );
    let response = object(
        &["type"],
        json!({ "type": { "enum": ["cloudEvent", "raw", "assumeStructuredCloudEvent"] } }),
    );
    let endpoint = reference("ExternalEndpoint");
    json!({ "anyOf": [
        { "enum": ["drop", "break"] },
        one_of(json!({
            "drop": { "type": "null" },
            "break": { "type": "null" },
            "reject": { "type": "string" },
            "setExtension": assigned(extension(&["mqttretain"]), text.clone()),
            "removeExtension": extension(&[]),
            "setAttribute": { "anyOf": [
                assigned(json!({ "enum": ["datacontenttype", "subject"] }), text),
                assigned(json!({ "const": "type" }), json!({ "type": "string", "minLength": 1 })),
                assigned(
                    json!({ "const": "dataschema" }),
                    json!({
                        "type": "string",
                        "pattern": "^[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\\[\\]_a-z~]+$",
                        "description": "An absolute URI.",
                    }),
                ),
            ] },
            "removeAttribute": { "enum": ["datacontenttype", "dataschema", "subject"] },
            "validate": object(
                &["endpoint"], json!({ "request": request, "endpoint": endpoint }),
            ),
            "enrich": object(
                &["endpoint"],
                json!({ "request": request, "response": response, "endpoint": endpoint }),
            ),
        })),
    ] })
}
