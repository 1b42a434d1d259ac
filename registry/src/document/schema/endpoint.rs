//! An HTTP endpoint that a rule calls.

use serde_json::{Value, json};

use super::{object, one_of, reference};

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("ExternalEndpoint", endpoint()), ("SecretText", text())]
}

/// A password or token that the server presents elsewhere.
fn text() -> Value {
    json!({
        "anyOf": [
            { "type": "string", "pattern": "^[^\\p{Cc}]*$", "maxLength": 8192 },
            reference("SecretReference"),
        ],
        "description": "A secret that the server presents elsewhere, or a reference to a stored one.",
    })
}

fn endpoint() -> Value {
    let tls = object(
        &[],
        json!({
            "insecure": {
                "type": "boolean", "default": false,
                "description": "Accept any certificate. Dangerous.",
            },
            "certificate": {
                "type": "string", "pattern": "BEGIN CERTIFICATE|^\\s*M|^\\s*LS0t",
                "description": "The only trust anchor, as PEM.",
            },
        }),
    );
    let basic = object(
        &["username"],
        json!({
            "username": { "type": "string", "pattern": "^[^:\\p{Cc}]*$" },
            "password": reference("SecretText"),
        }),
    );
    let bearer = object(&["token"], json!({ "token": reference("SecretText") }));
    let auth = one_of(json!({ "basic": basic, "bearer": bearer }));
    let auth = json!({ "anyOf": [{ "const": "none" }, auth] });
    object(
        &["url"],
        json!({
            "url": {
                "type": "string", "maxLength": 2048, "pattern": "^https?://[^/?#@ ]+[!-~]*$",
            },
            "method": { "type": "string", "pattern": "^[A-Z]{1,16}$" },
            "tls": tls,
            "auth": auth,
            "headers": { "type": "array", "maxItems": 32, "items": header() },
            "timeout": {
                "type": "string", "pattern": "^\\s*([0-9]+\\s*[a-z]+\\s*)+$",
                "description": "Above 0 and at most 60 s, as `5s` or `1m`.",
            },
        }),
    )
}

/// `{ name: n, value: v }`; `{ n: v }` is taken, too, as Drogue Cloud's documentation has it.
fn header() -> Value {
    let name = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$";
    let pair = object(
        &["name", "value"],
        json!({ "name": { "type": "string", "pattern": name }, "value": reference("SecretText") }),
    );
    json!({ "anyOf": [
        pair,
        {
            "type": "object", "minProperties": 1, "maxProperties": 1,
            "propertyNames": { "pattern": name, "not": { "enum": ["name", "value"] } },
            "additionalProperties": reference("SecretText"),
        },
    ] })
}
