//! Eclipse Hono: devices of its MQTT adapter, as its user guide describes them: telemetry, events,
//! commands and their responses.
//!
//! The tenant is the application. Devices log in as `{auth-id}@{tenant}`, which is the form of all
//! dialects; the authentication identifier is the device's name, alias or unique user name.

use std::borrow::Cow;

use super::inbox::Pattern;
use super::{Destination, Dialect, InboxFilter, Outgoing, Own, TopicError, bag};

/// `type: hono`.
#[derive(Debug)]
pub(super) struct Hono;

/// What is published to, in its long and short form.
const TELEMETRY: [&str; 2] = ["telemetry", "t"];
const EVENT: [&str; 2] = ["event", "e"];
const COMMAND: [&str; 2] = ["command", "c"];
const REQUEST: [&str; 2] = ["req", "q"];
const RESPONSE: [&str; 2] = ["res", "s"];
/// The channel of responses to commands.
const RESPONSES: &str = "command-response";

impl Dialect for Hono {
    /// - `telemetry`, `event` (`t`, `e`), of the connected device;
    /// - `telemetry/{tenant}/{device}`, `event/{tenant}/{device}`, either of them may be empty;
    /// - `command/{tenant}/{device}/res/{request}/{status}` (`c`, `s`);
    ///
    /// each with properties behind: `/?name=value&…`.
    fn destination<'t>(&self, topic: &'t str, own: Own<'_>) -> Result<Destination<'t>, TopicError> {
        let (topic, properties) = match topic.split_once("/?") {
            Some((topic, properties)) => (topic, properties),
            None => (topic, ""),
        };
        let mut levels = topic.split('/');
        let kind = levels.next().unwrap_or_default();
        let is = |forms: [&str; 2]| forms.contains(&kind);
        let mut destination = if is(TELEMETRY) {
            one_way("telemetry", levels, own)?
        } else if is(EVENT) {
            one_way("event", levels, own)?
        } else if is(COMMAND) {
            response(levels, own)?
        } else {
            return Err(TopicError::NoRule);
        };
        for (name, value) in bag::parse(properties).ok_or(TopicError::Properties)? {
            if name == "content-type" {
                destination.content_type = (!value.is_empty()).then_some(value);
            } else if let Some(name) = bag::extension_name(&name) {
                bag::set(&mut destination.extensions, Cow::Owned(name), value);
            }
        }
        Ok(destination)
    }

    /// `command/{tenant}/{device}/req/#` (`c`, `q`), where tenant and device may be empty or, for
    /// all devices of a gateway, `+`.
    fn inbox(&self, filter: &str, own: Own<'_>) -> Option<InboxFilter> {
        let mut levels = filter.split('/');
        let (Some(kind), Some(tenant), Some(device), Some(request), Some("#"), None) = (
            levels.next(),
            levels.next(),
            levels.next(),
            levels.next(),
            levels.next(),
            levels.next(),
        ) else {
            return None;
        };
        let plain = |level: &str| !level.contains(['+', '#']);
        let is_tenant = tenant.is_empty() || tenant == "+" || tenant == own.application;
        let is_device = device == "+" || plain(device);
        let is_inbox = COMMAND.contains(&kind) && REQUEST.contains(&request);
        (is_inbox && is_tenant && is_device).then(|| {
            let device = match device {
                "" => Whose::Own,
                "+" => Whose::Any,
                name => Whose::One(name.into()),
            };
            InboxFilter::new(Requests {
                filter: filter.into(),
                device,
            })
        })
    }
}

/// What follows `telemetry` or `event`.
fn one_way<'t>(
    channel: &'t str,
    mut levels: std::str::Split<'t, char>,
    own: Own<'_>,
) -> Result<Destination<'t>, TopicError> {
    let (tenant, device) = (levels.next(), levels.next());
    if levels.next().is_some() {
        return Err(TopicError::TooManyLevels);
    }
    let device = match (tenant, device) {
        (None, _) => None,
        (Some(_), None) => return Err(TopicError::NoRule),
        (Some(tenant), Some(device)) => spoken_for(tenant, device, own)?,
    };
    Ok(Destination::new(channel, device))
}

