//! Commands as CloudEvents, and their outcomes as CloudEvents: what sources of messages have in
//! common, whatever carries the attributes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use landfall_events::event::{Origin, OriginParts, Timestamp};
use percent_encoding::percent_decode_str;
use serde_json::json;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{CommandError, CommandReport, CommandRequest, Lifetime, Told, Way, Wishes};

/// The type of outcome events.
const OUTCOME: &str = "io.drogue.command.outcome.v1";
/// The source of an outcome whose command names no device.
const UNKNOWN_SOURCE: &str = "urn:landfall:commands";

/// A CloudEvent, as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct CommandEvent {
    /// Attributes by their names; the content type of the data is `datacontenttype`.
    pub(super) attributes: BTreeMap<String, String>,
    /// The data.
    pub(super) data: Bytes,
}

/// What a command event asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: CommandRequest,
    pub(super) ttl: Option<Lifetime>,
}

impl CommandEvent {
    /// Reads an event in structured JSON.
    ///
    /// # Errors
    ///
    /// [`CommandError::BadRequest`]: no JSON object of this form.
    pub(super) fn structured(body: &[u8]) -> Result<Self, CommandError> {
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

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.attributes.get(name).map(String::as_str);
        value.filter(|text| !text.is_empty())
    }

    /// Application and device, if it names both: commands of one device are taken in order.
    pub(super) fn addressee(&self) -> Option<(&str, &str)> {
        self.get("application").zip(self.get("device"))
    }

    /// What it asks for, at this moment.
    ///
    /// # Errors
    ///
    /// [`CommandError::BadRequest`] says what is missing or cannot be read;
    /// [`CommandError::TooLarge`]; [`CommandError::Expired`].
    pub(super) fn asked(&self, most: usize, now: OffsetDateTime) -> Result<Asked, CommandError> {
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

fn says_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    matches!(media_type.as_str(), "application/json" | "text/json") || media_type.ends_with("+json")
}

/// What became of a command, as a CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OutcomeEvent {
    /// Attributes but the content type of the data.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// The content type of the data.
    pub(super) content_type: String,
    /// The outcome in JSON, or what the device answered.
    pub(super) data: Bytes,
}

impl OutcomeEvent {
    /// The outcome of the command that `event` asked for.
    pub(super) fn of(
        event: &CommandEvent,
        result: &Result<CommandReport, CommandError>,
        instance: &str,
    ) -> Self {
        let (outcome, content_type, data) = match result {
            Ok(report) => match &report.answer {
                Some(answer) => (
                    report.outcome.as_str(),
                    answer.content_type().to_owned(),
                    answer.payload.clone(),
                ),
                None => (report.outcome.as_str(), json_type(), told(report)),
            },
            Err(error) => (error.as_str(), json_type(), failure(error)),
        };
        let source = event.addressee().map(|(application, device)| {
            let names = (device, "");
            let origin = Origin::new(OriginParts {
                instance,
                application: (application, ""),
                device: names,
                sender: names,
            });
            origin.source().to_owned()
        });
        let now = Timestamp::now().rfc3339();
        let mut attributes = vec![
            ("specversion", "1.0".to_owned()),
            ("type", OUTCOME.to_owned()),
            ("id", uuid::Uuid::now_v7().to_string()),
            ("time", String::from_utf8_lossy(&now).into_owned()),
            (
                "source",
                source.unwrap_or_else(|| UNKNOWN_SOURCE.to_owned()),
            ),
            ("instance", instance.to_owned()),
            ("outcome", outcome.to_owned()),
        ];
        // What the command said, so that its sender knows which one is meant.
        for (own, of_command) in [
            ("subject", "subject"),
            ("application", "application"),
            ("device", "device"),
            ("commandid", "id"),
            ("commandsource", "source"),
            ("traceparent", "traceparent"),
            ("tracestate", "tracestate"),
        ] {
            if let Some(value) = event.get(of_command) {
                attributes.push((own, value.to_owned()));
            }
        }
        Self {
            attributes,
            content_type,
            data,
        }
    }
}

fn json_type() -> String {
    "application/json".to_owned()
}

