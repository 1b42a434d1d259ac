//! The parts of an event that rules read and change.

use std::borrow::Cow;

use uuid::Uuid;

use super::Attribute;
use crate::content::{NotJson, judge};
use crate::event::{Data, Draft, EventType, Extension, Origin, Timestamp};
use crate::is_free_extension;

/// An event but for what no rule changes: who it is from, its id, its time.
#[derive(Clone, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The channel.
    pub subject: Cow<'a, str>,
    event_type: Cow<'a, str>,
    content_type: Option<Cow<'a, str>>,
    /// The content type has been changed: what the payload is has to be judged again.
    rejudge: bool,
    schema: Option<Cow<'a, str>>,
    trace_parent: Option<Cow<'a, str>>,
    trace_state: Option<Cow<'a, str>>,
    retain: bool,
    extensions: Vec<Extension<'a>>,
    payload: Cow<'a, [u8]>,
    is_json: bool,
}

/// What an endpoint makes of an event; `None` stays as it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// All attributes and extensions are those given here.
    pub(super) attributes: Option<Vec<(String, String)>>,
    pub(super) content_type: Option<String>,
    pub(super) payload: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// Those of a draft.
    #[must_use]
    pub fn of(draft: &Draft<'a>) -> Self {
        let (is_json, payload) = match draft.data {
            Data::None => (false, &[][..]),
            Data::Json(bytes) => (true, bytes),
            Data::Binary(bytes) => (false, bytes),
        };
        Self {
            subject: Cow::Borrowed(draft.subject),
            event_type: Cow::Borrowed(draft.event_type.as_str()),
            content_type: draft.data_content_type.map(Cow::Borrowed),
            rejudge: false,
            schema: draft.data_schema.map(Cow::Borrowed),
            trace_parent: draft.trace_parent.map(Cow::Borrowed),
            trace_state: draft.trace_state.map(Cow::Borrowed),
            retain: draft.retain,
            extensions: draft.extensions.to_vec(),
            payload: Cow::Borrowed(payload),
            is_json,
        }
    }

    /// With memory of their own.
    #[must_use]
    pub fn into_owned(self) -> Parts<'static> {
        let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        let extension = |(name, value): Extension<'_>| {
            (
                Cow::Owned(name.into_owned()),
                Cow::Owned(value.into_owned()),
            )
        };
        Parts {
            subject: Cow::Owned(self.subject.into_owned()),
            event_type: Cow::Owned(self.event_type.into_owned()),
            content_type: own(self.content_type),
            rejudge: self.rejudge,
            schema: own(self.schema),
            trace_parent: own(self.trace_parent),
            trace_state: own(self.trace_state),
            retain: self.retain,
            extensions: self.extensions.into_iter().map(extension).collect(),
            payload: Cow::Owned(self.payload.into_owned()),
            is_json: self.is_json,
        }
    }

    /// Finds out what the payload is by the content type that the rules have left.
    ///
    /// # Errors
    ///
    /// [`NotJson`]: the content type says JSON now, and the payload is not.
    pub fn judge(&mut self) -> Result<(), NotJson> {
        if std::mem::take(&mut self.rejudge) {
            let (content_type, data) = judge(self.content_type.as_deref(), &self.payload)?;
            let content_type = content_type.map(|text| Cow::Owned(text.to_owned()));
            self.is_json = matches!(data, Data::Json(_));
            self.content_type = content_type;
        }
        Ok(())
    }

    /// The event of these parts.
    #[must_use]
    pub fn draft<'b>(&'b self, origin: &'b Origin, id: Uuid, time: Timestamp) -> Draft<'b> {
        Draft {
            origin,
            event_type: EventType::Other(&self.event_type),
            id,
            time,
            subject: &self.subject,
            data_content_type: self.content_type.as_deref(),
            data_schema: self.schema.as_deref(),
            trace_parent: self.trace_parent.as_deref(),
            trace_state: self.trace_state.as_deref(),
            retain: self.retain,
            extensions: &self.extensions,
            data: match &*self.payload {
                [] => Data::None,
                bytes if self.is_json => Data::Json(bytes),
                bytes => Data::Binary(bytes),
            },
        }
    }

    pub(super) fn set_extension(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        value: impl Into<Cow<'a, str>>,
    ) {
        let (name, value) = (name.into(), value.into());
        match &*name {
            "traceparent" => self.trace_parent = Some(value),
            "tracestate" => self.trace_state = Some(value),
            free if is_free_extension(free) => {
                match self.extensions.iter_mut().find(|(other, _)| *other == name) {
                    Some((_, old)) => *old = value,
                    None => self.extensions.push((name, value)),
                }
            }
            _ => {}
        }
    }

    pub(super) fn remove_extension(&mut self, name: &str) {
        match name {
            "traceparent" => self.trace_parent = None,
            "tracestate" => self.trace_state = None,
            "mqttretain" => self.retain = false,
            other => self.extensions.retain(|(name, _)| name != other),
        }
    }

    pub(super) fn set_attribute(
        &mut self,
        name: Attribute,
        value: Option<impl Into<Cow<'a, str>>>,
    ) {
        let value = value.map(Into::into);
        match name {
            Attribute::DataContentType => {
                self.content_type = value;
                self.rejudge = true;
            }
            Attribute::DataSchema => self.schema = value,
            Attribute::Subject => self.subject = value.unwrap_or_default(),
            Attribute::Type => self.event_type = value.unwrap_or_default(),
        }
    }

    /// The event that an endpoint answered with.
    pub(super) fn replace(&mut self, change: Change) {
        if let Some(attributes) = change.attributes {
            self.extensions.clear();
            self.trace_parent = None;
            self.trace_state = None;
            self.schema = None;
            self.retain = false;
            self.subject = Cow::Borrowed("");
            for (name, value) in attributes {
                match name.as_str() {
                    "type" => self.event_type = Cow::Owned(value),
                    "subject" => self.subject = Cow::Owned(value),
                    "dataschema" => self.schema = Some(Cow::Owned(value)),
                    "mqttretain" => self.retain = value == "true",
                    _ => self.set_extension(name, value),
                }
            }
        }
        self.content_type = change.content_type.map(Cow::Owned);
        self.payload = Cow::Owned(change.payload);
        self.rejudge = true;
    }
}

/// Shows no payload.
impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("subject", &self.subject)
            .field("type", &self.event_type)
            .field("extensions", &self.extensions)
            .field("payload", &self.payload.len())
            .finish_non_exhaustive()
    }
}
