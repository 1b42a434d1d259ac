//! Reading typed fields out of a JSON value, with the path of each and all problems collected.
//!
//! A reader is a function from a [`Value`] and the place where it stands ([`At`]) to `Option<T>`:
//! `None` says that a problem was recorded. Values are consumed, so that a secret moves from the
//! parsed text into its zeroizing holder without a copy.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::problem::{Problem, Problems};
use super::similar::{closest, closest_section};

/// Longest piece of the writer's text that a problem quotes, in characters.
const MAX_QUOTE: usize = 64;

/// The place of a value in the document that is being read.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    problems: &'a Problems,
    parent: Option<&'a At<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub(crate) fn root(problems: &'a Problems) -> At<'a> {
        At {
            problems,
            parent: None,
            segment: Segment::Root,
        }
    }

    pub(crate) fn key(&'a self, key: &'a str) -> At<'a> {
        At {
            problems: self.problems,
            parent: Some(self),
            segment: Segment::Key(key),
        }
    }

    pub(crate) fn index(&'a self, index: usize) -> At<'a> {
        At {
            problems: self.problems,
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    /// Records a problem with this value; always `None`, to be returned by the reader.
    pub(crate) fn refuse<T>(&self, reason: impl Into<String>, example: &'static str) -> Option<T> {
        self.problems.add(Problem {
            path: self.path(),
            reason: reason.into(),
            example,
        });
        None
    }

    pub(crate) fn refuse_type<T>(
        &self,
        expected: &str,
        found: &Value,
        example: &'static str,
    ) -> Option<T> {
        self.refuse(format!("must be {expected}, not {}", kind(found)), example)
    }

    pub(crate) fn path(&self) -> String {
        let mut path = self.parent.map(At::path).unwrap_or_default();
        match self.segment {
            Segment::Root => {}
            Segment::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&unquoted(key));
            }
            Segment::Index(index) => {
                let _ = write!(path, "[{index}]");
            }
        }
        path
    }
}

/// The fields of an object, taken one by one; what is left at [`Fields::close`] is refused.
pub(crate) struct Fields<'a> {
    values: Map<String, Value>,
    known: Vec<&'static str>,
    at: &'a At<'a>,
}

impl<'a> Fields<'a> {
    pub(crate) fn open(value: Value, at: &'a At<'a>, example: &'static str) -> Option<Fields<'a>> {
        match value {
            Value::Object(values) => Some(Fields {
                values,
                known: Vec::new(),
                at,
            }),
            other => at.refuse_type("a mapping", &other, example),
        }
    }

    /// Reads the field if it is there; null counts as absent (YAML's `key:` without a value).
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Value, &At<'_>) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        match self.values.remove(key) {
            None | Some(Value::Null) => None,
            Some(value) => read(value, &self.at.key(key)),
        }
    }

    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        example: &'static str,
        read: impl FnOnce(Value, &At<'_>) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        match self.values.remove(key) {
            None | Some(Value::Null) => self.at.key(key).refuse("is required", example),
            Some(value) => read(value, &self.at.key(key)),
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The only field left, if there is exactly one.
    pub(crate) fn take_only(&mut self) -> Option<(String, Value)> {
        if self.values.len() != 1 {
            return None;
        }
        std::mem::take(&mut self.values).into_iter().next()
    }

    /// Refuses whatever was not read, by path, so that a typo never disables something silently.
    pub(crate) fn close(self) {
        for key in self.values.keys() {
            let reason = match closest(key, &self.known) {
                Some(known) => format!("is not known; did you mean `{known}`?"),
                None => format!("is not known; known here: {}", self.known.join(", ")),
            };
            self.at.key(key).refuse::<()>(reason, "");
        }
    }

    /// As [`Fields::close`], but without quoting the unknown keys: where a secret stands, a
    /// misplaced brace could have made a key of it.
    pub(crate) fn close_unquoted(self) {
        if !self.values.is_empty() {
            let known = self.known.join(", ");
            self.at.refuse::<()>(
                format!("has a key that is not known; known here: {known}"),
                "",
            );
        }
    }

    /// Keys that were not read.
    pub(crate) fn unread(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Keys left that are nearly a known one, each with the one that was probably meant.
    pub(crate) fn near_misses(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.values
            .keys()
            .filter_map(|key| Some((key.as_str(), closest_section(key, &self.known)?)))
    }

    /// Whatever was not read.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.values
    }
}

pub(crate) fn string(value: Value, at: &At<'_>, example: &'static str) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        other @ (Value::Number(_) | Value::Bool(_)) => {
            let reason = format!("must be a string, not {}: put it in quotes", kind(&other));
            at.refuse(reason, example)
        }
        other => at.refuse_type("a string", &other, example),
    }
}

pub(crate) fn boolean(value: Value, at: &At<'_>) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(flag),
        other => at.refuse_type("true or false", &other, "true"),
    }
}

/// Reads a list of at most `max` items; items with a problem are left out.
pub(crate) fn list<T>(
    value: Value,
    at: &At<'_>,
    max: usize,
    example: &'static str,
    mut read: impl FnMut(Value, &At<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Value::Array(items) = value else {
        return at.refuse_type("a list", &value, example);
    };
    if items.len() > max {
        return at.refuse(
            format!("has {} items, at most {max} are allowed", items.len()),
            "",
        );
    }
    let items = items.into_iter().enumerate();
    Some(
        items
            .filter_map(|(index, item)| read(item, &at.index(index)))
            .collect(),
    )
}

/// The writer's own text for use in a reason: shortened, control characters escaped.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", unquoted(text))
}

fn unquoted(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_QUOTE)
        .flat_map(escape_control)
        .collect();
    if text.chars().nth(MAX_QUOTE).is_some() {
        shown.push('…');
    }
    shown
}

fn escape_control(c: char) -> Box<dyn Iterator<Item = char>> {
    if c.is_control() {
        Box::new(c.escape_default())
    } else {
        Box::new(std::iter::once(c))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