/// What follows `command` in a response.
fn response<'t>(
    mut levels: std::str::Split<'t, char>,
    own: Own<'_>,
) -> Result<Destination<'t>, TopicError> {
    let (Some(tenant), Some(device), Some(kind), Some(request), Some(status), None) = (
        levels.next(),
        levels.next(),
        levels.next(),
        levels.next(),
        levels.next(),
        levels.next(),
    ) else {
        return Err(TopicError::NoRule);
    };
    let is_status = status.len() == 3 && status.parse::<u16>().is_ok_and(|code| code >= 200);
    if !RESPONSE.contains(&kind) || request.is_empty() || !is_status {
        return Err(TopicError::NoRule);
    }
    let mut destination = Destination::new(RESPONSES, spoken_for(tenant, device, own)?);
    destination.extensions = vec![
        (Cow::Borrowed("requestid"), Cow::Borrowed(request)),
        (Cow::Borrowed("status"), Cow::Borrowed(status)),
    ];
    Ok(destination)
}

/// An empty tenant is the own one, an empty device the connected one.
fn spoken_for<'t>(
    tenant: &str,
    device: &'t str,
    own: Own<'_>,
) -> Result<Option<&'t str>, TopicError> {
    if !tenant.is_empty() && tenant != own.application {
        return Err(TopicError::OtherApplication);
    }
    Ok((!device.is_empty() && device != own.device).then_some(device))
}

/// Whose commands a filter reads.
#[derive(Debug)]
enum Whose {
    /// The connected device's.
    Own,
    /// That device's.
    One(Box<str>),
    /// Those of the connected device and of all that it is the gateway of.
    Any,
}

/// `command/{tenant}/{device}/req/#`
#[derive(Debug)]
struct Requests {
    filter: Box<str>,
    device: Whose,
}

