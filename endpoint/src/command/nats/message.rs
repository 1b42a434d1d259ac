//! A message as a command, and its outcome as a reply.

use async_nats::{HeaderMap, HeaderValue, Message};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::command::{
    CommandError, CommandReport, CommandRequest, Lifetime, Told, UserProperty, Way, Wishes,
};

/// Where commands come: `{prefix}.{application}.{device}.{command}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
}

/// The prefix cannot begin a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has no spaces, `*`, `>` or empty tokens, and does not begin with `$`")]
pub struct PrefixError;

impl Subjects {
    /// Checks a prefix: one or several tokens.
    ///
    /// # Errors
    ///
    /// [`PrefixError`].
    pub fn new(prefix: &str) -> Result<Self, PrefixError> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>');
        let is_token = |token: &str| !token.is_empty() && token.bytes().all(allowed);
        if prefix.starts_with('$') || !prefix.split('.').all(is_token) {
            return Err(PrefixError);
        }
        Ok(Self {
            prefix: prefix.to_owned(),
        })
    }

    /// What to subscribe to.
    pub(super) fn filter(&self) -> String {
        format!("{}.*.*.*", self.prefix)
    }

    /// Application, device and command of a subject, each percent-decoded.
    fn parse(&self, subject: &str) -> Option<[String; 3]> {
        let rest = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let mut tokens = rest.split('.').map(|token| {
            let decoded = percent_decode_str(token).decode_utf8().ok()?;
            Some(decoded.into_owned())
        });
        let names = [tokens.next()??, tokens.next()??, tokens.next()??];
        tokens.next().is_none().then_some(names)
    }
}

/// Reads a message.
pub(super) fn read(
    message: Message,
    subjects: &Subjects,
    most: usize,
) -> Result<(CommandRequest, Option<Lifetime>), CommandError> {
    let bad = |text: &str| CommandError::BadRequest(text.to_owned());
    let names = subjects.parse(&message.subject);
    let [application, device, command] = names.ok_or_else(|| {
        bad("a subject is PREFIX.APPLICATION.DEVICE.COMMAND, each percent-encoded UTF-8")
    })?;
    if message.payload.len() > most {
        return Err(CommandError::TooLarge);
    }
    let headers = Headers(message.headers.unwrap_or_default());
    let way = Way::of(&Wishes {
        timeout: headers.parsed("landfall-timeout")?,
        response: headers.parsed("landfall-response")?.unwrap_or(false),
        ttl: headers.parsed("landfall-ttl")?,
        expiry: headers.parsed("landfall-expiry")?,
    })?;
    let request = CommandRequest {
        application,
        device,
        command,
        payload: message.payload,
        content_type: headers.first("content-type").map(str::to_owned),
        user_properties: headers.user_properties()?,
        expiry: way.expiry,
        // Without a reply subject nobody waits; the command is delivered all the same.
        timeout: match message.reply {
            Some(_) => way.timeout,
            None => std::time::Duration::ZERO,
        },
        wants_answer: way.wants_answer && message.reply.is_some(),
    };
    Ok((request, way.ttl))
}

/// The headers of a message; their names are taken in any case.
struct Headers(HeaderMap);

impl Headers {
    fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        let headers = self.0.iter();
        headers
            .filter(move |(at, _)| at.to_string().eq_ignore_ascii_case(name))
            .flat_map(|(_, values)| values.iter().map(HeaderValue::as_str))
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(at, _)| at.to_string().eq_ignore_ascii_case(name))
            .and_then(|(_, values)| values.first())
            .map(HeaderValue::as_str)
    }

    fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, CommandError> {
        let Some(text) = self.first(name) else {
            return Ok(None);
        };
        match text.trim().parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(CommandError::BadRequest(format!(
                "{name} is not of the form that it must have"
            ))),
        }
    }

    fn user_properties(&self) -> Result<Vec<UserProperty>, CommandError> {
        let trace = ["traceparent", "tracestate"];
        let trace = trace.into_iter().flat_map(|name| {
            let values = self.all(name);
            values.map(move |value| Ok((name.to_owned(), value.to_owned())))
        });
        let own = self.all("landfall-user-property").map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                CommandError::BadRequest("Landfall-User-Property is NAME=VALUE".to_owned())
            })?;
            Ok((name.to_owned(), value.to_owned()))
        });
        trace.chain(own).collect()
    }
}

