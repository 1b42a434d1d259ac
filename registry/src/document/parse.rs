//! From text to documents, and back to YAML.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use serde_saphyr::Error;
use serde_saphyr::options::MergeKeyPolicy;

use super::reader::quote;
use super::strict::Strict;
use super::{Document, Invalid};

/// Largest text that [`parse_documents`] takes, in bytes. It takes some ten times that in memory.
pub const MAX_DOCUMENTS_TEXT: usize = 64 * 1024 * 1024;

/// Largest text of a single document, in bytes; what is stored of it has closer bounds.
pub const MAX_DOCUMENT_TEXT: usize = 1024 * 1024;

/// Most nodes that YAML's aliases may stand for in one text, against a few lines that stand for
/// billions.
const MAX_ALIASED: usize = 100_000;

/// Every invalid document of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDocuments {
    /// At least one.
    pub documents: Vec<InvalidDocument>,
}

/// One invalid document of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDocument {
    /// Its place in the text, counted from 0.
    pub index: usize,
    /// Its name, where that could be read.
    pub name: Option<String>,
    /// What is wrong with it.
    pub invalid: Invalid,
}

impl fmt::Display for InvalidDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, document) in self.documents.iter().enumerate() {
            if line > 0 {
                f.write_str("\n")?;
            }
            document.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for InvalidDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "document {}", self.index + 1)?;
        if let Some(name) = &self.name {
            write!(f, " ({})", quote(name))?;
        }
        write!(f, ": {}", self.invalid)
    }
}

impl std::error::Error for InvalidDocuments {}

/// Reads all documents of a text: YAML of one or many documents, or JSON of one object, an array
/// of them, or a list `{ "items": [...] }` (in YAML too). Each comes with its place, from 0.
///
/// # Errors
/// Every invalid document of the text; none is returned then.
pub fn parse_documents(text: &str) -> Result<Vec<(usize, Document)>, InvalidDocuments> {
    let values = document_values(text)?;
    let mut documents = Vec::with_capacity(values.len());
    let mut invalid_documents = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let name = value
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .map(str::to_owned);
        match Document::read(value) {
            Ok(document) => documents.push((index, document)),
            Err(invalid) => invalid_documents.push(InvalidDocument {
                index,
                name,
                invalid,
            }),
        }
    }
    if invalid_documents.is_empty() {
        Ok(documents)
    } else {
        Err(InvalidDocuments {
            documents: invalid_documents,
        })
    }
}

/// The documents of a text as values, in the order of [`parse_documents`], each of them still to
/// be read.
///
/// # Errors
/// A text that is neither YAML nor JSON, is too long, or has a key twice.
pub fn document_values(text: &str) -> Result<Vec<Value>, InvalidDocuments> {
    match values(text, MAX_DOCUMENTS_TEXT) {
        Ok(values) => Ok(values.into_iter().flat_map(flattened).collect()),
        Err(invalid) => Err(InvalidDocuments {
            documents: vec![InvalidDocument {
                index: 0,
                name: None,
                invalid,
            }],
        }),
    }
}

/// Reads a text that holds one document.
pub(crate) fn single(text: &str) -> Result<Value, Invalid> {
    match <[Value; 1]>::try_from(values(text, MAX_DOCUMENT_TEXT)?) {
        Ok([value]) => Ok(value),
        Err(values) => {
            let reason = format!("must be one document, not {}", values.len());
            Err(Invalid::one("", reason))
        }
    }
}

/// Writes resources as YAML documents, separated by `---`.
///
/// # Errors
/// When a value cannot be written as YAML, which no resource holds.
pub fn to_yaml<T: Serialize>(resources: &[T]) -> Result<String, fmt::Error> {
    serde_saphyr::to_string_multiple(resources).map_err(|_| fmt::Error)
}

fn flattened(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Object(mut map) if !map.contains_key("metadata") => match map.remove("items") {
            Some(Value::Array(items)) => items,
            Some(items) => {
                map.insert("items".to_owned(), items);
                vec![Value::Object(map)]
            }
            None => vec![Value::Object(map)],
        },
        other => vec![other],
    }
}

/// The documents of a text as values. A problem tells line and column, never the text there: it
/// could be a secret.
fn values(text: &str, max: usize) -> Result<Vec<Value>, Invalid> {
    if text.len() > max {
        let reason = format!("is {} bytes long, at most {max} are allowed", text.len());
        return Err(Invalid::one("", reason));
    }
    let looks_like_json = text.trim_start().starts_with(['{', '[']);
    if !looks_like_json {
        return yaml(text).map_err(|place| Invalid::one("", format!("is not YAML: {place}")));
    }
    match serde_json::from_str::<Strict>(text) {
        Ok(Strict(value)) => Ok(vec![value]),
        // YAML in flow style begins the same way.
        Err(error) => yaml(text).map_err(|_| {
            let (line, column) = (error.line(), error.column());
            let what = if error.is_data() {
                "has a key twice"
            } else {
                "is not JSON"
            };
            Invalid::one("", format!("{what}: line {line}, column {column}"))
        }),
    }
}

fn yaml(text: &str) -> Result<Vec<Value>, String> {
    // The length of the text bounds what is written out in it.
    let length = text.len() + 1024;
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        merge_keys: MergeKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIASED },
        budget: serde_saphyr::budget! {
            max_documents: length,
            max_nodes: length + MAX_ALIASED,
            max_events: 2 * length + MAX_ALIASED,
            enforce_alias_anchor_ratio: false,
        },
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let what = what_is_wrong(&error);
        match error.location() {
            Some(at) => format!("{what}: line {}, column {}", at.line(), at.column()),
            None => what.to_owned(),
        }
    })
}

fn what_is_wrong(error: &Error) -> &'static str {
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => what_is_wrong(error),
        Error::DuplicateMappingKey { .. } => "a key stands twice",
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => "it is nested too deep, or too much",
        _ => "not well-formed, or of a kind that JSON does not have",
    }
}
