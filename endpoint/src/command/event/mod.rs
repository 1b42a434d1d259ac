//! Commands as CloudEvents, and their outcomes as CloudEvents: what sources of messages have in
//! common, whatever carries the attributes. What became of them is in `outcome`.

mod outcome;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use landfall_events::content::says_json;
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) use outcome::OutcomeEvent;

use super::{CommandError, CommandRequest, Lifetime, Way, Wishes};

/// A CloudEvent, as it came.
#[derive(Clone, Debug, Default)]
pub(in crate::command) struct CommandEvent {
    /// Attributes by their names; the content type of the data is `datacontenttype`.
    pub(in crate::command) attributes: BTreeMap<String, String>,
    /// The data.
    pub(in crate::command) data: Bytes,
}

/// What a command event asks for.
#[derive(Debug)]
pub(in crate::command) struct Asked {
    pub(in crate::command) request: CommandRequest,
    pub(in crate::command) ttl: Option<Lifetime>,
}

impl CommandEvent {
    /// Reads an event in structured JSON.
    ///
    /// # Errors
    ///
    /// [`CommandError::BadRequest`]: no JSON object of this form.
    pub(in crate::command) fn structured(body: &[u8]) -> Result<Self, CommandError> {
        let bad = |text: &str| CommandError::BadRequest(format!("no CloudEvent: {text}"));
        let members: BTreeMap<String, &RawValue> =
            serde_json::from_slice(body).map_err(|_| bad("not a JSON object"))?;
        let mut event = Self::default();
        let (mut data, mut data_base64) = (None, None);
        for (name, value) in members {
            match name.as_str() {
                "data" => data = Some(value.get()).filter(|text| *text != "null"),
                "data_base64" => {
                    let text: String =
                        serde_json::from_str(value.get()).map_err(|_| bad("data_base64"))?;
                    data_base64 = Some(text);
                }
                _ => {
                    let value: serde_json::Value =
                        serde_json::from_str(value.get()).map_err(|_| bad(&name))?;
                    let text = match value {
                        serde_json::Value::String(text) => text,
                        serde_json::Value::Null => continue,
                        value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => {
                            value.to_string()
                        }
                        _ => return Err(bad(&name)),
                    };
                    event.attributes.insert(name, text);
                }
            }
        }
        event.data = match (data, data_base64) {
            (Some(_), Some(_)) => return Err(bad("data and data_base64")),
            (None, None) => Bytes::new(),
            (None, Some(text)) => {
                use base64::Engine as _;
                let decoded = base64::engine::general_purpose::STANDARD.decode(text);
                decoded.map_err(|_| bad("data_base64"))?.into()
            }
            (Some(json), None) => event.json_data(json),
        };
        Ok(event)
    }

    /// CloudEvents JSON format 3.1.1: a string is the data itself unless the data is JSON.
    fn json_data(&mut self, json: &str) -> Bytes {
        let declared = self.attributes.get("datacontenttype");
        let is_json = declared.is_none_or(|text| says_json(text));
        if declared.is_none() {
            let json = "application/json".to_owned();
            self.attributes.insert("datacontenttype".to_owned(), json);
        }
        match serde_json::from_str::<String>(json) {
            Ok(text) if !is_json => text.into_bytes().into(),
            _ => json.as_bytes().to_vec().into(),
        }
    }

    pub(in crate::command) fn get(&self, name: &str) -> Option<&str> {
        let value = self.attributes.get(name).map(String::as_str);
        value.filter(|text| !text.is_empty())
    }

    /// Application and device, if it names both: commands of one device are taken in order.
    pub(in crate::command) fn addressee(&self) -> Option<(&str, &str)> {
        self.get("application").zip(self.get("device"))
    }

    /// What it asks for, at this moment.
    ///
    /// # Errors
    ///
    /// [`CommandError::BadRequest`] says what is missing or cannot be read;
    /// [`CommandError::TooLarge`]; [`CommandError::Expired`].
    pub(in crate::command) fn asked(
        &self,
        most: usize,
        now: OffsetDateTime,
    ) -> Result<Asked, CommandError> {
        let bad = |text: String| CommandError::BadRequest(text);
        if self
            .get("specversion")
            .is_none_or(|version| version != "1.0")
        {
            return Err(bad("no CloudEvent of specversion 1.0".to_owned()));
        }
        let named = |name: &str| {
            let value = self.get(name).map(str::to_owned);
            value.ok_or_else(|| bad(format!("the event has no `{name}`")))
        };
        if self.data.len() > most {
            return Err(CommandError::TooLarge);
        }
        let way = Way::of(&Wishes {
            timeout: self.parsed("timeout")?,
            response: self.parsed("response")?.unwrap_or(false),
            ttl: self.left("ttl", now)?,
            expiry: self.left("expiry", now)?,
        })?;
        let trace = ["traceparent", "tracestate"].into_iter();
        let trace = trace.filter_map(|name| Some((name.to_owned(), self.get(name)?.to_owned())));
        Ok(Asked {
            request: CommandRequest {
                application: named("application")?,
                device: named("device")?,
                command: named("subject")?,
                payload: self.data.clone(),
                content_type: self.get("datacontenttype").map(str::to_owned),
                user_properties: trace.collect(),
                expiry: way.expiry,
                timeout: way.timeout,
                wants_answer: way.wants_answer,
            },
            ttl: way.ttl,
        })
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, CommandError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let bad = || CommandError::BadRequest(format!("`{name}` is not of the form it must have"));
        text.trim().parse().map(Some).map_err(|_| bad())
    }

    /// What is left of a number of seconds that began at the event's `time`, if it has one.
    fn left(&self, name: &str, now: OffsetDateTime) -> Result<Option<u32>, CommandError> {
        let Some(seconds) = self.parsed::<u32>(name)? else {
            return Ok(None);
        };
        let Some(time) = self.get("time") else {
            return Ok(Some(seconds));
        };
        let time = OffsetDateTime::parse(time, &Rfc3339);
        let time =
            time.map_err(|_| CommandError::BadRequest("`time` is no RFC 3339".to_owned()))?;
        let age = Duration::try_from(now - time).unwrap_or_default();
        match Duration::from_secs(seconds.into()).checked_sub(age) {
            // Started seconds count, as in a message's expiry.
            Some(left) if !left.is_zero() => {
                let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
                Ok(Some(u32::try_from(seconds).unwrap_or(u32::MAX)))
            }
            _ if seconds == 0 => Ok(Some(0)),
            _ => Err(CommandError::Expired),
        }
    }
}

/// Names of application, device and command in the last three levels of a topic, each
/// percent-decoded.
pub(in crate::command) fn names_of_topic(topic: &str) -> Option<[String; 3]> {
    let mut levels = topic.rsplit('/').map(|level| {
        let decoded = percent_decode_str(level).decode_utf8().ok()?;
        Some(decoded.into_owned()).filter(|name| !name.is_empty())
    });
    let (command, device, application) = (levels.next()??, levels.next()??, levels.next()??);
    Some([application, device, command])
}
