//! What a whole configuration means, and how a wrong one is refused.

#[cfg(feature = "kafka")]
mod command_sources;
mod environment;
mod refusals;
mod sinks;

use std::{num::NonZeroU16, path::Path, time::Duration};

use landfall_registry::PasswordHash;

use super::*;

const LEAST: &str = "data_dir = 'data'\n[[listeners]]\nbind = '127.0.0.1:1883'\n";

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, Path::new("/etc/landfall/landfall.toml"), variables)
}

fn parse(text: &str) -> Config {
    parse_with(text, &[]).unwrap()
}

/// The least configuration and `more`.
fn with(more: &str) -> Config {
    parse(&format!("{LEAST}{more}"))
}

/// Where and why `text` is refused.
fn refusal(text: &str) -> String {
    parse_with(text, &[]).unwrap_err().to_string()
}

#[track_caller]
fn refuses(text: &str, line: usize, words: &[&str]) {
    let message = refusal(text);
    let place = format!("/etc/landfall/landfall.toml:{line}:");
    assert!(message.starts_with(&place), "{message}");
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

/// `more` starts in line 4.
#[track_caller]
fn refuses_more(more: &str, line: usize, words: &[&str]) {
    refuses(&format!("{LEAST}{more}"), line, words);
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let config = parse(LEAST);
    assert_eq!(config.instance, "landfall");
    assert_eq!(config.data_dir, Path::new("/etc/landfall/data"));
    assert!(config.session_records);
    assert_eq!(
        config.registry_file(),
        Path::new("/etc/landfall/data/registry.db")
    );
    assert_eq!(
        config.events_file(),
        Path::new("/etc/landfall/data/events.db")
    );
    let [listener] = config.listeners.as_slice() else {
        panic!("one listener")
    };
    assert_eq!(listener.bind.to_string(), "127.0.0.1:1883");
    assert_eq!(listener.transport, Transport::Mqtt);
    assert_eq!(listener.anonymous_device, None);
    assert_eq!(config.api.bind.to_string(), "127.0.0.1:8080");
    assert_eq!(config.api.token_file, Path::new("/etc/landfall/data/token"));
    assert!(!config.api.behind_proxy);
    assert_eq!(config.ops, None);
    assert_eq!(config.registry.store, Store::Sqlite);
    assert!(config.registry.hash_passwords);
    assert_eq!(config.registry.password_hash, PasswordHash::Argon2id);
    assert_eq!(config.sinks, [SinkConfig::default_log()]);
    assert_eq!(config.log.format, LogFormat::Human);
    assert_eq!(config.log.level, "info");
    let limits = &config.limits;
    assert_eq!(limits.connections.get(), 100_000);
    assert_eq!(limits.connections_per_device.get(), 4);
    assert_eq!(limits.subscriptions.get(), 100);
    assert_eq!(limits.command_queue.get(), 32);
    assert_eq!(limits.log_in_failures_per_address, 100);
    assert_eq!(limits.log_in_failures_per_device, 10);
    assert_eq!(limits.log_in_longest_wait, Duration::from_secs(60));
    assert_eq!(limits.drain_timeout, Duration::from_secs(10));
    assert_eq!(limits.session(), landfall_protocol::Limits::default());
}

#[test]
fn every_limit_reaches_the_session() {
    let config = with(
        "[limits]\nmaximum_packet_size = '1MiB'\nreceive_maximum = 7\n\
                       topic_alias_maximum = 0\nsend_maximum = 9\nconnect_timeout = '1500ms'\n\
                       stall_timeout = '1m'\nmaximum_keep_alive = '2h'\n\
                       acknowledge_refused = true\n",
    );
    let session = config.limits.session();
    assert_eq!(session.maximum_packet_size.get(), 1 << 20);
    assert_eq!(session.receive_maximum, NonZeroU16::new(7).unwrap());
    assert_eq!(session.topic_alias_maximum, 0);
    assert_eq!(session.send_maximum, NonZeroU16::new(9).unwrap());
    assert_eq!(session.connect_timeout, 1_500);
    assert_eq!(session.stall_timeout, 60_000);
    assert_eq!(session.maximum_keep_alive, 7_200);
    assert!(session.acknowledge_refused);
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let config = with("[api]\ntoken_file = '../secrets/token'\n");
    assert_eq!(
        config.api.token_file,
        Path::new("/etc/landfall/../secrets/token")
    );
    let config = with("[api]\ntoken_file = '/run/token'\n");
    assert_eq!(config.api.token_file, Path::new("/run/token"));
}

#[test]
fn an_anonymous_device_is_read_like_a_user_name() {
    let config = with("anonymous_device = 'sensor%4001@my-app'\n");
    let expected = AnonymousDevice {
        device: "sensor@01".to_owned(),
        application: "my-app".to_owned(),
    };
    assert_eq!(config.listeners[0].anonymous_device, Some(expected));
    for wrong in ["sensor01", "@app", "sensor01@", "a@b@c", "a%2Fb@c", "%ff@b"] {
        refuses_more(
            &format!("anonymous_device = '{wrong}'\n"),
            4,
            &["device@application"],
        );
    }
}

#[test]
fn a_listener_has_every_key() {
    let config = parse(
        "data_dir = 'd'\n[[listeners]]\nbind = '[::]:8084'\ntransport = 'websocket'\n\
         path = '/devices'\norigins = ['https://app.example']\n\
         proxy_protocol = ['10.0.0.0/8', 'unix']\nconnections = 7\nconnection_rate = 9\n\
         accept_loops = 2\ntcp_keepalive = '0s'\n\
         [listeners.tls]\ncertificate = 'a.pem'\nkey = '/b.key'\nclient_certificates = true\n\
         psk = true\nminimum_version = '1.3'\nlegacy_rsa = true\n\
         cipher_suites = ['TLS_AES_128_GCM_SHA256']\n\
         [[listeners.tls.certificates]]\ncertificate = 'c.pem'\nkey = 'c.key'\n\
         [[listeners]]\nbind = 'unix:run/mqtt.sock'\nanonymous_device = 'a@b'\n",
    );
    let files = |certificate: &str, key: &str| CertificateFiles {
        certificate: certificate.into(),
        key: key.into(),
    };
    let [web, unix] = &config.listeners[..] else {
        panic!("two listeners")
    };
    assert_eq!(
        web.transport,
        Transport::WebSocket(WebSocketConfig {
            path: "/devices".to_owned(),
            origins: vec!["https://app.example".to_owned()],
        })
    );
    assert_eq!(web.proxy_protocol.len(), 2);
    assert_eq!(web.connections.unwrap().get(), 7);
    assert_eq!(web.connection_rate.unwrap().get(), 9);
    assert_eq!((web.accept_loops.get(), web.tcp_keepalive), (2, None));
    let tls = TlsConfig {
        certificates: vec![
            files("/etc/landfall/a.pem", "/b.key"),
            files("/etc/landfall/c.pem", "/etc/landfall/c.key"),
        ],
        client_certificates: true,
        psk: true,
        minimum_version: TlsVersion::V1_3,
        cipher_suites: vec!["TLS_AES_128_GCM_SHA256".to_owned()],
        legacy_rsa: true,
    };
    assert_eq!(web.tls, Some(tls));
    assert_eq!(unix.bind, Bind::Unix("/etc/landfall/run/mqtt.sock".into()));
    assert!(unix.anonymous_device.is_some());
    assert_eq!(unix.tcp_keepalive, Some(Duration::from_secs(600)));
    let warnings = config.warnings();
    assert!(warnings[0].contains("RSA key exchange"), "{warnings:?}");
    assert!(
        !warnings
            .iter()
            .any(|warning| warning.contains("clear text")),
        "{warnings:?}"
    );
}

#[test]
fn sinks_are_read_with_the_keys_of_their_type() {
    let config = with(
        "[[sinks]]\nname = 'events'\ntype = 'log'\nretention_bytes = '10GiB'\n\
         retention_age = '30d'\nqueue_bytes = '8MiB'\n\
         [[sinks]]\nname = 'print'\ntype = 'stdout'\nrequired = false\n\
         [[sinks]]\nname = 'nowhere'\ntype = 'blackhole'\n",
    );
    let log = LogSinkConfig {
        retention_bytes: 10 << 30,
        retention_age: Duration::from_secs(30 * 86_400),
        queue_bytes: 8 << 20,
    };
    let kinds: Vec<_> = config
        .sinks
        .iter()
        .map(|sink| (&sink.kind, sink.required))
        .collect();
    assert_eq!(
        kinds,
        [
            (&SinkKind::Log(log), true),
            (
                &SinkKind::Stdout(StdoutSinkConfig {
                    queue_bytes: 64 << 20
                }),
                false
            ),
            (&SinkKind::Blackhole, true),
        ]
    );
}

#[test]
fn warns_of_clear_text_and_of_events_that_can_be_lost() {
    assert_eq!(parse(LEAST).warnings(), Vec::<String>::new());
    let config = parse(
        "data_dir = 'd'\n[[listeners]]\nbind = '0.0.0.0:1883'\n\
         [[sinks]]\nname = 'a'\ntype = 'log'\nrequired = false\n",
    );
    let warnings = config.warnings();
    assert!(
        warnings[0].contains("listener 0.0.0.0:1883"),
        "{warnings:?}"
    );
    assert!(
        warnings[1].contains("no required sink is durable"),
        "{warnings:?}"
    );
}

#[test]
fn the_sample_is_valid_and_shows_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/landfall.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let sample = Config::parse(&text, &path, []).unwrap();
    assert_eq!(sample.data_dir, Path::new("/var/lib/landfall"));
    // Every option that the sample leaves in a comment is shown with its default.
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix("#: ") {
            Some(option) => format!("{option}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    let mut explicit = Config::parse(&uncommented, &path, []).unwrap();
    // Depends on the machine.
    explicit.registry.verify_workers = sample.registry.verify_workers;
    assert!(explicit.registry.ca_certificates.take().is_some());
    assert_eq!(explicit.limits.maximum_keep_alive, NonZeroU16::new(3_600));
    explicit.limits.maximum_keep_alive = None;
    assert!(explicit.limits.connections_per_application.take().is_some());
    assert!(explicit.limits.publish_rate.take().is_some());
    assert!(explicit.limits.publish_byte_rate.take().is_some());
    assert!(explicit.limits.server_reference.take().is_some());
    assert!(explicit.telemetry.take().is_some());
    assert!(explicit.api.tls.take().is_some());
    let example = explicit.listeners.pop().unwrap();
    let [listener] = explicit.listeners.as_mut_slice() else {
        panic!("one listener and one example")
    };
    assert!(listener.anonymous_device.take().is_some());
    assert!(listener.connections.take().is_some());
    assert!(listener.connection_rate.take().is_some());
    let tls = TlsConfig {
        certificates: example.tls.as_ref().unwrap().certificates.clone(),
        ..TlsConfig::default()
    };
    assert_eq!(example.tls, Some(tls));
    assert_eq!(explicit, sample);
}

#[test]
fn every_key_of_the_sample_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sample = std::fs::read_to_string(root.join("deploy/landfall.toml")).unwrap();
    let manual = std::fs::read_to_string(root.join("docs/configuration.md")).unwrap();
    let lines = sample.lines().map(|line| line.trim_start_matches("#: "));
    let keys = lines.filter_map(|line| line.split_once(" = ").map(|(key, _)| key));
    let keys: Vec<_> = keys.filter(|key| !key.starts_with('#')).collect();
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        assert!(manual.contains(&format!("| `{key}` |")), "{key}");
    }
}

