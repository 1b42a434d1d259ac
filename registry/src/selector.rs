//! Label selectors: which resources of a list are meant, in the notation of Kubernetes and Drogue
//! Cloud.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::document::label::{is_key, is_segment};

/// Longest selector, in bytes.
pub const MAX_SELECTOR: usize = 4096;

/// What the labels of a resource must be like, all of it; the default demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    demand: Demand,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Demand {
    Exists,
    Missing,
    In(BTreeSet<String>),
    /// As with Kubernetes, a resource without the label is selected too.
    NotIn(BTreeSet<String>),
}

/// Why a text is no [`LabelSelector`]; the caller is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; write for example `site=north,env in (test, prod),!retired`")]
pub struct InvalidSelector {
    reason: String,
}

impl LabelSelector {
    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether a resource of these labels is selected.
    #[must_use]
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| {
            match (&requirement.demand, labels.get(&requirement.key)) {
                (Demand::Exists, value) => value.is_some(),
                (Demand::Missing, value) => value.is_none(),
                (Demand::In(values), value) => value.is_some_and(|value| values.contains(value)),
                (Demand::NotIn(values), value) => value.is_none_or(|value| !values.contains(value)),
            }
        })
    }
}

/// Requirements joined by commas: `a=b`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`, `a` (the
/// label exists) and `!a` (it does not). An empty text selects everything.
impl FromStr for LabelSelector {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<LabelSelector, InvalidSelector> {
        if text.len() > MAX_SELECTOR {
            return refuse(format!(
                "a label selector has at most {MAX_SELECTOR} bytes, not {}",
                text.len()
            ));
        }
        if text.trim().is_empty() {
            return Ok(LabelSelector::default());
        }
        let requirements = split(text)?.into_iter().map(requirement);
        Ok(LabelSelector {
            requirements: requirements.collect::<Result<_, _>>()?,
        })
    }
}

/// Cuts at the commas that stand outside of parentheses.
fn split(text: &str) -> Result<Vec<&str>, InvalidSelector> {
    let mut parts = Vec::new();
    let (mut rest, mut open, mut start) = (text, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' if open => return refuse("`(` stands within parentheses".to_owned()),
            ')' if !open => return refuse("`)` closes nothing".to_owned()),
            '(' | ')' => open = c == '(',
            ',' if !open => {
                let (part, after) = rest.split_at_checked(at - start).unwrap_or((rest, ""));
                parts.push(part);
                rest = after.strip_prefix(',').unwrap_or(after);
                start = at + 1;
            }
            _ => {}
        }
    }
    if open {
        return refuse("`(` is not closed".to_owned());
    }
    parts.push(rest);
    Ok(parts)
}

fn requirement(text: &str) -> Result<Requirement, InvalidSelector> {
    let text = text.trim();
    let (key, demand) = if let Some(key) = text.strip_prefix('!') {
        (key, Demand::Missing)
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Demand::NotIn(BTreeSet::from([checked_value(value)?])))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Demand::In(BTreeSet::from([checked_value(value)?])))
    } else if let Some((head, values)) = text.split_once('(') {
        set(text, head, values)?
    } else {
        (text, Demand::Exists)
    };
    let key = key.trim();
    match key {
        "" => refuse("a requirement has no label".to_owned()),
        key if is_key(key) => Ok(Requirement {
            key: key.to_owned(),
            demand,
        }),
        key => refuse(format!("{} is no label key", Quoted(key))),
    }
}

/// `a in (b, c)` and `a notin (b, c)`, cut at the opening parenthesis.
fn set<'a>(text: &str, head: &'a str, values: &str) -> Result<(&'a str, Demand), InvalidSelector> {
    let mut words = head.split_whitespace();
    let (Some(key), Some(operator), None) = (words.next(), words.next(), words.next()) else {
        return refuse(format!(
            "{} is neither `label in (…)` nor `label notin (…)`",
            Quoted(text)
        ));
    };
    let Some(values) = values.strip_suffix(')') else {
        return refuse(format!("{} goes on after `)`", Quoted(text)));
    };
    if values.trim().is_empty() {
        return refuse(format!("{} gives no value", Quoted(text)));
    }
    let values = values
        .split(',')
        .map(checked_value)
        .collect::<Result<_, _>>()?;
    match operator {
        "in" => Ok((key, Demand::In(values))),
        "notin" => Ok((key, Demand::NotIn(values))),
        other => refuse(format!("{} is neither `in` nor `notin`", Quoted(other))),
    }
}

fn checked_value(text: &str) -> Result<String, InvalidSelector> {
    let value = text.trim();
    if value.is_empty() || is_segment(value) {
        return Ok(value.to_owned());
    }
    refuse(format!("{} is no label value", Quoted(value)))
}

/// The caller's text, shortened, control characters escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::document::reader::quote(self.0))
    }
}

fn refuse<T>(reason: String) -> Result<T, InvalidSelector> {
    Err(InvalidSelector { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn selected(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        selector.parse::<LabelSelector>().unwrap().selects(&labels)
    }

    #[test]
    fn selects_as_kubernetes_does() {
        let device = &[
            ("site", "north"),
            ("example.com/env", "test"),
            ("empty", ""),
        ];
        for selector in [
            "",
            "  ",
            "site=north",
            "site==north",
            " site = north ",
            "site!=south",
            "site",
            "!retired",
            "! retired",
            "retired!=yes",
            "site in (south,north)",
            "site in(north)",
            "site notin (south)",
            "retired notin (yes, no)",
            "example.com/env=test,site",
            "empty=",
            "empty in (,x)",
            "in=",
            "site in (north), !retired,example.com/env notin ( prod , staging )",
        ] {
            let expected = selector != "in=";
            assert_eq!(selected(selector, device), expected, "{selector}");
        }
        for selector in [
            "site=south",
            "site!=north",
            "!site",
            "retired",
            "retired=yes",
            "site in (south,east)",
            "retired in (yes)",
            "site notin (south,north)",
            "site=north,retired",
            "site=",
        ] {
            assert!(!selected(selector, device), "{selector}");
        }
    }

    #[test]
    fn refuses_what_is_no_selector_and_says_why() {
        let long = "a".repeat(MAX_SELECTOR + 1);
        for (selector, reason) in [
            (",", "no label"),
            ("a,", "no label"),
            ("=b", "no label"),
            ("!", "no label"),
            ("a=b=c", "`b=c` is no label value"),
            ("a=north east", "`north east` is no label value"),
            ("-a=b", "`-a` is no label key"),
            ("a b", "`a b` is no label key"),
            ("a>1", "`a>1` is no label key"),
            ("a in (b", "not closed"),
            ("a in b)", "closes nothing"),
            ("a in ((b))", "within parentheses"),
            ("a in (b) c", "goes on after `)`"),
            ("a in ()", "gives no value"),
            ("a at (b)", "`at` is neither `in` nor `notin`"),
            ("(b)", "neither `label in (…)` nor"),
            ("a not in (b)", "neither `label in (…)` nor"),
            ("a in (b c)", "`b c` is no label value"),
            ("ä=b", "is no label key"),
            (&long, "at most 4096 bytes"),
        ] {
            let refused = selector.parse::<LabelSelector>().unwrap_err().to_string();
            assert!(refused.contains(reason), "{selector}: {refused}");
            assert!(refused.contains("for example `site=north"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-b=!(), in\u{e4}]{0,24}|\\PC{0,24}") {
            let _ = text.parse::<LabelSelector>();
        }
    }
}
