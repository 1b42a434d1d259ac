//! Holds every answer that any test gets against the OpenAPI document.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use axum::http::Method;
use serde_json::{Value, json};

use super::Answer;
use crate::api::described_routes;

pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| described_routes().1);

type Validators = HashMap<String, &'static jsonschema::Validator>;
static VALIDATORS: LazyLock<Mutex<Validators>> = LazyLock::new(Mutex::default);

/// Fails if the answer is not one that the document promises for its operation.
#[track_caller]
pub(super) fn check(method: &Method, path: &str, answer: &Answer) {
    let Some((template, item)) = item(path) else {
        return;
    };
    let operation = match *method {
        Method::HEAD => item.get("get"),
        _ => item.get(method.as_str().to_lowercase()),
    };
    let Some(operation) = operation else {
        return assert_eq!(answer.status, 405, "{method} {path}");
    };
    let status = answer.status.as_str();
    let described = operation["responses"].get(status);
    let described = described.unwrap_or(&operation["responses"]["default"]);
    assert!(
        answer.status.as_u16() >= 400 || operation["responses"].get(status).is_some(),
        "{method} {template} does not promise {status}"
    );
    let described = resolved(described);
    let Some(content) = described.get("content") else {
        return assert!(
            answer.body.is_empty(),
            "{method} {template}: {}",
            answer.text()
        );
    };
    let media_type = answer.header("content-type").unwrap();
    let media_type = media_type.split(';').next().unwrap();
    let schema = &content[media_type]["schema"];
    assert!(
        schema.is_object(),
        "{method} {template} {status} has no {media_type}"
    );
    let texts: Vec<Value> = match media_type {
        "application/x-ndjson" => {
            let lines = answer.text();
            lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        }
        "text/event-stream" => vec![answer.text().into()],
        _ => vec![answer.json()],
    };
    for text in texts {
        assert_fits(schema, &text, &format!("{method} {template} {status}"));
    }
}

/// The path item of the template that a path is of.
fn item(path: &str) -> Option<(&'static String, &'static Value)> {
    DOCUMENT["paths"]
        .as_object()
        .unwrap()
        .iter()
        .find(|(template, _)| {
            let (mut parts, mut segments) = (template.split('/'), path.split('/'));
            loop {
                match (parts.next(), segments.next()) {
                    (None, None) => return true,
                    (Some(part), Some(segment)) if part.starts_with('{') && !segment.is_empty() => {
                    }
                    (Some(part), Some(segment)) if part == segment => {}
                    _ => return false,
                }
            }
        })
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// Fails if a value does not fit a schema of the document.
#[track_caller]
pub(super) fn assert_fits(schema: &Value, value: &Value, what: &str) {
    if let Err(error) = validator(schema).validate(value) {
        panic!("{what}: {error} at {}: {value:#}", error.instance_path());
    }
}

fn validator(schema: &Value) -> &'static jsonschema::Validator {
    let mut validators = VALIDATORS.lock().unwrap();
    validators.entry(schema.to_string()).or_insert_with(|| {
        let whole = json!({ "allOf": [schema], "components": DOCUMENT["components"] });
        let built = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&whole);
        Box::leak(Box::new(built.unwrap()))
    })
}
