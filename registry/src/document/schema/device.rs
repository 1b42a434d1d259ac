//! `spec` of a device, and what applications have in common with it.

use serde_json::{Value, json};

use super::{described, object, one_of, printable, reference, with};

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("DeviceSpec", spec()),
        (
            "Core",
            object(
                &[],
                json!({ "disabled": { "type": "boolean", "default": false } }),
            ),
        ),
        ("Mqtt", mqtt()),
        ("Credential", credential()),
        ("Password", password()),
        ("Key", key()),
        ("SecretReference", secret_reference()),
        (
            "GatewaySelector",
            object(
                &[],
                json!({
                    "matchNames": {
                        "type": "array", "maxItems": 1000, "items": reference("DeviceName"),
                    },
                    "matchLabels": reference("Labels"),
                }),
            ),
        ),
    ]
}

fn spec() -> Value {
    let credentials = json!({
        "type": "array", "maxItems": 16, "items": reference("Credential"),
    });
    json!({
        "type": "object",
        "description": "Sections that are not known are kept and shown as they came.",
        "properties": {
            "core": reference("Core"),
            "authentication": object(&[], json!({ "credentials": credentials })),
            "credentials": described(
                object(&[], json!({ "credentials": credentials })),
                "The older name of `authentication`.",
            ),
            "gatewaySelector": reference("GatewaySelector"),
            "alias": {
                "type": "array", "maxItems": 64, "items": printable(1024),
                "description": "Other names, as a certificate's subject: `O=Example, CN=sensor01`.",
            },
            "mqtt": reference("Mqtt"),
        },
    })
}

fn mqtt() -> Value {
    object(
        &[],
        json!({
            "dialect": dialect(),
            "payloadEncoding": {
                "enum": ["raw", "base64"], "default": "raw",
                "description": "How payloads are written on the wire, in both directions.",
            },
        }),
    )
}

fn dialect() -> Value {
    json!({ "oneOf": [
        object(&["type"], json!({ "type": { "const": "drogue/v1" } })),
        object(&["type"], json!({
            "type": { "const": "plainTopic" },
            "devicePrefix": { "type": "boolean", "default": false },
        })),
        object(&["type"], json!({
            "type": { "const": "watsonIoT" },
            "autoRegister": auto_register(),
        })),
        object(&["type"], json!({ "type": { "const": "azureIotHub" } })),
        object(&["type"], json!({ "type": { "const": "hono" } })),
    ] })
}

fn auto_register() -> Value {
    let count = |most: u32, default: u32, what: &str| {
        json!({
            "type": "integer", "minimum": 1, "maximum": most, "default": default,
            "description": what,
        })
    };
    described(
        object(
            &[],
            json!({
                "roaming": {
                    "type": "boolean", "default": false,
                    "description": "Another gateway is added when it first speaks for the device.",
                },
                "maxPending": count(100, 10, "Registrations of one connection at once."),
                "maxActive": count(100_000, 500, "Devices that one connection may speak for."),
                "maxDevices": {
                    "type": "integer", "minimum": 1, "maximum": u32::MAX,
                    "description": "Devices of the application beyond which none is registered.",
                },
                "retryPause": {
                    "type": "string", "pattern": "^\\s*([0-9]+\\s*[a-z]+\\s*)+$",
                    "default": "30s",
                    "description": "How long after a failure there is no other attempt; up to 1h.",
                },
            }),
        ),
        "Devices are registered when a gateway first speaks for them.",
    )
}

fn credential() -> Value {
    let user = object(
        &["username", "password"],
        json!({
            "username": printable(255),
            "password": reference("Password"),
            "unique": { "type": "boolean", "default": false },
        }),
    );
    // A unique user name is one of the device's names.
    let unique = json!({
        "properties": { "unique": { "const": true } }, "required": ["unique"],
    });
    let names_it = json!({ "properties": { "username": reference("DeviceName") } });
    let user = with(with(user, "if", unique), "then", names_it);
    let validity = object(
        &["notBefore", "notAfter"],
        json!({
            "notBefore": { "type": "string", "format": "date-time" },
            "notAfter": { "type": "string", "format": "date-time" },
        }),
    );
    let psk = object(
        &["key"],
        json!({ "key": reference("Key"), "validity": validity }),
    );
    one_of(json!({ "pass": reference("Password"), "user": user, "psk": psk }))
}

/// Bounds of a password are in the parser: they are of bytes.
fn password() -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let forms = one_of(json!({
        "plain": text,
        "bcrypt": { "type": "string", "pattern": "^\\$2[abxy]\\$" },
        "sha512": { "type": "string", "pattern": "^\\$6\\$" },
        "argon2": { "type": "string", "pattern": "^\\$argon2" },
        "blake2s": { "type": "string", "pattern": "^\\$blake2s\\$" },
        "secretRef": secret_id(),
    }));
    json!({
        "anyOf": [text, forms],
        "description": "A password in plain text, a hash of one, or a reference to a stored one.",
    })
}

fn key() -> Value {
    json!({
        "anyOf": [
            {
                "type": "string", "minLength": 4,
                "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
            },
            reference("SecretReference"),
        ],
        "description": "1 to 256 bytes in base64, or a reference to a stored key.",
    })
}

fn secret_reference() -> Value {
    described(
        object(&["secretRef"], json!({ "secretRef": secret_id() })),
        "A stored secret: what a read shows, and a write that carries it keeps.",
    )
}

fn secret_id() -> Value {
    json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{32}$" })
}
