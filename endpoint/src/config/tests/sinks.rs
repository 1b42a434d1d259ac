//! Sinks that reach other systems.

use std::path::PathBuf;
use std::time::Duration;

use landfall_events::sink::http::HttpMode;
use landfall_events::sink::mqtt::{MqttMode, MqttVersion};

use super::{refuses_more, with};
use crate::config::{
    HttpLogIn, HttpSinkConfig, Identity, Material, MqttSinkConfig, NatsLogIn, Secret, SinkKind,
};

fn kind(keys: &str) -> SinkKind {
    let mut config = with(&format!("[[sinks]]\nname = 'far'\n{keys}"));
    config.sinks.remove(0).kind
}

fn http(keys: &str) -> HttpSinkConfig {
    match kind(&format!("type = 'http'\n{keys}")) {
        SinkKind::Http(config) => *config,
        other => panic!("{other:?}"),
    }
}

fn mqtt(keys: &str) -> MqttSinkConfig {
    match kind(&format!("type = 'mqtt'\n{keys}")) {
        SinkKind::Mqtt(config) => *config,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refuses(keys: &str, line: usize, parts: &[&str]) {
    refuses_more(&format!("[[sinks]]\nname = 'far'\n{keys}"), line, parts);
}

#[test]
fn http_has_its_keys() {
    let config = http(
        "url = 'https://example.com/in/{application}'\nmode = 'batch'\nusername = 'me'\n\
         password_file = 'pw'\ntimeout = '3s'\nconcurrency = 2\nbatch_events = 7\n\
         batch_bytes = '2KiB'\nqueue_bytes = '2MiB'\nheaders = { x-key = 'k' }\n\
         [sinks.tls]\ntrust = 'ca.pem'\nkey_store = '/store.p12'\nkey_store_password = 'p'\n",
    );
    assert_eq!(config.mode, HttpMode::Batch);
    let password = Secret::File(PathBuf::from("/etc/landfall/pw"));
    assert_eq!(
        config.authorization,
        HttpLogIn::Basic("me".to_owned(), password)
    );
    assert_eq!(config.timeout, Duration::from_secs(3));
    assert_eq!(
        (
            config.concurrency.get(),
            config.batch_events,
            config.batch_bytes
        ),
        (2, 7, 2048)
    );
    let trust = config.tls.trust.unwrap();
    assert_eq!(
        trust.material,
        Material::File("/etc/landfall/ca.pem".into())
    );
    let Some(Identity::Store(store)) = config.tls.identity else {
        panic!("a key store")
    };
    assert_eq!(store.material, Material::File("/store.p12".into()));
    assert_eq!(store.password, Some(Secret::Text("p".to_owned())));

    let least = http("url = 'http://localhost/'\n");
    assert_eq!(least.mode, HttpMode::Binary);
    assert_eq!(least.authorization, HttpLogIn::None);
    assert_eq!((least.batch_events, least.batch_bytes), (100, 1 << 20));
}

#[test]
fn http_refuses_what_cannot_be() {
    let url = "type = 'http'\nurl = 'http://localhost/'\n";
    refuses("type = 'http'\n", 4, &["url"]);
    refuses("type = 'http'\nurl = 'ftp://x/'\n", 4, &["`url`", "http"]);
    refuses("type = 'http'\nurl = 'http://{device}/'\n", 4, &["host"]);
    refuses(
        "type = 'http'\nurl = 'http://x/{devise}'\n",
        4,
        &["{devise}"],
    );
    refuses(
        "type = 'http'\nurl = 'http://me:s3cret@x/'\n",
        4,
        &["user name"],
    );
    refuses(
        &format!("{url}bearer_token = 'a'\nbearer_token_file = 'b'\n"),
        4,
        &["bearer_token"],
    );
    refuses(&format!("{url}username = 'a'\n"), 4, &["belong together"]);
    refuses(&format!("{url}retries = 3\n"), 8, &["`retries`"]);
    refuses(
        &format!("{url}[sinks.tls]\ncertificate = 'a'\n"),
        8,
        &["belong together"],
    );
    refuses(
        &format!("{url}[sinks.tls]\ntrust = 'a'\ntrust_data = 'b'\n"),
        8,
        &["keep one"],
    );
    refuses(
        &format!("{url}[sinks.tls]\nkey_store_password = 'b'\n"),
        8,
        &["no tls.key_store"],
    );
}

#[test]
fn mqtt_has_its_keys() {
    let config = mqtt(
        "url = 'mqtts://broker.example'\nclient_id_prefix = 'gate'\n\
         topic = '{application}/{channel}'\nmode = 'structured'\nretain = true\n\
         message_expiry = '1h'\nresponse_topic = 'answers'\nsession_expiry = -1\n\
         username = 'me'\npassword = 'pw'\ntimeout = '2s'\nreconnect_attempts = 5\n\
         maximum_packet_size = '1MiB'\nwindow = 9\n[sinks.tls]\nany_host_name = true\n",
    );
    assert_eq!(
        (config.broker.host.as_str(), config.broker.port),
        ("broker.example", 8883)
    );
    assert!(config.broker.tls && config.tls.any_host_name && config.retain);
    assert_eq!(config.mode, MqttMode::Structured);
    assert_eq!(config.message_expiry, Some(3_600));
    assert_eq!(config.session_expiry, None);
    assert_eq!(config.reconnect_attempts, Some(5));
    assert_eq!(config.maximum_packet_size, Some(1 << 20));

    let least = mqtt("url = 'mqtt://[::1]:1884'\n");
    assert_eq!(
        (least.broker.host.as_str(), least.broker.port),
        ("::1", 1884)
    );
    assert_eq!(
        (least.version, least.mode),
        (MqttVersion::V5, MqttMode::Binary)
    );
    assert_eq!(least.session_expiry, Some(86_400));
    let old = mqtt("url = 'mqtt://localhost'\nversion = '3.1.1'\n");
    assert_eq!(
        (old.version, old.mode),
        (MqttVersion::V311, MqttMode::Structured)
    );
}

#[test]
fn mqtt_refuses_what_cannot_be() {
    let url = "type = 'mqtt'\nurl = 'mqtt://localhost'\n";
    refuses("type = 'mqtt'\nurl = 'tcp://x'\n", 4, &["mqtt://"]);
    refuses("type = 'mqtt'\nurl = 'mqtt://x/path'\n", 4, &["`url`"]);
    refuses(&format!("{url}topic = 'a/#'\n"), 4, &["`topic`"]);
    refuses(
        &format!("{url}role = 'consumer'\n"),
        4,
        &["`role`", "producer"],
    );
    refuses(
        &format!("{url}version = '3.1.1'\nmode = 'binary'\n"),
        4,
        &["`mode`", "MQTT 5"],
    );
    refuses(
        &format!("{url}version = '3.1.1'\nmessage_expiry = '1s'\n"),
        4,
        &["message_expiry"],
    );
    refuses(
        &format!("{url}[sinks.tls]\ntrust = 'a'\n"),
        4,
        &["mqtts://"],
    );
    refuses(&format!("{url}window = 0\n"), 4, &["`window`"]);
    refuses(&format!("{url}username = 'a'\n"), 4, &["belong together"]);
}

#[test]
fn nats_and_kafka_have_their_keys() {
    let SinkKind::Nats(nats) = kind(
        "type = 'nats'\nservers = ['nats://a:4222', 'tls://b:4222']\nsubject = 'x.{channel}'\n\
         token_file = 'token'\n[sinks.tls]\ntrust = 'ca.pem'\n",
    ) else {
        panic!("nats")
    };
    let token = Secret::File("/etc/landfall/token".into());
    assert_eq!(nats.credentials, NatsLogIn::Token(token));
    assert_eq!(nats.tls.trust, Some("/etc/landfall/ca.pem".into()));
    refuses(
        "type = 'nats'\nservers = ['nats://a']\n[sinks.tls]\ntrust_data = 'x'\n",
        4,
        &["tls.trust_data", "NATS"],
    );
    refuses("type = 'nats'\nservers = []\n", 4, &["`servers`"]);

    #[cfg(feature = "kafka")]
    {
        let SinkKind::Kafka(kafka) = kind(
            "type = 'kafka'\nbrokers = 'a:9092,b:9092'\nusername = 'me'\npassword = 'pw'\n\
             [sinks.properties]\n'sasl.mechanism' = 'SCRAM-SHA-512'\n'linger.ms' = 5\n",
        ) else {
            panic!("kafka")
        };
        assert_eq!(kafka.properties["linger.ms"], "5");
        assert_eq!(kafka.properties["sasl.mechanism"], "SCRAM-SHA-512");
        assert_eq!(kafka.properties["security.protocol"], "sasl_ssl");
        refuses(
            "type = 'kafka'\nbrokers = 'a'\nusername = 'me'\npassword = 'pw'\n\
             [sinks.properties]\n'security.protocol' = 'ssl'\n",
            4,
            &["`username`", "sasl_ssl"],
        );
        assert!(!format!("{kafka:?}").contains("\"pw\""));
        refuses("type = 'kafka'\nbrokers = ''\n", 4, &["`brokers`"]);
        refuses(
            "type = 'kafka'\nbrokers = 'a'\ntopic = 'x-{nobody}'\n",
            4,
            &["{nobody}"],
        );
    }
}

#[test]
fn remote_sinks_may_fail_fast_and_spill() {
    let config = with(
        "[[sinks]]\nname = 'far'\ntype = 'http'\nurl = 'http://x/'\nfail_fast = true\n\
         spill = true\nspill_bytes = '2GiB'\n",
    );
    let sink = &config.sinks[0];
    assert_eq!((sink.fail_fast, sink.spill), (true, Some(2 << 30)));
    let file = config.spill_file("far");
    assert!(file.ends_with("data/spill-far.db"), "{}", file.display());
    refuses("type = 'log'\nspill = true\n", 6, &["`spill`"]);
    refuses("type = 'log'\nspill_bytes = '1KiB'\n", 7, &["spill_bytes"]);
}

#[test]
fn file_has_its_keys() {
    let SinkKind::File(file) = kind("type = 'file'\npath = 'out/events.jsonl'\nkeep = 3\n") else {
        panic!("file")
    };
    assert_eq!(file.path, PathBuf::from("/etc/landfall/out/events.jsonl"));
    assert_eq!((file.rotate_bytes, file.keep), (64 << 20, 3));
    refuses("type = 'file'\n", 4, &["path"]);
    refuses(
        "type = 'file'\npath = 'a'\nkeep = 1001\n",
        8,
        &["`keep`", "1000"],
    );
}
