//! Any text as the topic, the filter, the log-in and the command of every dialect: no panic, a
//! destination has a channel, a filter is written as it was read, and a command goes only on topics
//! that match the filter it was subscribed with.
//!
//! The input is text in five parts, separated by line ends: topic or filter, command, client id, user
//! name, password.

#![no_main]

use landfall::dialect::{self, Dialect, LogInForm, Outgoing, Own, Refused, Request};
use landfall_registry::DialectSpec;
use libfuzzer_sys::fuzz_target;

const SPECS: [DialectSpec; 6] = [
    DialectSpec::DrogueV1,
    DialectSpec::PlainTopic { device_prefix: false },
    DialectSpec::PlainTopic { device_prefix: true },
    DialectSpec::WatsonIot { auto_register: None },
    DialectSpec::AzureIotHub,
    DialectSpec::Hono,
];

/// Names that the dialects read out of topics; a gateway of Watson among them.
const OWN: [Own<'_>; 2] = [
    Own { application: "app", device: "gw" },
    Own { application: "org", device: "type:id" },
];

fuzz_target!(|input: &[u8]| {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    // What no string of MQTT holds [MQTT-1.5.4-2].
    if text.contains('\0') {
        return;
    }
    let mut parts = text.split('\n');
    let mut part = || parts.next().unwrap_or_default();
    let (topic, command, client_id, user_name, password) = (part(), part(), part(), part(), part());
    for spec in &SPECS {
        for own in OWN {
            let dialect = dialect::of(spec);
            reads_destinations(dialect, topic, own);
            delivers_where_it_was_subscribed(dialect, topic, command, own);
            answers(dialect, topic, client_id, command.as_bytes(), own);
        }
    }
    shows_no_password(client_id, user_name, password);
});

fn reads_destinations(dialect: &dyn Dialect, topic: &str, own: Own<'_>) {
    let Ok(destination) = dialect.destination(topic, own) else {
        return;
    };
    assert!(!destination.channel.is_empty());
    assert_ne!(destination.device.as_deref(), Some(""));
    let mut names: Vec<_> = destination.extensions.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), destination.extensions.len());
}

fn delivers_where_it_was_subscribed(
    dialect: &dyn Dialect,
    filter: &str,
    name: &str,
    own: Own<'_>,
) {
    let Some(inbox) = dialect.inbox(filter, own) else {
        return;
    };
    assert_eq!(&*inbox.text(), filter);
    // The hub takes no other names.
    if name.is_empty() || name.contains(['/', '+', '#']) {
        return;
    }
    for device in [own.device, "dev", "type:other"] {
        let content_type = Some("application/json");
        let command = Outgoing { own, device, name, content_type, payload: b"{}" };
        let topic = inbox.topic(&command);
        assert_eq!(inbox.covers(&command), topic.is_some());
        if let Some(topic) = topic {
            // [MQTT-3.3.2-2], [MQTT-3.3.2-3]
            assert!(!topic.contains(['+', '#']), "{topic}");
            assert!(matches(filter, &topic), "{filter} {topic}");
        }
    }
}

fn answers(dialect: &dyn Dialect, topic: &str, client_id: &str, payload: &[u8], own: Own<'_>) {
    let _ = dialect.answer(topic, payload);
    let refused = Refused {
        request: Request::Publish,
        topic,
        time: "2026-01-01T00:00:00Z",
        client_id,
        own,
        cause: dialect::Cause::Topic,
    };
    if let Some(notice) = dialect.notice(&refused) {
        serde_json::from_slice::<serde_json::Value>(&notice.payload).expect("JSON");
    }
}

fn shows_no_password(client_id: &str, user_name: &str, password: &str) {
    if user_name.is_empty() {
        return;
    }
    let claimed = |password: &str| {
        let form = LogInForm { client_id, user_name, password: Some(password.as_bytes()) };
        let (_, claimed) = dialect::claimed(&form)?;
        if let Ok(claimed) = &claimed {
            assert!(!claimed.application.is_empty() && !claimed.device.is_empty());
        }
        Some(format!("{claimed:?}"))
    };
    let (Some(shown), Some(of_another)) = (claimed(password), claimed("another password")) else {
        return;
    };
    let known = format!("{client_id}{user_name}");
    // A reason that happens to be the password is no leak: another password has it, too.
    if password.len() >= 8 && !known.contains(password) && !of_another.contains(password) {
        assert!(!shown.contains(password));
    }
}

/// Whether a topic matches a filter (MQTT 5, section 4.7).
fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(expected), Some(level)) if expected == level => {}
            _ => return false,
        }
    }
}
