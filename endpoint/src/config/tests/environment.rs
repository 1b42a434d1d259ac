//! The environment's overrides.

use super::*;

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
    assert_eq!(config.listeners[1].bind.tcp().unwrap().port(), 1884);
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
    assert_eq!(config.listeners[10].bind.tcp().unwrap().port(), 2010);
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
