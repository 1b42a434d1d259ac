//! What a whole configuration means, and how a wrong one is refused.

use std::{num::NonZeroU16, path::Path, time::Duration};

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
    assert_eq!(config.sinks, [SinkConfig::default_log()]);
    assert_eq!(config.log.format, LogFormat::Human);
    assert_eq!(config.log.level, "info");
    let limits = &config.limits;
    assert_eq!(limits.connections.get(), 100_000);
    assert_eq!(limits.connections_per_device.get(), 4);
    assert_eq!(limits.subscriptions.get(), 100);
    assert_eq!(limits.command_queue.get(), 32);
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
    let config = with("anonymous_device = 'sensor%2f01@my-app'\n");
    let expected = AnonymousDevice {
        device: "sensor/01".to_owned(),
        application: "my-app".to_owned(),
    };
    assert_eq!(config.listeners[0].anonymous_device, Some(expected));
    for wrong in [
        "sensor01",
        "@app",
        "sensor01@",
        "a@b@c",
        "a%2@b",
        "a%zz@b",
        "%ff@b",
    ] {
        refuses_more(
            &format!("anonymous_device = '{wrong}'\n"),
            4,
            &["device@application"],
        );
    }
}

#[test]
fn an_anonymous_device_needs_a_loopback_bind() {
    refuses(
        "data_dir = 'd'\n[[listeners]]\nbind = '0.0.0.0:1883'\nanonymous_device = 'a@b'\n",
        4,
        &["anonymous_device", "loopback", "0.0.0.0:1883"],
    );
}

#[test]
fn unknown_keys_are_refused_by_name_and_line() {
    refuses("datadir = 'x'\n", 1, &["unknown field `datadir`"]);
    refuses_more("colour = 1\n", 4, &["unknown field `colour`"]);
    refuses_more(
        "[limits]\nconections = 5\n",
        5,
        &["unknown field `conections`"],
    );
    refuses_more("[api]\nport = 1\n", 5, &["unknown field `port`"]);
    refuses_more(
        "[ops]\nbind = '127.0.0.1:1'\nx = 1\n",
        6,
        &["unknown field `x`"],
    );
    refuses_more("[registry]\nurl = 'x'\n", 5, &["unknown field `url`"]);
    refuses_more("[log]\nfile = 'x'\n", 5, &["unknown field `file`"]);
    refuses_more("[telemetry]\n", 4, &["unknown field `telemetry`"]);
    refuses_more(
        "[[sinks]]\nname = 'a'\ntype = 'blackhole'\nqueue_bytes = '1MiB'\n",
        7,
        &["unknown field `queue_bytes`"],
    );
}

#[test]
fn what_a_later_version_has_is_refused_by_name() {
    refuses_more(
        "[listeners.tls]\ncertificate = 'x'\n",
        4,
        &["`tls`", "not available"],
    );
    refuses_more(
        "transport = 'websocket'\n",
        4,
        &["`websocket`", "not available"],
    );
    refuses_more(
        "[registry]\nstore = 'postgres'\n",
        5,
        &["`postgres`", "not available"],
    );
    for kind in ["file", "kafka", "nats", "http", "mqtt"] {
        refuses_more(
            &format!("[[sinks]]\nname = 'a'\ntype = '{kind}'\nurl = 'x'\n"),
            6,
            &[kind, "not available", "`log`, `stdout` and `blackhole`"],
        );
    }
}

#[test]
fn wrong_values_are_refused_with_their_key() {
    refuses_more("transport = 'amqp'\n", 4, &["unknown transport `amqp`"]);
    refuses_more("[limits]\nconnections = 0\n", 5, &["`limits.connections`"]);
    refuses_more(
        "[limits]\nconnections = 'many'\n",
        5,
        &["`limits.connections`"],
    );
    refuses_more(
        "[limits]\nreceive_maximum = 65536\n",
        5,
        &["`limits.receive_maximum`"],
    );
    refuses_more(
        "[limits]\nconnect_timeout = 10\n",
        5,
        &["10 has no unit", "`limits.connect_timeout`"],
    );
    refuses_more(
        "[limits]\nstall_timeout = '0s'\n",
        5,
        &["between 1s and 1h"],
    );
    refuses_more(
        "[limits]\nmaximum_packet_size = '1B'\n",
        5,
        &["between 128 and 268435460"],
    );
    refuses_more(
        "[limits]\nmaximum_keep_alive = '1500ms'\n",
        5,
        &["whole number of seconds"],
    );
    refuses_more(
        "[limits]\nmaximum_keep_alive = '1d'\n",
        5,
        &["between 1s and 65535s"],
    );
    refuses_more(
        "[api]\nbind = 'localhost:8080'\n",
        5,
        &["127.0.0.1:1883", "`api.bind`"],
    );
    refuses_more(
        "[registry]\nhash_passwords = 'yes'\n",
        5,
        &["`registry.hash_passwords`"],
    );
    refuses_more(
        "[registry]\nstore = 'mysql'\n",
        5,
        &["unknown store `mysql`"],
    );
    refuses_more("[log]\nlevel = 'landfall=loud'\n", 5, &["no log level"]);
    refuses_more("[log]\nformat = 'xml'\n", 5, &["`xml`", "`human`"]);
    refuses(
        "instance = ''\ndata_dir = 'd'\n[[listeners]]\nbind = '127.0.0.1:1'\n",
        1,
        &["1 to 255 bytes"],
    );
}

