use super::*;
use crate::event::Data;
use crate::record::tests::{record_of, with_draft};
use crate::template::Template;

fn options(topic: &str) -> MqttOptions {
    MqttOptions::new(
        "localhost",
        1883,
        "landfall-1",
        Template::parse(topic).unwrap(),
    )
}

fn message(options: &MqttOptions, subject: &str, data: Data<'_>) -> Message {
    let mut made = None;
    with_draft(subject, true, data, |draft| {
        let bytes = record_of(draft);
        made = Some(Message::of(&Record::read(&bytes).unwrap(), options));
    });
    made.unwrap()
}

#[test]
fn binary_messages_have_attributes_as_user_properties() {
    let message = message(
        &options("events/{application}"),
        "temp",
        Data::Binary(b"21.5"),
    );
    assert_eq!(message.topic, "events/app");
    assert_eq!(message.content_type.as_deref(), Some("text/plain"));
    assert_eq!(&message.payload[..], b"21.5");
    let get = |name: &str| {
        let found = message
            .user_properties
            .iter()
            .find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(get("specversion"), Some("1.0"));
    assert_eq!(get("subject"), Some("temp"));
    assert_eq!(get("type"), Some("io.drogue.event.v1"));
    assert_eq!(get("mqttretain"), Some("true"));
    assert_eq!(get("datacontenttype"), None);
}

#[test]
fn structured_messages_say_so() {
    let structured = MqttOptions {
        mode: MqttMode::Structured,
        ..options("t")
    };
    let old = MqttOptions {
        version: MqttVersion::V311,
        ..options("t")
    };
    for options in [structured, old] {
        let message = message(&options, "temp", Data::Json(b"1"));
        assert_eq!(
            message.content_type.as_deref(),
            Some("application/cloudevents+json")
        );
        assert!(message.user_properties.is_empty());
        let event: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(event["data"], 1);
    }
}

#[test]
fn topics_keep_levels_and_have_no_wildcards() {
    let options = options("events/{device}/{channel}");
    let topic = |subject: &str| message(&options, subject, Data::None).topic;
    assert_eq!(topic("a/b/ä c"), "events/de v/a/b/ä c");
    assert_eq!(topic("a+b/#"), "events/de v/a%2Bb/%23");
    assert_eq!(topic("50%"), "events/de v/50%25");
    assert_eq!(topic("/"), "events/de v//");
}

#[test]
fn what_does_not_fit_is_told_before_it_is_sent() {
    let message = message(&options("t"), "temp", Data::Binary(&[0; 1000]));
    assert_eq!(message.check(None), Ok(()));
    assert_eq!(message.check(Some(5_000)), Ok(()));
    assert!(
        message
            .check(Some(1_000))
            .unwrap_err()
            .contains("the broker takes 1000")
    );
    let long = "x".repeat(65_000);
    let message = self::message(
        &options("a/long/prefix/{channel}/{channel}"),
        &long,
        Data::None,
    );
    assert!(message.check(None).is_err());
}

#[test]
fn options_that_cannot_be_are_refused() {
    for topic in ["events/+", "events/#/x", "a\0b"] {
        assert!(
            matches!(start("mqtt", options(topic)), Err(MqttError::Topic)),
            "{topic}"
        );
    }
    let old = MqttOptions {
        version: MqttVersion::V311,
        message_expiry: Some(1),
        ..options("t")
    };
    assert!(matches!(start("mqtt", old), Err(MqttError::OfVersion5(_))));
    let untrusted = MqttOptions {
        tls: Some(MqttTls {
            trust: Some(b"no certificates".to_vec()),
            ..MqttTls::default()
        }),
        ..options("t")
    };
    assert!(matches!(start("mqtt", untrusted), Err(MqttError::Trust(_))));
}
