use std::collections::BTreeMap;

use rdkafka::message::Headers as _;

use super::*;
use crate::event::Data;
use crate::record::tests::{record_of, with_draft};
use crate::template::Template;

#[test]
fn no_two_names_become_one_topic() {
    let topic = |name: &str| {
        let mut topic = String::new();
        push_topic(&mut topic, name);
        topic
    };
    assert_eq!(topic("my-app.v1"), "my-app.v1");
    assert_eq!(topic("my app"), "my_20app");
    assert_eq!(topic("my_20app"), "my_5F20app");
    assert_eq!(topic("é/x"), "_C3_A9_2Fx");
}

#[test]
fn binary_messages_have_attributes_in_headers() {
    with_draft("té mp", false, Data::Binary(b"\x00"), |draft| {
        let bytes = record_of(draft);
        let record = Record::read(&bytes).unwrap();
        let (headers, body) = message(&record, KafkaMode::Binary);
        assert_eq!(body, None, "the payload itself");
        let headers: BTreeMap<&str, &str> = headers
            .iter()
            .map(|header| {
                (
                    header.key,
                    std::str::from_utf8(header.value.unwrap()).unwrap(),
                )
            })
            .collect();
        assert_eq!(headers["ce_specversion"], "1.0");
        assert_eq!(headers["ce_subject"], "té mp");
        assert_eq!(headers["ce_id"], record.get("id"));
        assert_eq!(headers["content-type"], "text/plain");
        assert!(!headers.contains_key("ce_datacontenttype"));
    });
}

#[test]
fn properties_that_would_break_the_promise_are_refused_by_name() {
    let options = |name: &str, value: &str| {
        let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        KafkaOptions::new(Template::parse("events").unwrap(), properties)
    };
    for name in [
        "acks",
        "enable.idempotence",
        "retries",
        "message.timeout.ms",
    ] {
        let error = options(name, "secret").unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("secret"), "{error}");
    }
    let unknown = options("no.such.property", "x").unwrap();
    let error = start("k", unknown).err().unwrap().to_string();
    assert!(error.contains("no.such.property"), "{error}");
    let shown = format!("{:?}", options("sasl.password", "secret").unwrap());
    assert!(
        shown.contains("sasl.password") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn a_topic_that_no_broker_would_take_is_refused() {
    for topic in ["a b", "a/{channel}", "..", &"x".repeat(250)] {
        let topic = Template::parse(topic).unwrap();
        let error = KafkaOptions::new(topic, BTreeMap::new()).unwrap_err();
        assert!(matches!(error, KafkaSinkError::Topic));
    }
}
