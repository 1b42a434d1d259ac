//! The rules of the applications whose devices are connected: compiled once per change.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use landfall_events::rule::{self, Call, NoVerdict, RequestForm, ResponseForm, Rules};
use landfall_registry::Application;
use landfall_registry::document::{
    Attribute, ContentMode, ExternalEndpoint, Request, Response, Rule, Step, When,
};
use landfall_registry::secret::Held;

use crate::endpoints::endpoint_options;

/// Rules in use, by the application's uid. Connections hold them; what no connection holds is
/// forgotten.
#[derive(Default)]
pub struct RuleBook(Mutex<HashMap<Box<str>, Entry>>);

/// The rules of one generation of an application.
struct Entry {
    generation: u64,
    rules: Weak<Ruleset>,
}

/// The rules of an application, and whether their endpoints have verdicts.
pub struct Ruleset {
    /// The rules.
    pub rules: Rules,
    application: Box<str>,
    failing: AtomicBool,
}

impl Ruleset {
    /// An endpoint has no verdict; logged when it begins.
    pub fn failed(&self, reason: &NoVerdict) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            let application = &*self.application;
            tracing::warn!(application, %reason, "an endpoint of a rule has no verdict; its events wait and are tried again");
        }
    }

    /// There was a verdict; logged when it ends a failure.
    pub fn answered(&self) {
        if self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed) {
            let application = &*self.application;
            tracing::info!(application, "the endpoints of the rules answer again");
        }
    }
}

impl RuleBook {
    /// The application's rules; `None` if it has none.
    pub fn of(&self, application: &Application) -> Option<Arc<Ruleset>> {
        if application.rules().is_empty() {
            return None;
        }
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = book.get(application.uid());
        let current = known.filter(|entry| entry.generation == application.generation());
        if let Some(rules) = current.and_then(|entry| entry.rules.upgrade()) {
            return Some(rules);
        }
        let rules = Arc::new(Ruleset {
            rules: compile(application.rules()),
            application: application.name().into(),
            failing: AtomicBool::new(false),
        });
        book.retain(|_, entry| entry.rules.strong_count() > 0);
        let entry = Entry {
            generation: application.generation(),
            rules: Arc::downgrade(&rules),
        };
        book.insert(application.uid().into(), entry);
        Some(rules)
    }
}

fn compile(rules: &[Rule<Held>]) -> Rules {
    let rule = |rule: &Rule<Held>| rule::Rule {
        when: condition(&rule.when),
        then: rule.then.iter().map(step).collect(),
    };
    Rules::new(rules.iter().map(rule).collect())
}

fn condition(when: &When) -> rule::When {
    let all = |conditions: &[When]| conditions.iter().map(condition).collect();
    match when {
        When::Always => rule::When::Always,
        When::IsChannel(channel) => rule::When::IsChannel(channel.as_str().into()),
        When::Not(other) => rule::When::Not(Box::new(condition(other))),
        When::And(conditions) => rule::When::And(all(conditions)),
        When::Or(conditions) => rule::When::Or(all(conditions)),
    }
}

fn step(step: &Step<Held>) -> rule::Step {
    match step {
        Step::Drop => rule::Step::Drop,
        Step::Break => rule::Step::Break,
        Step::Reject(reason) => rule::Step::Reject(reason.as_str().into()),
        Step::SetExtension { name, value } => {
            rule::Step::SetExtension(name.as_str().into(), value.as_str().into())
        }
        Step::RemoveExtension(name) => rule::Step::RemoveExtension(name.as_str().into()),
        Step::SetAttribute { name, value } => {
            rule::Step::SetAttribute(attribute(*name), Some(value.as_str().into()))
        }
        Step::RemoveAttribute(name) => rule::Step::SetAttribute(attribute(*name), None),
        Step::Validate { request, endpoint } => rule::Step::Validate(call(endpoint, *request)),
        Step::Enrich {
            request,
            response,
            endpoint,
        } => {
            let response = match response {
                Response::CloudEvent => ResponseForm::CloudEvent,
                Response::Raw => ResponseForm::Raw,
                Response::AssumeStructuredCloudEvent => ResponseForm::AssumeStructured,
            };
            rule::Step::Enrich(call(endpoint, *request), response)
        }
    }
}

fn attribute(name: Attribute) -> rule::Attribute {
    match name {
        Attribute::DataContentType => rule::Attribute::DataContentType,
        Attribute::DataSchema => rule::Attribute::DataSchema,
        Attribute::Subject => rule::Attribute::Subject,
        Attribute::Type => rule::Attribute::Type,
    }
}

fn call(endpoint: &ExternalEndpoint<Held>, request: Request) -> Arc<Call> {
    let Request::CloudEvent { mode } = request;
    let form = match mode {
        ContentMode::Binary => RequestForm::Binary,
        ContentMode::Structured => RequestForm::Structured,
    };
    Arc::new(Call::new(endpoint_options(endpoint), form))
}
