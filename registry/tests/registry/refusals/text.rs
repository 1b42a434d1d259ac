//! Texts, and what a refusal must not quote.

use landfall_registry::WriteError;
use landfall_registry::document::ApplicationDocument;

use super::refused;
use crate::common::{document, fixture, parse_device};

#[test]
fn text_that_is_neither_yaml_nor_json_is_refused_by_place_and_not_quoted() {
    for (text, reason) in [
        ("metadata: { name: hunter2", "is not YAML: "),
        (
            "metadata:\n  name: a\n  name: hunter2\n",
            "a key stands twice: line 3",
        ),
        (
            r#"{"metadata":{"name":"a","name":"hunter2"}}"#,
            "has a key twice: line 1",
        ),
        (r#"{"metadata":{"name":"hunter2""#, "is not JSON: line 1"),
        (
            "metadata: { name: a }\nspec: { custom: .inf }",
            "is not YAML",
        ),
        ("a: &a [hunter2]\nb: { <<: *a }", "is not YAML"),
    ] {
        let told = ApplicationDocument::parse(text, None)
            .unwrap_err()
            .to_string();
        assert!(told.contains(reason), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let two = ApplicationDocument::parse("metadata: {name: a}\n---\nmetadata: {name: b}", None);
    refused(two, &[("", "must be one document, not 2")]);
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .zip(["b", "c", "d", "e", "f", "g", "h", "i"])
    {
        let many = format!("*{from}, ").repeat(10);
        bomb.push_str(&format!("{to}: &{to} [{many}]\n"));
    }
    let told = ApplicationDocument::parse(&bomb, None)
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("is not YAML: it is nested too deep, or too much"),
        "{told}"
    );
    let deep = format!(
        "metadata: {{ name: a }}\nspec: {{ x-y: {} }}",
        "[".repeat(5000)
    );
    let told = ApplicationDocument::parse(&deep, None)
        .unwrap_err()
        .to_string();
    assert!(told.contains("is not YAML"), "{told}");
    let deep = format!(
        r#"{{"metadata":{{"name":"a"}},"spec":{{"x-y":{}"#,
        "[".repeat(5000)
    );
    let told = ApplicationDocument::parse(&deep, None)
        .unwrap_err()
        .to_string();
    assert!(told.contains("is not JSON"), "{told}");
}

#[test]
fn text_is_bounded() {
    let long = format!("metadata: {{ name: a }} #{}", "x".repeat(1024 * 1024));
    refused(
        ApplicationDocument::parse(&long, None),
        &[("", "at most 1048576 are allowed")],
    );
}

#[test]
fn secrets_are_not_quoted() {
    for credential in [
        "{ hunter2: }",
        "{ pass: { hunter2: } }",
        "{ pass: { bcrypt: hunter2 } }",
        "{ pass: { secretRef: hunter2 } }",
        "{ pass: [hunter2] }",
        "{ user: { username: u, password: { hunter2: x } } }",
        "{ psk: { key: 'hunter2!' } }",
        "hunter2",
    ] {
        let spec = format!("{{ authentication: {{ credentials: [{credential}] }} }}");
        let told = parse_device(&spec).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn a_document_above_its_size_is_refused() {
    let fixture = fixture().await;
    let long = "x".repeat(64 * 1024);
    let device =
        format!(r#"{{"metadata":{{"name":"d","application":"app"}},"spec":{{"x-y":"{long}"}}}}"#);
    let WriteError::Invalid(invalid) = fixture.registry.apply(document(&device)).await.unwrap_err()
    else {
        panic!("another error")
    };
    assert!(
        invalid.to_string().contains("at most 65536 are allowed"),
        "{invalid}"
    );
    let application = format!(r#"{{"metadata":{{"name":"app2"}},"spec":{{"x-y":"{long}"}}}}"#);
    fixture
        .registry
        .apply(document(&application))
        .await
        .unwrap();
}
