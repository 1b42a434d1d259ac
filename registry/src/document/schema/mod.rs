//! JSON Schemas of documents and resources, for the description of an API that takes them.
//!
//! They say what the parser accepts; the tests hold one against the other. Looser than the parser
//! they are where a schema cannot say it (a hash of a valid form, names that are unique); stricter
//! only with what is taken for the sake of old documents: `null` for "absent", and the older
//! spellings of Drogue Cloud.

mod application;
mod device;
mod endpoint;
mod metadata;
#[cfg(test)]
mod tests;
mod token;

use serde_json::{Value, json};

/// All schemas by name. They refer to each other as `#/components/schemas/NAME` (OpenAPI 3.1,
/// JSON Schema 2020-12).
#[must_use]
pub fn all() -> Vec<(&'static str, Value)> {
    let mut all = metadata::schemas();
    all.extend(application::schemas());
    all.extend(device::schemas());
    all.extend(endpoint::schemas());
    all.extend(token::schemas());
    all
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list(name: &str) -> Value {
    json!({ "type": "array", "items": reference(name) })
}

/// An object with these members and no others.
fn object(required: &[&str], properties: Value) -> Value {
    let schema = json!({ "type": "object", "required": required, "additionalProperties": false });
    with(schema, "properties", properties)
}

/// An object with exactly one of these members.
fn one_of(properties: Value) -> Value {
    let schema = object(&[], properties);
    let schema = with(schema, "minProperties", 1.into());
    with(schema, "maxProperties", 1.into())
}

/// The schema with one keyword more, or another value of it.
fn with(mut schema: Value, keyword: &str, value: Value) -> Value {
    if let Some(keywords) = schema.as_object_mut() {
        keywords.insert(keyword.to_owned(), value);
    }
    schema
}

/// The schema of an object with one member more.
fn with_member(mut schema: Value, name: &str, member: Value) -> Value {
    if let Some(members) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        members.insert(name.to_owned(), member);
    }
    schema
}

fn described(schema: Value, description: &str) -> Value {
    with(schema, "description", description.into())
}

/// Text of 1 to `most` characters without control characters.
fn printable(most: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": most, "pattern": "^[^\\p{Cc}]*$" })
}