#[test]
fn what_is_missing_is_named() {
    let file = "/etc/landfall/landfall.toml: ";
    assert!(refusal("data_dir = 'x'\n").starts_with(&format!("{file}there is no [[listeners]]")));
    let no_data_dir = refusal("[[listeners]]\nbind = '127.0.0.1:1'\n");
    assert!(no_data_dir.starts_with(&format!("{file}data_dir is missing")));
    refuses(
        "data_dir = 'x'\n[[listeners]]\n",
        2,
        &["missing field `bind`"],
    );
    refuses_more("[ops]\n", 4, &["missing field `bind`"]);
    refuses_more("[[sinks]]\ntype = 'log'\n", 4, &["no `name`"]);
    refuses_more("[[sinks]]\nname = 'a'\n", 4, &["no `type`"]);
}

#[test]
fn text_that_is_not_toml_is_refused_with_its_line() {
    refuses("data_dir = 'x'\n[[listeners]\n", 2, &[]);
    refuses("data_dir = 'x'\ndata_dir = 'y'\n", 2, &["duplicate key"]);
}

#[test]
fn the_api_needs_a_proxy_elsewhere_than_on_loopback() {
    refuses_more(
        "[api]\nbind = '0.0.0.0:8080'\n",
        5,
        &["api.bind 0.0.0.0:8080", "behind_proxy"],
    );
    let config = with("[api]\nbind = '[::]:8080'\nbehind_proxy = true\n");
    assert!(config.api.behind_proxy);
    assert!(
        config
            .warnings()
            .iter()
            .any(|warning| warning.contains("api [::]:8080"))
    );
}

