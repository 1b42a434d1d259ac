//! The command line: against a running server, and on configuration files.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::documents::{APP, SENSOR_PASSWORD, user};
use crate::harness::{Server, ports};
use crate::tools::authority::Authority;
use crate::wire::{Client, Connect, Version};

const DOCUMENTS: &str = r#"
metadata: { name: yaml-app, labels: { made: by-file } }
---
metadata: { name: sensor01, application: yaml-app }
spec:
  authentication:
    credentials:
      - pass: pw-sensor-5d1c9a70
---
metadata: { name: sensor02, application: yaml-app }
spec:
  gatewaySelector: { matchNames: [sensor01] }
"#;

pub(crate) fn text(output: &Output) -> String {
    let streams = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

#[track_caller]
pub(crate) fn succeed(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

#[track_caller]
pub(crate) fn fail(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

#[test]
fn a_file_of_documents_is_applied_once() {
    let server = Server::builder().start();
    fs::write(server.folder().join("all.yaml"), DOCUMENTS).unwrap();
    let first = succeed(&server, &["apply", "-f", "all.yaml"]);
    assert_eq!(first.matches("created").count(), 3, "{first}");
    let second = succeed(&server, &["apply", "-f", "all.yaml"]);
    assert_eq!(second.matches("unchanged").count(), 3, "{second}");

    let connect = Connect::new(Version::V5, "c", "sensor01@yaml-app", SENSOR_PASSWORD);
    let mut sensor = Client::accepted(&server, &connect);
    assert_eq!(sensor.publish_1("t/sensor02", b"1").reason(), 0);

    let changed = DOCUMENTS.replace("by-file", "by-hand");
    fs::write(server.folder().join("all.yaml"), changed).unwrap();
    let third = succeed(&server, &["apply", "-f", "all.yaml"]);
    assert_eq!(third.matches("updated").count(), 1, "{third}");
    sensor.ping();
}

#[test]
fn a_changed_password_in_a_file_is_a_change() {
    let server = Server::builder().start();
    fs::write(server.folder().join("all.yaml"), DOCUMENTS).unwrap();
    succeed(&server, &["apply", "-f", "all.yaml"]);
    let changed = DOCUMENTS.replace(SENSOR_PASSWORD, "pw-changed-88aa");
    fs::write(server.folder().join("all.yaml"), changed).unwrap();
    let report = succeed(&server, &["apply", "-f", "all.yaml"]);
    assert_eq!(report.matches("updated").count(), 1, "{report}");
    let log_in = |password: &str| {
        let connect = Connect::new(Version::V5, "c", "sensor01@yaml-app", password);
        Client::connect(&server, &connect).1.reason()
    };
    assert_eq!(log_in("pw-changed-88aa"), 0);
    assert_eq!(log_in(SENSOR_PASSWORD), 0x86);
}

#[test]
fn programs_read_what_became_of_documents_tokens_and_health_as_json() {
    let server = Server::builder().start();
    fs::write(server.folder().join("all.yaml"), DOCUMENTS).unwrap();
    let applied = json(&server, &["apply", "-f", "all.yaml", "-o", "json"]);
    let written = |device: Option<&str>| match device {
        None => json!({ "application": "yaml-app", "result": "created" }),
        Some(device) => {
            json!({ "application": "yaml-app", "device": device, "result": "created" })
        }
    };
    let expected = [None, Some("sensor01"), Some("sensor02")].map(written);
    assert_eq!(applied, Value::from(expected.to_vec()));

    succeed(&server, &["token", "create", "reader", "--role", "events"]);
    let tokens = json(&server, &["token", "list", "-o", "json"]);
    assert_eq!(tokens[0]["name"], "reader", "{tokens:#}");
    assert_eq!(tokens[0]["roles"], json!(["events"]), "{tokens:#}");

    let ops = format!("http://127.0.0.1:{}", server.ops_port());
    let health = json(&server, &["health", "--url", &ops, "-o", "json"]);
    assert_eq!(health, json!({ "status": "ready" }));
}

#[test]
fn programs_read_failures_as_json_beside_the_exit_code() {
    let sink = "[[sinks]]\nname = \"backend\"\ntype = \"mqtt\"\nurl = \"mqtt://127.0.0.1:1\"\n";
    let builder = Server::builder().without_log_sink().settings(sink);
    let server = builder.unready().start();
    server.wait_not_ready("sink backend");
    let ops = format!("http://127.0.0.1:{}", server.ops_port());
    let health = server.cli(&["health", "--url", &ops, "-o", "json"]);
    assert_eq!(health.status.code(), Some(1), "{}", text(&health));
    let said: Value = serde_json::from_slice(&health.stdout).unwrap();
    assert_eq!(said["status"], "not ready");
    let reason = said["reasons"][0].as_str().unwrap();
    assert!(reason.starts_with("sink backend"), "{said:#}");

    let orphan = "metadata: { name: sensor01, application: nowhere }\n";
    fs::write(server.folder().join("orphan.yaml"), orphan).unwrap();
    let refused = server.cli(&["apply", "-f", "orphan.yaml", "-o", "json"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let written: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(written, json!([]));
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn one_invalid_document_stops_all_before_any_change() {
    let server = Server::builder().start();
    let broken = DOCUMENTS.replace("matchNames: [sensor01]", "matchNames: 7");
    fs::write(server.folder().join("broken.yaml"), broken).unwrap();
    let message = fail(&server, &["apply", "-f", "broken.yaml"]);
    for part in ["broken.yaml", "sensor02", "matchNames"] {
        assert!(message.contains(part), "no {part} in: {message}");
    }
    assert!(!message.contains(SENSOR_PASSWORD), "{message}");
    let apps = server.api().get("/api/registry/v1alpha1/apps").json();
    assert_eq!(apps.as_array().map(Vec::len), Some(0), "{apps:#}");
}

#[test]
fn a_folder_of_yaml_and_json_is_applied() {
    let server = Server::builder().start();
    let folder = server.folder().join("documents");
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join("1-app.json"),
        r#"{"metadata":{"name":"yaml-app"}}"#,
    )
    .unwrap();
    let device = DOCUMENTS.split("---").nth(1).unwrap();
    fs::write(folder.join("2-device.yaml"), device).unwrap();
    let report = succeed(&server, &["apply", "-f", "documents"]);
    assert_eq!(report.matches("created").count(), 2, "{report}");
}

#[test]
fn get_shows_and_delete_removes() {
    let server = Server::shared();
    assert!(succeed(&server, &["get", "app"]).contains(APP));
    let devices = succeed(&server, &["get", "device", APP]);
    for device in ["sensor01", "gateway01", "sensor02"] {
        assert!(devices.contains(device), "{devices}");
    }
    let one = succeed(&server, &["get", "device", APP, "sensor02"]);
    assert!(one.contains("gateway01"), "{one}");
    assert!(!succeed(&server, &["get", "device", APP, "sensor01"]).contains(SENSOR_PASSWORD));

    succeed(&server, &["delete", "device", APP, "sensor01"]);
    fail(&server, &["get", "device", APP, "sensor01"]);
    fail(&server, &["delete", "device", APP, "sensor01"]);
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), SENSOR_PASSWORD);
    assert_eq!(Client::connect(&server, &connect).1.reason(), 0x86);
    succeed(&server, &["delete", "app", APP]);
    fail(&server, &["get", "app", APP]);
}

#[test]
fn command_prints_the_outcome() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    assert_eq!(sensor.subscribe("command/inbox//#", 1), 1);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| succeed(&server, &["command", APP, "sensor01", "blink"]));
        assert_eq!(sensor.take_command().topic, "command/inbox//blink");
        assert!(sender.join().unwrap().contains("acknowledged"));
    });
    let message = fail(&server, &["command", APP, "sensor02", "blink"]);
    assert!(!message.is_empty());
}

