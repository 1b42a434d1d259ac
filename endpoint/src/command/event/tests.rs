//! What events ask for, and what is said of them.

use super::outcome::UNKNOWN_SOURCE;
use super::*;
use crate::command::{Answer, CommandReport, Outcome};

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
