//! What is refused, and where it says so.

use super::*;

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
    refuses_more("[registry]\nuri = 'x'\n", 5, &["unknown field `uri`"]);
    refuses_more("[log]\nfile = 'x'\n", 5, &["unknown field `file`"]);
    refuses_more("[metrics]\n", 4, &["unknown field `metrics`"]);
    refuses_more(
        "[[sinks]]\nname = 'a'\ntype = 'blackhole'\nqueue_bytes = '1MiB'\n",
        7,
        &["unknown field `queue_bytes`"],
    );
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
        "[registry]\npassword_hash = 'sha256'\n",
        5,
        &["`sha256`", "`argon2id`", "`blake2s-random-secrets`"],
    );
    refuses_more(
        "[registry]\ncache_entries = 15\n",
        5,
        &["15 is less than 16"],
    );
    refuses_more(
        "[registry]\nverify_workers = 2000\n",
        5,
        &["between 1 and 1024"],
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
fn the_api_needs_tls_or_a_proxy_elsewhere_than_on_loopback() {
    refuses_more(
        "[api]\nbind = '0.0.0.0:8080'\n",
        5,
        &["api.bind 0.0.0.0:8080", "[api.tls]", "behind_proxy"],
    );
    refuses_more(
        "[api.tls]\ncertificate = 'api.pem'\n",
        4,
        &["missing field `key`"],
    );
    let tls = "[api]\nbind = '[::]:8080'\n[api.tls]\ncertificate = 'api.pem'\nkey = '/k'\n";
    let config = with(tls);
    let files = config.api.tls.as_ref().unwrap();
    assert_eq!(files.certificate, Path::new("/etc/landfall/api.pem"));
    assert_eq!(files.key, Path::new("/k"));
    let of_api = |warning: &String| warning.contains("api [::]:8080");
    assert!(!config.warnings().iter().any(of_api));
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
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Path::new("/nonexistent/landfall.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read config file /nonexistent/landfall.toml: ")
    );
}

#[test]
fn listeners_that_cannot_be_are_refused() {
    let tls = |keys: &str| format!("[listeners.tls]\n{keys}");
    let both = "certificate = 'a.pem'\nkey = 'a.key'\n";
    refuses_more(&tls(""), 4, &["certificate and key are missing"]);
    refuses_more(&tls("certificate = 'a.pem'\n"), 4, &["belong together"]);
    refuses_more(&tls("ca = 'a.pem'\n"), 5, &["unknown field `ca`"]);
    refuses_more(
        &tls(&format!("{both}minimum_version = '1.1'\n")),
        7,
        &["`1.1`", "\"1.2\""],
    );
    refuses_more(
        &tls(&format!("{both}cipher_suites = ['RC4-MD5']\n")),
        7,
        &["`RC4-MD5`", "TLS_AES_128_GCM_SHA256"],
    );
    for (keys, suite, why) in [
        (both, "TLS_PSK_WITH_AES_128_CCM_8", "needs psk = true"),
        (
            both,
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "needs legacy_rsa = true",
        ),
        (
            "psk = true\n",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "needs a certificate",
        ),
        (
            "psk = true\nminimum_version = '1.3'\n",
            "TLS_PSK_WITH_AES_128_CCM",
            "which minimum_version rules out",
        ),
    ] {
        let keys = tls(&format!("{keys}cipher_suites = ['{suite}']\n"));
        refuses_more(&keys, 4, &[suite, why]);
    }
    refuses_more(
        &tls(&format!(
            "{both}[[listeners.tls.certificates]]\ncertificate = 'b'\n"
        )),
        7,
        &["missing field `key`"],
    );
    refuses_more(
        "path = '/mqtt'\n",
        4,
        &["path is for transport = \"websocket\""],
    );
    refuses_more("origins = []\n", 4, &["origins is for"]);
    let websocket = "transport = 'websocket'\n";
    refuses_more(&format!("{websocket}path = 'mqtt'\n"), 5, &["URL's path"]);
    refuses_more(
        &format!("{websocket}origins = ['https://example.com/']\n"),
        5,
        &["without a path"],
    );
    refuses_more(
        "proxy_protocol = ['10.0.0.0/33']\n",
        4,
        &["`10.0.0.0/33`", "no network"],
    );
    refuses_more("connections = 0\n", 4, &["`listeners.connections`"]);
    refuses_more("accept_loops = 65\n", 4, &["1 to 64"]);
    refuses_more("tcp_keepalive = '500ms'\n", 4, &["whole number of seconds"]);
    refuses(
        "data_dir = 'd'\n[[listeners]]\nbind = 'unix:'\n",
        3,
        &["followed by a path"],
    );
    refuses(
        "data_dir = 'd'\n[[listeners]]\nbind = 'unix:a'\naccept_loops = 2\n",
        4,
        &["on an IP address"],
    );
    let twice = "[[listeners]]\nbind = 'unix:a'\n[[listeners]]\nbind = 'unix:a'\n";
    refuses_more(twice, 7, &["a listener has it"]);
}