/// The reply: the device's own answer; or the outcome; or the error, which NATS's service tools
/// know by its headers (ADR-32).
pub(super) fn reply(result: &Result<CommandReport, CommandError>) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    let body = match result {
        Ok(CommandReport {
            answer: Some(answer),
            ..
        }) => {
            // What no header can carry is left out.
            if let Ok(value) = answer.content_type().parse::<HeaderValue>() {
                headers.insert("Content-Type", value);
            }
            if let Ok(value) = answer.via.parse::<HeaderValue>() {
                headers.insert("Landfall-Via", value);
            }
            return (headers, answer.payload.clone());
        }
        Ok(report) => serde_json::to_vec(&Told::of(report)),
        Err(error) => {
            headers.insert("Nats-Service-Error", error.as_str());
            headers.insert("Nats-Service-Error-Code", error.status().to_string());
            serde_json::to_vec(&json!({
                "error": error.as_str(), "message": error.to_string(),
            }))
        }
    };
    headers.insert("Content-Type", "application/json");
    (headers, body.unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command::{Answer, Outcome};

    fn subjects() -> Subjects {
        Subjects::new("fleet.commands").unwrap()
    }

    fn message(subject: &str, headers: &[(&str, &str)], reply: Option<&str>) -> Message {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        Message {
            subject: subject.into(),
            reply: reply.map(Into::into),
            payload: Bytes::from_static(b"on"),
            headers: Some(map),
            status: None,
            description: None,
            length: 2,
        }
    }

    fn read(message: Message) -> Result<(CommandRequest, Option<Lifetime>), CommandError> {
        super::read(message, &subjects(), 10)
    }

    #[test]
    fn a_subject_names_application_device_and_command() {
        let (request, ttl) = read(message("fleet.commands.app.a%2Eb.set", &[], Some("r"))).unwrap();
        assert_eq!(request.application, "app");
        assert_eq!(request.device, "a.b");
        assert_eq!(request.command, "set");
        assert_eq!(request.payload, "on");
        assert_eq!(request.timeout, Duration::from_secs(5));
        assert!(!request.wants_answer);
        assert_eq!(ttl, None);
        for wrong in [
            "fleet.commands.app.d",
            "fleet.commands.app.d.set.x",
            "fleet.commands.app.%ff.set",
            "other.app.d.set",
            "fleet.commandsapp.d.set",
        ] {
            let refused = read(message(wrong, &[], Some("r")));
            assert!(
                matches!(refused, Err(CommandError::BadRequest(_))),
                "{wrong}"
            );
        }
    }

    #[test]
    fn headers_say_what_the_query_says_over_http() {
        let headers = [
            ("Landfall-Timeout", "2.5"),
            ("landfall-response", "true"),
            ("Content-Type", "text/plain"),
            ("Landfall-User-Property", "a=1"),
            ("Landfall-User-Property", "b=2"),
            ("traceparent", "00-x"),
            ("Landfall-Expiry", "60"),
        ];
        let (request, _) = read(message("fleet.commands.app.d.set", &headers, Some("r"))).unwrap();
        assert_eq!(request.timeout, Duration::from_millis(2_500));
        assert!(request.wants_answer);
        assert_eq!(request.content_type.as_deref(), Some("text/plain"));
        assert_eq!(request.expiry, Lifetime::of_seconds(60));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("traceparent", "00-x"), pair("a", "1"), pair("b", "2")];
        assert_eq!(request.user_properties, expected);
        let (_, ttl) = read(message(
            "fleet.commands.app.d.set",
            &[("Landfall-TTL", "60")],
            None,
        ))
        .unwrap();
        assert_eq!(ttl, Lifetime::of_seconds(60));
        for wrong in [
            ("Landfall-Timeout", "soon"),
            ("Landfall-Response", "maybe"),
            ("Landfall-User-Property", "none"),
        ] {
            let refused = read(message("fleet.commands.app.d.set", &[wrong], Some("r")));
            assert!(
                matches!(refused, Err(CommandError::BadRequest(_))),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn nobody_waits_where_there_is_no_reply_subject() {
        let headers = [("Landfall-Response", "true")];
        let (request, _) = read(message("fleet.commands.app.d.set", &headers, None)).unwrap();
        assert_eq!(request.timeout, Duration::ZERO);
        assert!(!request.wants_answer);
    }

    #[test]
    fn a_payload_above_the_bound_is_refused() {
        let large = Message {
            payload: Bytes::from_static(&[0; 11]),
            ..message("fleet.commands.app.d.set", &[], Some("r"))
        };
        assert_eq!(read(large).unwrap_err(), CommandError::TooLarge);
    }

    #[test]
    fn prefixes_that_begin_no_subject_are_refused() {
        for wrong in ["", ".", "a.", "a b", "a.*", ">", "$SYS", "a..b"] {
            assert_eq!(Subjects::new(wrong), Err(PrefixError), "{wrong}");
        }
        assert_eq!(subjects().filter(), "fleet.commands.*.*.*");
    }

    #[test]
    fn a_reply_is_the_outcome_the_error_or_the_devices_answer() {
        let (_, body) = reply(&Ok(CommandReport::of(Outcome::HandedOver)));
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["outcome"], "handedOver");

        let (headers, body) = reply(&Err(CommandError::NotConnected));
        assert_eq!(
            headers.get("Nats-Service-Error").unwrap().as_str(),
            "not_connected"
        );
        assert_eq!(
            headers.get("Nats-Service-Error-Code").unwrap().as_str(),
            "404"
        );
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"], "not_connected");

        let answer = Answer {
            via: "gateway01".into(),
            payload: Bytes::from_static(b"21"),
            content_type: Some("text/plain".into()),
        };
        let (headers, body) = reply(&Ok(CommandReport {
            answer: Some(answer),
            ..CommandReport::of(Outcome::Answered)
        }));
        assert_eq!(body, "21");
        assert_eq!(headers.get("Content-Type").unwrap().as_str(), "text/plain");
        assert_eq!(headers.get("Landfall-Via").unwrap().as_str(), "gateway01");
    }
}