#[test]
fn an_api_that_is_not_there_is_said_with_how_to_name_another() {
    let url = format!("http://127.0.0.1:{}/", ports::free());
    let said = fail(&Server::shared(), &["get", "apps", "--url", &url]);
    assert!(
        said.contains(&format!("cannot reach the API at {url}: ")),
        "{said}"
    );
    assert!(said.contains("--url or LANDFALL_URL"), "{said}");
}

#[test]
fn a_wrong_token_is_said_plainly() {
    let server = Server::shared();
    let output = server.cli(&["get", "app", "--token", "wrong-token-41d7"]);
    assert!(!output.status.success());
    assert!(
        text(&output).to_lowercase().contains("token"),
        "{}",
        text(&output)
    );
    assert!(
        !text(&output).contains("wrong-token-41d7"),
        "{}",
        text(&output)
    );
}

#[test]
fn check_config_names_what_is_wrong_and_where() {
    let server = Server::builder().start();
    let good = fs::read_to_string(server.folder().join("landfall.toml")).unwrap();
    succeed(&server, &["check-config", "landfall.toml"]);
    for (bad, parts) in [
        (
            good.replace("transport", "transprot"),
            ["transprot", "bad.toml"],
        ),
        (
            good.replace("\"mqtt\"", "\"carrier-pigeon\""),
            ["carrier-pigeon", "bad.toml"],
        ),
        (
            good.replace("data_dir", "data_dri"),
            ["data_dri", "bad.toml"],
        ),
        (
            good.replace("127.0.0.1", "localhost:"),
            ["localhost", "bad.toml"],
        ),
        (
            good.replace("type = \"log\"", "type = \"kafak\""),
            ["kafak", "bad.toml"],
        ),
    ] {
        assert_ne!(bad, good);
        fs::write(server.folder().join("bad.toml"), bad).unwrap();
        let message = fail(&server, &["check-config", "bad.toml"]);
        for part in parts {
            assert!(message.contains(part), "no {part} in: {message}");
        }
    }
}

