//! Metadata, and documents as a whole.

use landfall_registry::document::{Address, ApplicationDocument, DeviceDocument};

use super::refused;
use crate::common::parse_device;

#[test]
fn metadata() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("5", &[("", "must be a mapping, not a number")]),
        (
            "spec: {}",
            &[("metadata", "is required (for example `{ name: sensor01 }`)")],
        ),
        ("metadata: 5", &[("metadata", "must be a mapping")]),
        ("metadata: {}", &[("metadata.name", "is required")]),
        (
            "metadata: { name: 5 }",
            &[("metadata.name", "not a number: put it in quotes")],
        ),
        (
            "metadata: { name: true }",
            &[("metadata.name", "not a boolean: put it in quotes")],
        ),
        (
            "metadata: { name: [] }",
            &[("metadata.name", "must be a string, not a list")],
        ),
        (
            "metadata: { name: '' }",
            &[("metadata.name", "must not be empty")],
        ),
        (
            "metadata: { name: a@b }",
            &[("metadata.name", "must not contain `@`")],
        ),
        (
            "metadata: { name: \"a\\tb\" }",
            &[("metadata.name", "control characters")],
        ),
        (
            "metadata: { name: a, applicatoin: b }",
            &[(
                "metadata.applicatoin",
                "is not known; known here: name, labels",
            )],
        ),
        (
            "metadata: { name: a, labels: [a] }",
            &[("metadata.labels", "must be a mapping")],
        ),
        (
            "metadata: { name: a, labels: { a b: c } }",
            &[("metadata.labels.a b", "63 letters")],
        ),
        (
            "metadata: { name: a, labels: { a: c d } }",
            &[("metadata.labels.a", "`c d` must be")],
        ),
        (
            "metadata: { name: a, labels: { a: 1 } }",
            &[("metadata.labels.a", "put it in quotes")],
        ),
        (
            "metadata: { name: a, annotations: { '': c } }",
            &[("metadata.annotations.", "63")],
        ),
        (
            "metadata: { name: a, resourceVersion: 5 }",
            &[("metadata.resourceVersion", "quotes")],
        ),
        (
            "metadata: { name: a }\nkind: Device",
            &[("kind", "known here: metadata, spec, status")],
        ),
        (
            "metadata: { name: a }\nspecs: {}",
            &[("specs", "did you mean `spec`?")],
        ),
        (
            "metadata: { name: a }\nspec: []",
            &[("spec", "must be a mapping, not a list")],
        ),
    ];
    for (text, problems) in cases {
        refused(ApplicationDocument::parse(text, None), problems);
    }
}

#[test]
fn names_of_devices() {
    for (name, reason) in [
        (
            "a/b",
            "must not contain `/`, which would break topics and URLs",
        ),
        ("..", "URLs drop"),
        ("", "must not be empty"),
        (&*"x".repeat(256), "at most 255 bytes"),
    ] {
        let text = format!("metadata: {{ name: '{name}', application: app }}");
        let device = DeviceDocument::parse(&text, Address::default());
        refused(device, &[("metadata.name", reason)]);
    }
    let text = "metadata: { name: a, application: b@c }";
    refused(
        DeviceDocument::parse(text, Address::default()),
        &[("metadata.application", "must not contain `@`")],
    );
    let text = "metadata: { name: a }";
    refused(
        DeviceDocument::parse(text, Address::default()),
        &[("metadata.application", "is required")],
    );
}

#[test]
fn all_problems_are_found_at_once() {
    let text = "metadata: { name: a/b, application: app, lables: {} }
spec:
  core: { disabled: 1 }
  alias: [5]
  mqtt: { dialect: { type: x } }";
    refused(
        DeviceDocument::parse(text, Address::default()),
        &[
            ("metadata.name", "`/`"),
            ("metadata.lables", "did you mean `labels`?"),
            ("spec.core.disabled", "true or false"),
            ("spec.alias[0]", "quotes"),
            ("spec.mqtt.dialect.type", "not a dialect"),
        ],
    );
}

#[test]
fn the_list_of_problems_is_bounded() {
    let names = "5, ".repeat(100);
    let invalid = parse_device(&format!(
        "{{ gatewaySelector: {{ matchNames: [{names}] }} }}"
    ));
    let invalid = invalid.unwrap_err();
    assert_eq!(invalid.problems().len(), 51);
    assert!(
        invalid.problems()[50]
            .reason
            .contains("more than 50 problems")
    );
}
