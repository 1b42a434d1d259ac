//! Rules that an application's events pass before the sinks: Drogue Cloud's "event pre-processing".
//!
//! Rules are applied in order; the steps of a rule whose condition holds act on the event one after
//! the other. Whoever holds an event asks [`Rules::apply`] first, which never waits; only where a
//! step calls an endpoint, [`Rules::run`] has to take its place, from the start.

mod call;
mod parts;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use uuid::Uuid;

pub use call::{Call, RequestForm, ResponseForm};
pub use parts::Parts;

use crate::event::{Origin, Timestamp};

/// The rules of one application, ready to use.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

/// What to do with which events.
#[derive(Debug)]
pub struct Rule {
    /// Which ones.
    pub when: When,
    /// What happens to them, in order.
    pub then: Vec<Step>,
}

/// A condition on an event as the rules before have left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Holds.
    Always,
    /// The channel, which is the event's `subject`, is this one.
    IsChannel(Box<str>),
    /// The other does not hold.
    Not(Box<When>),
    /// There are any, and all of them hold.
    And(Vec<When>),
    /// Any of them holds.
    Or(Vec<When>),
}

/// What a rule does with an event.
#[derive(Debug)]
pub enum Step {
    /// Accepts the event from the device and forgets it.
    Drop,
    /// Takes the event as it is by now: no further step or rule is applied.
    Break,
    /// Refuses the event, with a reason.
    Reject(Box<str>),
    /// Sets an extension. Names that are not free ([`crate::is_free_extension`]) stay as they are.
    SetExtension(Box<str>, Box<str>),
    /// Removes an extension that a device, a dialect or a rule has set.
    RemoveExtension(Box<str>),
    /// Sets an attribute, or removes it.
    SetAttribute(Attribute, Option<Box<str>>),
    /// Asks an endpoint whether the event may pass.
    Validate(Arc<Call>),
    /// Has an endpoint make another event of it.
    Enrich(Arc<Call>, ResponseForm),
}

/// The attributes that a rule may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `datacontenttype`; removed, it is found by looking at the payload.
    DataContentType,
    /// `dataschema`
    DataSchema,
    /// `subject`
    Subject,
    /// `type`; removed, it is the default again.
    Type,
}

/// What the rules make of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the sinks, as its parts are now.
    Pass,
    /// It was accepted and is forgotten.
    Drop,
    /// It is refused, with a reason for the device and the log.
    Reject(Box<str>),
}

/// An endpoint that has to be asked does not answer as it should: nobody's verdict on the event,
/// which has to wait and be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoVerdict(pub String);

/// How a step goes on.
enum Flow<'a> {
    Next,
    Break,
    Drop,
    Reject(&'a str),
    Call(&'a Call, Option<ResponseForm>),
}

impl Rules {
    /// The rules in their order.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Whether there is nothing to apply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies the rules. `None`: an endpoint has to be asked ([`Rules::run`]), and the parts are to
    /// be thrown away.
    pub fn apply<'a>(&'a self, parts: &mut Parts<'a>) -> Option<Verdict> {
        for rule in &self.0 {
            if !rule.when.holds(parts) {
                continue;
            }
            for step in &rule.then {
                match step.act(parts) {
                    Flow::Next => {}
                    Flow::Break => return Some(Verdict::Pass),
                    Flow::Drop => return Some(Verdict::Drop),
                    Flow::Reject(reason) => return Some(Verdict::Reject(reason.into())),
                    Flow::Call(..) => return None,
                }
            }
        }
        Some(Verdict::Pass)
    }

    /// Applies the rules and asks their endpoints. `origin`, `id` and `time` stay as they are,
    /// whatever an endpoint answers.
    ///
    /// # Errors
    ///
    /// [`NoVerdict`]: try again later, from the parts as they were.
    pub async fn run(
        &self,
        parts: Parts<'static>,
        origin: &Origin,
        id: Uuid,
        time: Timestamp,
    ) -> Result<(Parts<'static>, Verdict), NoVerdict> {
        let mut parts: Parts<'_> = parts;
        for rule in &self.0 {
            if !rule.when.holds(&parts) {
                continue;
            }
            for step in &rule.then {
                let mut flow = step.act(&mut parts);
                if let Flow::Call(call, response) = flow {
                    let draft = parts.draft(origin, id, time);
                    flow = match call.ask(&draft, response).await? {
                        call::Answer::Next => Flow::Next,
                        call::Answer::Replaced(change) => {
                            parts.replace(*change);
                            Flow::Next
                        }
                        call::Answer::Accept => Flow::Break,
                        call::Answer::Reject(reason) => {
                            return Ok((parts.into_owned(), Verdict::Reject(reason)));
                        }
                    };
                }
                match flow {
                    Flow::Next | Flow::Call(..) => {}
                    Flow::Break => return Ok((parts.into_owned(), Verdict::Pass)),
                    Flow::Drop => return Ok((parts.into_owned(), Verdict::Drop)),
                    Flow::Reject(reason) => {
                        return Ok((parts.into_owned(), Verdict::Reject(reason.into())));
                    }
                }
            }
        }
        Ok((parts.into_owned(), Verdict::Pass))
    }
}

impl When {
    /// Whether it holds for the event.
    #[must_use]
    pub fn holds(&self, parts: &Parts<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::IsChannel(channel) => **channel == *parts.subject,
            Self::Not(other) => !other.holds(parts),
            Self::And(all) => !all.is_empty() && all.iter().all(|each| each.holds(parts)),
            Self::Or(any) => any.iter().any(|each| each.holds(parts)),
        }
    }
}

impl Step {
    fn act<'a>(&'a self, parts: &mut Parts<'a>) -> Flow<'a> {
        match self {
            Self::Drop => return Flow::Drop,
            Self::Break => return Flow::Break,
            Self::Reject(reason) => return Flow::Reject(reason),
            Self::SetExtension(name, value) => parts.set_extension(&**name, &**value),
            Self::RemoveExtension(name) => parts.remove_extension(name),
            Self::SetAttribute(name, value) => parts.set_attribute(*name, value.as_deref()),
            Self::Validate(call) => return Flow::Call(call, None),
            Self::Enrich(call, response) => return Flow::Call(call, Some(*response)),
        }
        Flow::Next
    }
}
