//! `spec.publish` of an application: rules that events pass, and sinks that take them.
//!
//! The rules are Drogue Cloud's "event pre-processing": `when` selects, `then` acts.

use serde::Serialize;
use serde_json::Value;

use super::external::ExternalEndpoint;
use super::reader::{At, Fields, list, quote, string};
use super::step::{self, Step};
use crate::secret::{ReadSecret, Slot};

const MAX_RULES: usize = 256;
const MAX_STEPS: usize = 64;
const MAX_SINKS: usize = 16;
/// Deepest nesting of `not`, `and` and `or`.
const MAX_DEPTH: usize = 16;

const WHEN: &str = "{ isChannel: temperature }";

/// `spec.publish`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Publish<S> {
    /// Applied in order, at most 256.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule<S>>,
    /// Names of the server's sinks that take this application's events, 1 to 16; all of the
    /// server's, if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinks: Option<Vec<String>>,
    /// Where sinks of type `http` post this application's events, instead of where they are
    /// configured to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<ExternalEndpoint<S>>,
}

impl<S> Default for Publish<S> {
    fn default() -> Publish<S> {
        Publish {
            rules: Vec::new(),
            sinks: None,
            endpoint: None,
        }
    }
}

/// One rule: what to do with which events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule<S> {
    /// Which events it is for.
    pub when: When,
    /// What happens to them, in order, at most 64 steps.
    pub then: Vec<Step<S>>,
}

/// A condition on an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// Every event.
    Always,
    /// Events of this channel.
    IsChannel(String),
    /// Events that the condition does not hold for.
    Not(Box<When>),
    /// Events that all conditions hold for; none, if there are no conditions.
    And(Vec<When>),
    /// Events that any condition holds for.
    Or(Vec<When>),
}

impl<S> Publish<S> {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.sinks.is_none() && self.endpoint.is_none()
    }

    pub(crate) fn map_secrets<T>(
        self,
        path: &str,
        f: &mut dyn FnMut(&Slot, S) -> Option<T>,
    ) -> Option<Publish<T>> {
        let mut complete = true;
        let mut rules = Vec::with_capacity(self.rules.len());
        for (index, rule) in self.rules.into_iter().enumerate() {
            let mut then = Vec::with_capacity(rule.then.len());
            for (step_index, step) in rule.then.into_iter().enumerate() {
                let path = step_path(path, index, step_index);
                match step.map_secrets(&path, f) {
                    Some(step) => then.push(step),
                    None => complete = false,
                }
            }
            rules.push(Rule {
                when: rule.when,
                then,
            });
        }
        let endpoint = match self.endpoint {
            None => None,
            Some(endpoint) => {
                let endpoint = endpoint.map_secrets(&format!("{path}.endpoint"), f);
                complete &= endpoint.is_some();
                endpoint
            }
        };
        complete.then_some(Publish {
            rules,
            sinks: self.sinks,
            endpoint,
        })
    }

    pub(crate) fn visit_secrets(&self, path: &str, visit: &mut dyn FnMut(&Slot, &S)) {
        for (index, rule) in self.rules.iter().enumerate() {
            for (step_index, step) in rule.then.iter().enumerate() {
                if let Some((name, endpoint)) = step.endpoint() {
                    let path = format!("{}.{name}.endpoint", step_path(path, index, step_index));
                    ExternalEndpoint::visit_secrets(endpoint, &path, visit);
                }
            }
        }
        if let Some(endpoint) = &self.endpoint {
            endpoint.visit_secrets(&format!("{path}.endpoint"), visit);
        }
    }
}

fn step_path(path: &str, rule: usize, step: usize) -> String {
    format!("{path}.rules[{rule}].then[{step}]")
}

impl<S> Publish<S> {
    pub(crate) fn read(value: Value, at: &At<'_>) -> Option<Publish<S>>
    where
        S: ReadSecret,
    {
        const RULES: &str = "[{ when: always, then: [drop] }]";
        let mut fields = Fields::open(value, at, "{ rules: [] }")?;
        let rules = fields
            .optional("rules", |value, at| {
                list(value, at, MAX_RULES, RULES, Rule::read)
            })
            .unwrap_or_default();
        let sinks = fields.optional("sinks", sinks);
        let endpoint = fields.optional("endpoint", ExternalEndpoint::read);
        fields.close();
        Some(Publish {
            rules,
            sinks,
            endpoint,
        })
    }
}

fn sinks(value: Value, at: &At<'_>) -> Option<Vec<String>> {
    const EXAMPLE: &str = "[events]";
    let mut sinks: Vec<String> = Vec::new();
    let named = list(value, at, MAX_SINKS, EXAMPLE, |value, at| {
        let name = string(value, at, "events")?;
        if name.is_empty() || name.len() > 255 || name.chars().any(char::is_control) {
            return at.refuse(
                "must be 1 to 255 bytes without control characters",
                "events",
            );
        }
        Some((name, at.path()))
    })?;
    for (name, path) in named {
        if sinks.contains(&name) {
            return at.refuse(format!("names {} twice, again at {path}", quote(&name)), "");
        }
        sinks.push(name);
    }
    if sinks.is_empty() {
        let reason = "must name at least one sink; leave it out for all of the server's";
        return at.refuse(reason, EXAMPLE);
    }
    Some(sinks)
}

impl<S> Rule<S> {
    fn read(value: Value, at: &At<'_>) -> Option<Rule<S>>
    where
        S: ReadSecret,
    {
        let mut fields = Fields::open(value, at, "{ when: always, then: [drop] }")?;
        let when = fields.optional("when", |value, at| When::read(value, at, 0));
        let then = fields.optional("then", steps);
        fields.close();
        Some(Rule {
            when: when.unwrap_or(When::Always),
            then: then.unwrap_or_default(),
        })
    }
}

/// A list of steps; a single step may stand without the list, as in Drogue Cloud's documentation.
fn steps<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Vec<Step<S>>> {
    if value.is_array() {
        list(value, at, MAX_STEPS, "[drop]", step::read)
    } else {
        Some(vec![step::read(value, at)?])
    }
}

impl When {
    fn read(value: Value, at: &At<'_>, depth: usize) -> Option<When> {
        if depth > MAX_DEPTH {
            return at.refuse(format!("is nested deeper than {MAX_DEPTH} conditions"), "");
        }
        if let Value::String(word) = value {
            return match word.as_str() {
                "always" => Some(When::Always),
                other => at.refuse(format!("{} is not a condition", quote(other)), "always"),
            };
        }
        let mut fields = Fields::open(value, at, WHEN)?;
        let Some((operator, value)) = fields.take_only() else {
            return at.refuse(
                "must have exactly one of always, isChannel, not, and, or",
                WHEN,
            );
        };
        let at = at.key(&operator);
        let all = |value: Value| {
            list(
                value,
                &at,
                MAX_RULES,
                "[{ isChannel: a }, { isChannel: b }]",
                |value, at| When::read(value, at, depth + 1),
            )
        };
        match operator.as_str() {
            "always" if value.is_null() => Some(When::Always),
            "isChannel" => string(value, &at, "temperature").map(When::IsChannel),
            "not" => When::read(value, &at, depth + 1)
                .map(Box::new)
                .map(When::Not),
            "and" => all(value).map(When::And),
            "or" => all(value).map(When::Or),
            _ => at.refuse(
                "is not a condition; there are always, isChannel, not, and, or",
                WHEN,
            ),
        }
    }
}
