//! Labels and annotations: string maps with Kubernetes' rules for keys and label values.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>

use std::collections::BTreeMap;

use serde_json::Value;

use super::reader::{At, Fields, quote, string};

/// Longest name part of a key, and longest label value, in bytes.
const MAX_SEGMENT: usize = 63;
/// Longest prefix of a key (a DNS subdomain), in bytes.
const MAX_PREFIX: usize = 253;
/// Most labels, and most annotations, of one resource.
const MAX_ENTRIES: usize = 128;

const EXAMPLE: &str = "{ example.com/site: north }";

/// Reads a map of labels: keys and values both restricted.
pub(crate) fn labels(value: Value, at: &At<'_>) -> Option<BTreeMap<String, String>> {
    string_map(value, at, |value| value.is_empty() || is_segment(value))
}

/// Reads a map of annotations: keys restricted, values free.
pub(crate) fn annotations(value: Value, at: &At<'_>) -> Option<BTreeMap<String, String>> {
    string_map(value, at, |_| true)
}

fn string_map(
    value: Value,
    at: &At<'_>,
    value_is_valid: impl Fn(&str) -> bool,
) -> Option<BTreeMap<String, String>> {
    let fields = Fields::open(value, at, EXAMPLE)?;
    if fields.len() > MAX_ENTRIES {
        return at.refuse(
            format!("has {} entries, at most {MAX_ENTRIES}", fields.len()),
            "",
        );
    }
    let mut entries = BTreeMap::new();
    for (key, value) in fields.rest() {
        let at = at.key(&key);
        if !is_key(&key) {
            at.refuse::<()>(
                "the key must be up to 63 letters, digits, `-`, `_`, `.`, starting and ending \
                 with a letter or digit, after an optional DNS prefix and `/`",
                "example.com/site",
            );
            continue;
        }
        let Some(value) = string(value, &at, "\"north\"") else {
            continue;
        };
        if !value_is_valid(&value) {
            let reason = format!(
                "{} must be empty or up to 63 letters, digits, `-`, `_`, `.`, starting and \
                 ending with a letter or digit",
                quote(&value)
            );
            at.refuse::<()>(reason, "north");
            continue;
        }
        entries.insert(key, value);
    }
    Some(entries)
}

pub(crate) fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_segment(name),
        None => is_segment(key),
    }
}

pub(crate) fn is_segment(text: &str) -> bool {
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= MAX_SEGMENT
        && outer(text.chars().next())
        && outer(text.chars().next_back())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// RFC 1123 section 2.1, lower case only.
fn is_dns_subdomain(text: &str) -> bool {
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= MAX_PREFIX
        && text.split('.').all(|label| {
            outer(label.chars().next())
                && outer(label.chars().next_back())
                && label.chars().all(|c| outer(Some(c)) || c == '-')
        })
}

#[cfg(test)]
mod tests {
    use super::{is_key, is_segment};

    #[test]
    fn keys_follow_kubernetes_rules() {
        let longest = "a".repeat(63);
        for key in [
            "a",
            "A-b_c.d1",
            "example.com/a",
            "x-1.example/Name",
            longest.as_str(),
        ] {
            assert!(is_key(key), "{key}");
        }
        let too_long = "a".repeat(64);
        for key in [
            "",
            "-a",
            "a-",
            "a b",
            "ä",
            "/a",
            "a/",
            "Example.com/a",
            "a/b/c",
            ".com/a",
            "a..b/c",
            "a_b/c",
            too_long.as_str(),
        ] {
            assert!(!is_key(key), "{key}");
        }
    }

    #[test]
    fn values_are_bounded() {
        assert!(is_segment("north-1"));
        assert!(!is_segment("north east"));
        assert!(!is_segment(&"a".repeat(64)));
    }
}