#[test]
fn a_postgres_registry_needs_a_url_and_never_shows_its_password() {
    let section = "[registry]\nstore = 'postgres'\nca_certificates = 'ca.pem'\n";
    let url = (
        "LANDFALL__REGISTRY__URL",
        "postgres://u:s3cret@db.example/registry",
    );
    let config = parse_with(&format!("{LEAST}{section}"), &[url]).unwrap();
    assert_eq!(config.registry.store, Store::Postgres);
    let ca = config.registry.ca_certificates.as_deref();
    assert_eq!(ca, Some(Path::new("/etc/landfall/ca.pem")));
    assert!(!format!("{config:?}").contains("s3cret"));
    let plain_listener = config.warnings().len();

    let told = refusal(&format!("{LEAST}{section}"));
    assert!(
        told.contains("no url") && told.contains("LANDFALL__REGISTRY__URL"),
        "{told}"
    );
    let told = refusal(&format!(
        "{LEAST}[registry]\nurl = 'postgres://u:s3cret@h/d'\n"
    ));
    assert!(
        told.contains("its store is \"sqlite\"") && !told.contains("s3cret"),
        "{told}"
    );
    let told = refusal(&format!(
        "{LEAST}{section}url = 'postgres://u:s3cret@h:port/d'\n"
    ));
    assert!(
        told.contains("landfall.toml:7:") && told.contains("is no PostgreSQL URL"),
        "{told}"
    );
    assert!(!told.contains("s3cret"), "{told}");

    let open = format!("{LEAST}{section}url = 'postgres://u@db.example/d?sslmode=disable'\n");
    let warnings = parse(&open).warnings();
    assert_eq!(warnings.len(), plain_listener + 1, "{warnings:?}");
}