impl Pattern for Requests {
    fn filter(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.filter)
    }

    fn device(&self) -> Option<&str> {
        match &self.device {
            Whose::One(name) => Some(name),
            Whose::Own | Whose::Any => None,
        }
    }

    fn is_own(&self) -> bool {
        matches!(self.device, Whose::Own)
    }

    /// The filter's levels with the device filled in, then `{request}/{command}`. A command whose
    /// name is `{request}:{command}` wants a response, and one without a request does not: its level
    /// is empty, as that of a one-way command of Hono.
    fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        if !self.covers(command) {
            return None;
        }
        let mut levels = self.filter.split('/');
        let (kind, tenant) = (levels.next()?, levels.next()?);
        let (_, request) = (levels.next()?, levels.next()?);
        let tenant = if tenant == "+" {
            command.own.application
        } else {
            tenant
        };
        let device = match &self.device {
            Whose::Own => "",
            Whose::One(_) | Whose::Any => command.device,
        };
        let (id, name) = command.name.split_once(':').unwrap_or(("", command.name));
        Some(format!("{kind}/{tenant}/{device}/{request}/{id}/{name}"))
    }

    fn covers(&self, command: &Outgoing<'_>) -> bool {
        match &self.device {
            Whose::Own => command.device == command.own.device,
            Whose::One(name) => **name == *command.device,
            Whose::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Own<'_> = Own {
        application: "tenant1",
        device: "gw",
    };

    fn read(topic: &str) -> Result<Destination<'_>, TopicError> {
        Hono.destination(topic, OWN)
    }

    #[test]
    fn telemetry_and_events_in_long_and_short_form() {
        for (topic, channel) in [
            ("telemetry", "telemetry"),
            ("t", "telemetry"),
            ("event", "event"),
            ("e", "event"),
            ("t//", "telemetry"),
            ("e/tenant1/gw", "event"),
        ] {
            assert_eq!(read(topic), Ok(Destination::new(channel, None)), "{topic}");
        }
        for topic in ["telemetry/tenant1/d2", "t//d2"] {
            let other = Destination::new("telemetry", Some("d2"));
            assert_eq!(read(topic), Ok(other), "{topic}");
        }
    }

    #[test]
    fn properties_stand_behind_a_question_mark() {
        for topic in [
            "event/?content-type=text%2Fplain&hono-ttd=30&foo=b%20r",
            "e//d2/?content-type=text%2Fplain&hono-ttd=30&foo=b%20r",
        ] {
            let destination = read(topic).unwrap();
            assert_eq!(destination.content_type.as_deref(), Some("text/plain"));
            let extensions: Vec<(&str, &str)> = destination
                .extensions
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .collect();
            assert_eq!(extensions, [("honottd", "30"), ("foo", "b r")]);
        }
    }

    #[test]
    fn responses_carry_request_and_status() {
        for (topic, device) in [
            ("command///res/req-1/200", None),
            ("c//d2/s/req-1/200", Some("d2")),
            ("c/tenant1/d2/s/req-1/200", Some("d2")),
        ] {
            let destination = read(topic).unwrap();
            assert_eq!(destination.channel, "command-response");
            assert_eq!(destination.device.as_deref(), device, "{topic}");
            let expected = [
                ("requestid".into(), "req-1".into()),
                ("status".into(), "200".into()),
            ];
            assert_eq!(destination.extensions, expected);
        }
    }

    #[test]
    fn refuses_topics_that_nearly_match() {
        for (topic, error) in [
            ("", TopicError::NoRule),
            ("tele", TopicError::NoRule),
            ("t/tenant1", TopicError::NoRule),
            ("t/tenant2/d2", TopicError::OtherApplication),
            ("t/tenant1/d2/x", TopicError::TooManyLevels),
            ("e/?a=%2", TopicError::Properties),
            ("c///s/req-1", TopicError::NoRule),
            ("c///s//200", TopicError::NoRule),
            ("c///s/req-1/99", TopicError::NoRule),
            ("c///s/req-1/+200", TopicError::NoRule),
            ("c///q/req-1/on", TopicError::NoRule),
        ] {
            assert_eq!(read(topic), Err(error), "{topic}");
        }
    }

    fn topic(filter: &str, device: &str, name: &str) -> Option<String> {
        let command = Outgoing {
            own: OWN,
            device,
            name,
            content_type: None,
            payload: b"",
        };
        Hono.inbox(filter, OWN).unwrap().topic(&command)
    }

    #[test]
    fn commands_keep_the_form_of_their_filter() {
        let topics = |filter: &str, device: &str| topic(filter, device, "on");
        assert_eq!(topics("c///q/#", "gw").as_deref(), Some("c///q//on"));
        assert_eq!(topics("c///q/#", "d2"), None);
        let long = Some("command/tenant1/d2/req//on");
        assert_eq!(topics("command/tenant1/d2/req/#", "d2").as_deref(), long);
        assert_eq!(topics("c//+/q/#", "d2").as_deref(), Some("c//d2/q//on"));
        assert_eq!(
            topics("c/+/+/q/#", "gw").as_deref(),
            Some("c/tenant1/gw/q//on")
        );
        let asked = topic("c///q/#", "gw", "req-1:on");
        assert_eq!(asked.as_deref(), Some("c///q/req-1/on"));
    }

    #[test]
    fn refuses_filters_that_nearly_match() {
        for filter in [
            "#",
            "c/#",
            "c///q/+/on",
            "c///q",
            "c///s/#",
            "c/tenant2//q/#",
            "c//d+/q/#",
            "t/#",
            "command/inbox//#",
        ] {
            assert!(Hono.inbox(filter, OWN).is_none(), "{filter}");
        }
    }
}
