use super::*;
use crate::event::Data;
use crate::record::tests::{record_of, with_draft};
use crate::template::Template;

fn of_event<T>(subject: &str, data: Data<'_>, read: impl FnOnce(&Record<'_>) -> T) -> T {
    let mut result = None;
    with_draft(subject, true, data, |draft| {
        let bytes = record_of(draft);
        result = Some(read(&Record::read(&bytes).unwrap()));
    });
    result.unwrap()
}

#[test]
fn levels_become_tokens_and_no_channel_can_break_a_subject() {
    let template = Template::parse("events.{application}.{channel}").unwrap();
    for (channel, subject) in [
        ("temp", "events.app.temp"),
        ("a/b", "events.app.a.b"),
        ("a.b c", "events.app.a%2Eb%20c"),
        ("/a//b/", "events.app.%.a.%.b.%"),
        ("*>%", "events.app.%2A%3E%25"),
        ("é", "events.app.%C3%A9"),
    ] {
        let rendered = of_event(channel, Data::None, |record| {
            template.render(record, push_subject)
        });
        assert_eq!(rendered, subject);
    }
}

#[test]
fn binary_messages_have_attributes_in_headers_and_an_id_that_streams_know_again() {
    of_event("te mp", Data::Binary(b"\xff"), |record| {
        let (headers, body) = message(record, NatsMode::Binary);
        let header = |name: &str| headers.get(name).unwrap().as_str();
        assert_eq!(body, &b"\xff"[..]);
        assert_eq!(header("Nats-Msg-Id"), record.get("id"));
        assert_eq!(header("ce-specversion"), "1.0");
        assert_eq!(header("ce-subject"), "te%20mp");
        assert_eq!(header("ce-mqttretain"), "true");
        assert_eq!(header("content-type"), "text/plain");
    });
}

#[test]
fn structured_messages_are_whole_events() {
    of_event("temp", Data::Binary(b"1"), |record| {
        let (headers, body) = message(record, NatsMode::Structured);
        let event: cloudevents::Event = serde_json::from_slice(&body).unwrap();
        use cloudevents::AttributesReader as _;
        assert_eq!(event.id(), record.get("id"));
        let content_type = headers.get("content-type").unwrap();
        assert_eq!(content_type.as_str(), "application/cloudevents+json");
    });
}

#[test]
fn subjects_and_addresses_that_are_none_are_refused_and_no_password_is_shown() {
    let options = |server: &str, subject: &str| {
        NatsOptions::new(&[server.to_owned()], Template::parse(subject).unwrap())
    };
    assert!(options("nats://127.0.0.1:4222", "a.{channel}").is_ok());
    for subject in ["a..{channel}", "a.*", "a.>", "a b", ".a", "$JS.a"] {
        let error = options("nats://host", subject).unwrap_err();
        assert!(matches!(error, NatsError::Subject), "{subject}");
    }
    let error = options("http://user:secret@host", "a").unwrap_err();
    assert_eq!(
        error.to_string(),
        "server 1 is not an address like nats://host:4222"
    );
}