#[test]
fn two_sections_cannot_have_the_same_address() {
    refuses_more(
        "[[listeners]]\nbind = '127.0.0.1:1883'\n",
        5,
        &["a listener", "1883"],
    );
    refuses_more(
        "[api]\nbind = '127.0.0.1:1883'\n",
        5,
        &["[api]", "a listener has it"],
    );
    refuses_more(
        "[ops]\nbind = '127.0.0.1:8080'\n",
        5,
        &["[ops]", "[api] has it"],
    );
    let free = with("[api]\nbind = '127.0.0.1:0'\n[ops]\nbind = '127.0.0.1:0'\n");
    assert_eq!(free.api.bind.port(), 0);
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
fn sinks_that_cannot_be_are_refused() {
    let sink = |name: &str, kind: &str| format!("[[sinks]]\nname = '{name}'\ntype = '{kind}'\n");
    let two = format!("{}{}", sink("a", "stdout"), sink("a", "blackhole"));
    refuses_more(&two, 8, &["two sinks are named `a`"]);
    let logs = format!("{}{}", sink("a", "log"), sink("b", "log"));
    refuses_more(&logs, 9, &["second sink of type `log`"]);
    refuses_more(&sink("Events!", "log"), 5, &["a sink's name", "`Events!`"]);
    refuses_more(
        &sink("a", "carrier-pigeon"),
        6,
        &["unknown sink type `carrier-pigeon`"],
    );
    refuses_more(
        "[[sinks]]\nname = 'a'\ntype = 'log'\nrequired = 1\n",
        7,
        &["`required`"],
    );
    refuses_more("[[sinks]]\nname = 7\ntype = 'log'\n", 5, &["`name`"]);
    refuses_more("[sinks]\nname = 'a'\n", 4, &["[[sinks]]"]);
    let brief = format!("{}retention_age = '1s'\n", sink("a", "log"));
    refuses_more(&brief, 7, &["between 1m and"]);
}

#[test]
fn the_environment_overrides_the_file() {
    let text = format!("{LEAST}[limits]\nconnections = 5\n[[sinks]]\nname = 'a'\ntype = 'log'\n");
    let config = parse_with(
        &text,
        &[
            ("LANDFALL__INSTANCE", "edge-7"),
            ("LANDFALL__LIMITS__CONNECTIONS", "12"),
            ("LANDFALL__LIMITS__STALL_TIMEOUT", "5s"),
            ("LANDFALL__API__BEHIND_PROXY", "true"),
            ("LANDFALL__OPS__BIND", "127.0.0.1:9090"),
            ("LANDFALL__SINKS__0__TYPE", "blackhole"),
            ("LANDFALL__SINKS__1__NAME", "b"),
            ("LANDFALL__SINKS__1__TYPE", "stdout"),
            ("LANDFALL__LISTENERS__1__BIND", "127.0.0.1:1884"),
            ("LANDFALL_TOKEN", "not ours"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.instance, "edge-7");
    assert_eq!(config.limits.connections.get(), 12);
    assert_eq!(config.limits.stall_timeout, Duration::from_secs(5));
    assert!(config.api.behind_proxy);
    assert_eq!(config.ops.unwrap().bind.port(), 9090);
    assert_eq!(config.sinks[0].kind, SinkKind::Blackhole);
    assert_eq!(config.sinks[1].name, "b");
    assert_eq!(config.listeners[1].bind.port(), 1884);
}

#[test]
fn list_entries_from_the_environment_come_in_numeric_order() {
    let variables: Vec<_> = (1..=11)
        .map(|n| {
            (
                format!("LANDFALL__LISTENERS__{n}__BIND"),
                format!("127.0.0.1:{}", 2000 + n),
            )
        })
        .collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let config = parse_with(LEAST, &variables).unwrap();
    assert_eq!(config.listeners.len(), 12);
    assert_eq!(config.listeners[10].bind.port(), 2010);
}

#[test]
fn a_value_of_the_environment_in_quotes_is_a_string() {
    let quoted = parse_with(LEAST, &[("LANDFALL__INSTANCE", "\"42\"")]).unwrap();
    assert_eq!(quoted.instance, "42");
    let bare = parse_with(LEAST, &[("LANDFALL__INSTANCE", "42")]).unwrap_err();
    assert!(bare.to_string().contains("LANDFALL__INSTANCE"));
}

#[test]
fn what_the_environment_gets_wrong_is_refused_by_the_variables_name() {
    for (name, value, word) in [
        (
            "LANDFALL__LIMITS__CONNECTIONS",
            "none",
            "`limits.connections`",
        ),
        (
            "LANDFALL__LIMITS__CONECTIONS",
            "1",
            "unknown field `conections`",
        ),
        ("LANDFALL__NOTHING", "1", "unknown field `nothing`"),
        ("LANDFALL__NOTHING__AT__ALL", "1", "unknown field `nothing`"),
        ("LANDFALL__API__BIND", "0.0.0.0:80", "behind_proxy"),
        (
            "LANDFALL__LISTENERS__0__BIND",
            "here",
            "no address and port",
        ),
        (
            "LANDFALL__LISTENERS__2__BIND",
            "127.0.0.1:1",
            "the next one is number 1",
        ),
        (
            "LANDFALL__LISTENERS__BIND",
            "127.0.0.1:1",
            "number of a list entry",
        ),
        ("LANDFALL__SINKS__0__TYPE", "kafka", "no `name`"),
        ("LANDFALL__DATA_DIR__X", "1", "found string"),
        ("LANDFALL__0__X", "1", "found the number 0"),
        ("LANDFALL__", "1", "empty name"),
        ("LANDFALL__API____BIND", "1", "empty name"),
    ] {
        let message = parse_with(LEAST, &[(name, value)]).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("environment variable {name}: ")),
            "{message}"
        );
        assert!(message.contains(word), "{message}");
    }
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
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Path::new("/nonexistent/landfall.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read config file /nonexistent/landfall.toml: ")
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
    assert_eq!(explicit.limits.maximum_keep_alive, NonZeroU16::new(3_600));
    explicit.limits.maximum_keep_alive = None;
    let [listener] = explicit.listeners.as_mut_slice() else {
        panic!("one listener")
    };
    assert!(listener.anonymous_device.take().is_some());
    assert_eq!(explicit, sample);
}
