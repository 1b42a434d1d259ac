//! `[[command_sources]]`.

use landfall_events::sink::mqtt::MqttVersion;

use super::*;

fn source(keys: &str) -> CommandSourceConfig {
    let config = with(&format!("[[command_sources]]\nname = 'c'\n{keys}"));
    config.command_sources.into_iter().next().unwrap()
}

fn refused(keys: &str, words: &[&str]) {
    let source = format!("[[command_sources]]\nname = 'c'\n{keys}");
    let message = refusal(&format!("{LEAST}{source}"));
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn a_kafka_source_has_the_documented_defaults() {
    let SourceKind::Kafka(kafka) = source("type = 'kafka'\nbrokers = 'k:9092'\n").kind else {
        panic!("another type")
    };
    assert_eq!(kafka.topic, "commands");
    assert_eq!(kafka.reply_topic, None);
    assert_eq!(kafka.group, "landfall");
    assert_eq!(kafka.concurrency, 1_000);
    assert!(kafka.properties.is_empty());
    let keys = "type = 'kafka'\nbrokers = 'k:9092'\nreply_topic = 'outcomes'\n\
                username = 'u'\npassword_file = 'pw'\n\
                [command_sources.properties]\n'session.timeout.ms' = 2000\n";
    let SourceKind::Kafka(kafka) = source(keys).kind else {
        panic!("another type")
    };
    assert_eq!(kafka.reply_topic.as_deref(), Some("outcomes"));
    assert_eq!(kafka.properties["session.timeout.ms"], "2000");
    assert_eq!(kafka.properties["security.protocol"], "sasl_ssl");
    let file = Secret::File("/etc/landfall/pw".into());
    assert_eq!(kafka.log_in, Some(("u".to_owned(), file)));
}

#[test]
fn an_mqtt_source_has_the_documented_defaults() {
    let SourceKind::Mqtt(mqtt) = source("type = 'mqtt'\nurl = 'mqtt://b'\n").kind else {
        panic!("another type")
    };
    assert_eq!((mqtt.broker.host.as_str(), mqtt.broker.port), ("b", 1883));
    assert_eq!(mqtt.version, MqttVersion::V5);
    assert_eq!(mqtt.client_id, "landfall");
    assert_eq!(mqtt.topic, "commands/+/+/+");
    assert!(mqtt.shared);
    assert_eq!(mqtt.session_expiry, 86_400);
    assert_eq!(mqtt.concurrency, 1_000);
}

#[test]
fn what_a_source_cannot_be_is_refused_by_name() {
    let kafka = "type = 'kafka'\nbrokers = 'k:9092'\n";
    let mqtt = "type = 'mqtt'\nurl = 'mqtt://b'\n";
    refused("type = 'amqp'\n", &["amqp"]);
    refused(
        &format!("{kafka}reply_topic = 'commands'\n"),
        &["reply_topic"],
    );
    refused(&format!("{kafka}topic = 'a b'\n"), &["`topic`"]);
    refused(&format!("{kafka}group = ''\n"), &["`group`"]);
    refused(&format!("{kafka}concurrency = 0\n"), &["concurrency"]);
    refused(&format!("{kafka}subject = 'x'\n"), &["subject"]);
    refused(&format!("{kafka}username = 'u'\n"), &["belong together"]);
    refused("type = 'kafka'\nbrokers = ' '\n", &["`brokers`"]);
    refused(&format!("{mqtt}topic = 'a/#/b'\n"), &["`topic`"]);
    refused(&format!("{mqtt}topic = '$share/x/y'\n"), &["`topic`"]);
    refused(&format!("{mqtt}client_id = 'a/b'\n"), &["`client_id`"]);
    refused(&format!("{mqtt}tls = {{}}\n"), &["mqtts://"]);
    refused("type = 'mqtt'\nurl = 'http://b'\n", &["`url`"]);
    let two = "[[command_sources]]\nname = 'c'\ntype = 'mqtt'\nurl = 'mqtt://b'\n";
    let message = refusal(&format!("{LEAST}{two}{two}"));
    assert!(message.contains("two command sources"), "{message}");
}
