//! Names, labels, `metadata`, and whole documents and resources.

use serde_json::{Value, json};

use super::{described, list, object, reference, with, with_member};

const LABEL_VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?\
                         [A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let device = ["metadata"];
    vec![
        (
            "ApplicationName",
            name("^[^/@\\p{Cc}]+$", "no `/`, no `@`, neither `.` nor `..`"),
        ),
        (
            "DeviceName",
            name("^[^/\\p{Cc}]+$", "no `/`, neither `.` nor `..`"),
        ),
        ("Labels", string_map(json!({ "pattern": LABEL_VALUE }))),
        ("Annotations", string_map(json!({}))),
        (
            "ApplicationDocument",
            document(&device, metadata(&["name"], false), "ApplicationSpec"),
        ),
        (
            "AddressedApplicationDocument",
            document(&[], metadata(&[], false), "ApplicationSpec"),
        ),
        (
            "DeviceDocument",
            document(
                &device,
                metadata(&["name", "application"], true),
                "DeviceSpec",
            ),
        ),
        (
            "AddressedDeviceDocument",
            document(&[], metadata(&[], true), "DeviceSpec"),
        ),
        ("Application", resource(false, "ApplicationSpec")),
        ("ApplicationList", list("Application")),
        ("Device", resource(true, "DeviceSpec")),
        ("DeviceList", list("Device")),
        (
            "DocumentStream",
            described(
                json!({ "type": "string" }),
                "Documents of applications and devices (`ApplicationDocument`, `DeviceDocument`), \
                 one after the other.",
            ),
        ),
        (
            "EventBatch",
            described(
                json!({ "type": "array", "items": {
                    "type": "object",
                    "required": ["specversion", "id", "source", "type"],
                    "properties": {
                        "specversion": { "const": "1.0" },
                        "id": { "type": "string" },
                        "source": { "type": "string" },
                        "type": { "type": "string" },
                        "subject": { "type": "string" },
                        "time": { "type": "string", "format": "date-time" },
                    },
                } }),
                "Events in the JSON batch format of CloudEvents 1.0.",
            ),
        ),
    ]
}

fn name(pattern: &str, rule: &str) -> Value {
    json!({
        "type": "string", "minLength": 1, "maxLength": 255, "pattern": pattern,
        "not": { "enum": [".", ".."] },
        "description": format!("1 to 255 bytes of UTF-8 without control characters, {rule}."),
    })
}

fn string_map(value: Value) -> Value {
    let schema = json!({
        "type": "object", "maxProperties": 128,
        "propertyNames": { "pattern": LABEL_KEY },
        "description": "Keys as Kubernetes has them.",
    });
    let value = with(value, "type", "string".into());
    with(schema, "additionalProperties", value)
}

/// What a caller writes. The address of a request may stand in for names.
fn metadata(required: &[&str], of_device: bool) -> Value {
    let metadata = object(
        required,
        json!({
            "name": reference(if of_device { "DeviceName" } else { "ApplicationName" }),
            "labels": reference("Labels"),
            "annotations": reference("Annotations"),
            "uid": {
                "type": "string",
                "description": "The stored resource must be this one for a write to happen.",
            },
            "resourceVersion": {
                "type": "string",
                "description": "The stored resource must be of this version for a write to happen.",
            },
            "creationTimestamp": { "description": "The server's; ignored." },
            "generation": { "description": "The server's; ignored." },
            "deletionTimestamp": { "description": "Ignored." },
            "finalizers": { "description": "Ignored." },
        }),
    );
    match of_device {
        true => with_member(metadata, "application", reference("ApplicationName")),
        false => metadata,
    }
}

fn document(required: &[&str], metadata: Value, spec: &str) -> Value {
    let document = object(
        required,
        json!({
            "spec": reference(spec),
            "status": { "description": "Ignored." },
        }),
    );
    with_member(document, "metadata", metadata)
}

/// What a read shows; with `fields` only a part of it.
fn resource(of_device: bool, spec: &str) -> Value {
    let shown = object(
        &["name"],
        json!({
            "name": reference(if of_device { "DeviceName" } else { "ApplicationName" }),
            "uid": {
                "type": "string",
                "description":
                    "Identity of this resource; another one of the same name has another.",
            },
            "creationTimestamp": { "type": "string", "format": "date-time" },
            "generation": {
                "type": "integer", "minimum": 1,
                "description": "Starts at 1 and counts the changes of `spec`.",
            },
            "resourceVersion": {
                "type": "string",
                "description": "Changes with every write; opaque.",
            },
            "labels": reference("Labels"),
            "annotations": reference("Annotations"),
        }),
    );
    let shown = match of_device {
        true => with_member(shown, "application", reference("ApplicationName")),
        false => shown,
    };
    object(
        &["metadata"],
        json!({ "metadata": shown, "spec": reference(spec) }),
    )
}