fn told(report: &CommandReport) -> Bytes {
    serde_json::to_vec(&Told::of(report))
        .unwrap_or_default()
        .into()
}

fn failure(error: &CommandError) -> Bytes {
    let failure = json!({ "error": error.as_str(), "message": error.to_string() });
    failure.to_string().into()
}

/// Names of application, device and command in the last three levels of a topic, each
/// percent-decoded.
pub(super) fn names_of_topic(topic: &str) -> Option<[String; 3]> {
    let mut levels = topic.rsplit('/').map(|level| {
        let decoded = percent_decode_str(level).decode_utf8().ok()?;
        Some(decoded.into_owned()).filter(|name| !name.is_empty())
    });
    let (command, device, application) = (levels.next()??, levels.next()??, levels.next()??);
    Some([application, device, command])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Answer, Outcome};

    const NOW: &str = "2026-11-05T12:00:10Z";

    fn now() -> OffsetDateTime {
        OffsetDateTime::parse(NOW, &Rfc3339).unwrap()
    }

    fn event(more: &[(&str, &str)]) -> CommandEvent {
        let least = [
            ("specversion", "1.0"),
            ("id", "7"),
            ("source", "urn:me"),
            ("type", "set"),
            ("application", "app"),
            ("device", "a.b"),
            ("subject", "set"),
        ];
        let all = least.iter().chain(more);
        CommandEvent {
            attributes: all
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            data: Bytes::from_static(b"21"),
        }
    }

    fn asked(more: &[(&str, &str)]) -> Result<Asked, CommandError> {
        event(more).asked(10, now())
    }

    #[test]
    fn an_event_names_application_device_and_command() {
        let more = [
            ("datacontenttype", "text/plain"),
            ("traceparent", "00-x"),
            ("timeout", "2.5"),
            ("response", "true"),
        ];
        let Asked { request, ttl } = asked(&more).unwrap();
        assert_eq!((&*request.application, &*request.device), ("app", "a.b"));
        assert_eq!(request.command, "set");
        assert_eq!(request.payload, "21");
        assert_eq!(request.content_type.as_deref(), Some("text/plain"));
        assert_eq!(request.timeout, Duration::from_millis(2_500));
        assert!(request.wants_answer);
        let trace = [("traceparent".to_owned(), "00-x".to_owned())];
        assert_eq!(request.user_properties, trace);
        assert_eq!(ttl, None);
    }

    #[test]
    fn what_is_missing_or_cannot_be_read_is_named() {
        for name in ["application", "device", "subject", "specversion"] {
            let refused = asked(&[(name, "")]).unwrap_err();
            assert!(matches!(refused, CommandError::BadRequest(_)), "{name}");
            assert!(refused.to_string().contains(name), "{refused}");
        }
        for wrong in [("timeout", "soon"), ("response", "maybe"), ("ttl", "-1")] {
            let refused = asked(&[wrong]).unwrap_err();
            assert!(refused.to_string().contains(wrong.0), "{refused}");
        }
        let large = CommandEvent {
            data: Bytes::from_static(&[0; 11]),
            ..event(&[])
        };
        assert_eq!(large.asked(10, now()).unwrap_err(), CommandError::TooLarge);
    }

    #[test]
    fn a_life_counts_from_the_events_time() {
        let expiry = |more: &[(&str, &str)]| asked(more).map(|asked| asked.request.expiry);
        assert_eq!(expiry(&[("expiry", "60")]), Ok(Lifetime::of_seconds(60)));
        let sent = ("time", "2026-11-05T12:00:00Z");
        let left = Lifetime::of_seconds(50);
        assert_eq!(expiry(&[("expiry", "60"), sent]), Ok(left));
        let late = expiry(&[("expiry", "10"), sent]);
        assert_eq!(late, Err(CommandError::Expired));
        let future = ("time", "2026-11-05T13:00:00Z");
        assert_eq!(
            expiry(&[("expiry", "60"), future]),
            Ok(Lifetime::of_seconds(60))
        );
        let held = asked(&[("ttl", "60"), sent]).unwrap();
        assert_eq!(held.ttl, left);
        let bad = expiry(&[("expiry", "60"), ("time", "yesterday")]);
        assert!(matches!(bad, Err(CommandError::BadRequest(_))));
    }

    #[test]
    fn structured_data_is_json_text_or_bytes() {
        let read = |text: &str| CommandEvent::structured(text.as_bytes()).unwrap();
        let json = read(r#"{"specversion":"1.0","application":"app","data":{"t": 1.50}}"#);
        assert_eq!(json.data, r#"{"t": 1.50}"#, "as it came");
        assert_eq!(json.get("datacontenttype"), Some("application/json"));
        assert_eq!(json.get("application"), Some("app"));
        let text = read(r#"{"datacontenttype":"text/plain","data":"on"}"#);
        assert_eq!(text.data, "on");
        let string = read(r#"{"datacontenttype":"application/vnd.x+json; v=1","data":"on"}"#);
        assert_eq!(string.data, r#""on""#);
        let bytes = read(r#"{"data_base64":"AP8=","ttl":60,"response":true,"id":null}"#);
        assert_eq!(bytes.data, b"\x00\xff"[..]);
        assert_eq!(
            (bytes.get("ttl"), bytes.get("response")),
            (Some("60"), Some("true"))
        );
        assert_eq!(bytes.get("id"), None);
        for wrong in [
            "",
            "[]",
            r#"{"data":1,"data_base64":"AA=="}"#,
            r#"{"data_base64":"!"}"#,
            r#"{"device":["a"]}"#,
            r#"{"data_base64":1}"#,
        ] {
            let refused = CommandEvent::structured(wrong.as_bytes()).unwrap_err();
            assert!(matches!(refused, CommandError::BadRequest(_)), "{wrong}");
        }
    }

    #[test]
    fn an_outcome_says_which_command_it_is_of_and_what_became_of_it() {
        let command = event(&[("traceparent", "00-x")]);
        let attribute = |outcome: &OutcomeEvent, name: &str| {
            let mut all = outcome.attributes.iter();
            all.find(|(own, _)| *own == name).map(|(_, v)| v.clone())
        };
        let sent = OutcomeEvent::of(&command, &Ok(CommandReport::of(Outcome::Sent)), "one");
        for (name, value) in [
            ("type", "io.drogue.command.outcome.v1"),
            ("source", "drogue://app/a%2Eb"),
            ("subject", "set"),
            ("device", "a.b"),
            ("commandid", "7"),
            ("commandsource", "urn:me"),
            ("instance", "one"),
            ("outcome", "sent"),
            ("traceparent", "00-x"),
        ] {
            assert_eq!(attribute(&sent, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(sent.content_type, "application/json");
        let data: serde_json::Value = serde_json::from_slice(&sent.data).unwrap();
        assert_eq!(data["outcome"], "sent");

        let nobody = CommandEvent::default();
        let failed = OutcomeEvent::of(&nobody, &Err(CommandError::NotConnected), "one");
        assert_eq!(
            attribute(&failed, "source").as_deref(),
            Some(UNKNOWN_SOURCE)
        );
        assert_eq!(
            attribute(&failed, "outcome").as_deref(),
            Some("not_connected")
        );
        let data: serde_json::Value = serde_json::from_slice(&failed.data).unwrap();
        assert_eq!(data["error"], "not_connected");

        let answer = Answer {
            via: "d".into(),
            payload: Bytes::from_static(b"\xff"),
            content_type: Some("image/x".into()),
        };
        let report = CommandReport {
            answer: Some(answer),
            ..CommandReport::of(Outcome::Answered)
        };
        let answered = OutcomeEvent::of(&command, &Ok(report), "one");
        assert_eq!(answered.data, b"\xff"[..]);
        assert_eq!(answered.content_type, "image/x");
    }

    #[test]
    fn the_last_three_levels_of_a_topic_are_names() {
        let names = |topic: &str| names_of_topic(topic);
        let expected = ["app", "a/b", "set"].map(str::to_owned);
        assert_eq!(names("x/y/app/a%2Fb/set"), Some(expected.clone()));
        assert_eq!(names("app/a%2Fb/set"), Some(expected));
        for wrong in ["device/set", "app//set", "app/d/", "app/d/%ff"] {
            assert_eq!(names(wrong), None, "{wrong}");
        }
    }
}