#[test]
fn an_api_beyond_loopback_needs_tls_or_a_proxy() {
    let server = Server::builder().start();
    let good = fs::read_to_string(server.folder().join("landfall.toml")).unwrap();
    let open = good.replace("[api]\nbind = \"127.0.0.1", "[api]\nbind = \"0.0.0.0");
    assert_ne!(open, good);
    fs::write(server.folder().join("open.toml"), &open).unwrap();
    let message = fail(&server, &["check-config", "open.toml"]);
    assert!(
        message.contains("behind_proxy") && message.contains("[api.tls]"),
        "{message}"
    );
    let issued = Authority::root("root").server(&["localhost"]);
    fs::write(server.folder().join("api.pem"), issued.chain).unwrap();
    fs::write(server.folder().join("api.key"), issued.key).unwrap();
    let tls = "[api.tls]\ncertificate = \"api.pem\"\nkey = \"api.key\"\n";
    fs::write(server.folder().join("tls.toml"), format!("{open}{tls}")).unwrap();
    let message = succeed(&server, &["check-config", "tls.toml"]);
    assert!(!message.contains("warning"), "{message}");
    let proxy = open.replace("[api]\n", "[api]\nbehind_proxy = true\n");
    fs::write(server.folder().join("proxy.toml"), proxy).unwrap();
    succeed(&server, &["check-config", "proxy.toml"]);
    fs::write(server.folder().join("api.key"), "no key").unwrap();
    let message = fail(&server, &["check-config", "tls.toml"]);
    assert!(
        message.contains("[api.tls]") && message.contains("api.key"),
        "{message}"
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let server = Server::builder()
        .environment("LANDFALL__INSTANCE", "from-environment")
        .environment("LANDFALL__LIMITS__MAXIMUM_PACKET_SIZE", "2KiB")
        .start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    sensor.publish_1("t", b"1");
    assert_eq!(
        server.wait_published(APP, 1)[0]["instance"],
        "from-environment"
    );
    sensor.send(&[0x32, 0xFE, 0x3F]);
    sensor.expect_end(0x95);
}
