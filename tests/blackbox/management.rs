//! Management from the command line: tokens, backups, imports.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, SENSOR_PASSWORD, user};
use crate::harness::wait;
use crate::wire::{Client, Connect, Version};

const DEVICES: &str = "/api/registry/v1alpha1/apps/app/devices";

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a subcommand that succeeds prints.
#[track_caller]
fn printed(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        errors(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// What a subcommand that fails says.
#[track_caller]
fn refused(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    errors(&output)
}

#[test]
fn a_token_is_created_used_listed_and_revoked() {
    let server = Server::shared();
    let create = ["token", "create", "ci", "--role", "registry", "--app", APP];
    let token = printed(&server, &create).trim().to_owned();
    assert!(token.starts_with("landfall_"), "{token}");
    let with =
        |token: &str, arguments: &[&str]| server.cli(&[arguments, &["--token", token]].concat());
    assert!(with(&token, &["get", "devices", APP]).status.success());
    let foreign = with(&token, &["get", "devices", "other"]);
    assert!(
        errors(&foreign).contains("does not hold for application"),
        "{}",
        errors(&foreign)
    );
    let events = with(&token, &["events", APP]);
    assert!(
        errors(&events).contains("needs the role events"),
        "{}",
        errors(&events)
    );

    let list = printed(&server, &["token", "list"]);
    assert!(
        list.contains("ci") && list.contains("registry") && !list.contains(&token),
        "{list}"
    );
    let twice = refused(&server, &create);
    assert!(twice.contains("already"), "{twice}");
    printed(&server, &["token", "revoke", "ci"]);
    let after = with(&token, &["get", "apps"]);
    assert!(errors(&after).contains("revoked"), "{}", errors(&after));
    refused(&server, &["token", "revoke", "ci"]);
}

#[test]
fn a_revocation_ends_an_open_stream() {
    let server = Server::shared();
    let create = [
        "token",
        "create",
        "reader",
        "--role",
        "events",
        "--expires-in",
        "1h",
    ];
    let token = printed(&server, &create).trim().to_owned();
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let server = &server;
        scope.spawn(move || {
            let arguments = ["events", APP, "--follow", "--token", &token];
            ended.send(server.cli(&arguments)).unwrap();
        });
        // The stream is open when its connection shows an event.
        let mut sensor = Client::device(server, Version::V5, "sensor01");
        sensor.publish_1("t", b"1");
        printed(server, &["token", "revoke", "reader"]);
        let output = end
            .recv_timeout(wait::DEADLINE)
            .expect("the stream goes on");
        assert_eq!(output.status.code(), Some(1));
        assert!(errors(&output).contains("revoked"), "{}", errors(&output));
    });
}

#[test]
fn a_token_survives_a_restart_of_the_server() {
    let mut server = Server::shared();
    let create = ["token", "create", "ci", "--role", "registry"];
    let token = printed(&server, &create).trim().to_owned();
    server.kill();
    server.start_again();
    let output = server.cli(&["get", "apps", "--token", &token]);
    assert!(output.status.success(), "{}", errors(&output));
}

/// Documents with every kind of secret.
const SECRETS: &str = r#"
metadata: { name: app, labels: { site: north } }
spec:
  publish:
    rules:
      - then:
          - validate:
              endpoint: { url: "http://127.0.0.1:9", auth: { bearer: { token: t-91c2 } } }
---
metadata: { name: sensor01, application: app, annotations: { note: "kept: as it is" } }
spec:
  authentication:
    credentials:
      - pass: pw-sensor-5d1c9a70
      - user: { username: pump, password: { bcrypt: $2b$04$oynqNpgrDwDSEBU9nMWwTOMfDbxkbfq.Qz3NdAoireyCuon.auqwe } }
      - psk: { key: MDEyMzQ1Njc4OWFiY2RlZg== }
  alias: ["O=Example, CN=sensor01"]
"#;

#[test]
fn a_backup_restores_everything_on_another_server() {
    let server = Server::builder().start();
    fs::write(server.folder().join("all.yaml"), SECRETS).unwrap();
    printed(&server, &["apply", "-f", "all.yaml"]);
    let file = server.folder().join("backup.yaml");
    let name = file.to_str().unwrap();
    printed(&server, &["export", "--with-secrets", "--file", name]);
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let backup = fs::read_to_string(&file).unwrap();
    for part in [
        "$argon2id$",
        "$2b$04$",
        "MDEyMzQ1Njc4OWFiY2RlZg==",
        "t-91c2",
    ] {
        assert!(backup.contains(part), "{part} is not in the backup");
    }
    assert!(!backup.contains(SENSOR_PASSWORD) && !backup.contains("secretRef"));
    refused(&server, &["export", "--with-secrets", "--file", name]);

    let other = Server::builder().start();
    printed(&other, &["apply", "-f", name]);
    let again = printed(&other, &["export", "--with-secrets"]);
    assert_eq!(again, backup, "the same backup");
    assert_eq!(
        printed(&other, &["import", name]),
        "0 created, 0 updated, 2 unchanged\n"
    );
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), SENSOR_PASSWORD);
    Client::accepted(&other, &connect);
}

#[test]
fn an_export_without_secrets_loses_none_where_it_came_from() {
    let server = Server::builder().start();
    fs::write(server.folder().join("all.yaml"), SECRETS).unwrap();
    printed(&server, &["apply", "-f", "all.yaml"]);
    let export = printed(&server, &["export", "--app", APP]);
    for secret in ["$argon2", "$2b$", "MDEyMz", "t-91c2"] {
        assert!(!export.contains(secret), "{export}");
    }
    fs::write(server.folder().join("export.yaml"), export).unwrap();
    let report = printed(&server, &["apply", "-f", "export.yaml"]);
    assert_eq!(report.matches("unchanged").count(), 2, "{report}");
    refused(&server, &["export", "--app", "nowhere"]);
}

#[test]
fn only_an_administrator_exports_secrets() {
    let server = Server::shared();
    let create = ["token", "create", "ci", "--role", "registry"];
    let token = printed(&server, &create).trim().to_owned();
    let output = server.cli(&["export", "--with-secrets", "--token", &token]);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("admin"), "{}", errors(&output));
}

/// An application and devices, one JSON text a line.
fn many(devices: usize) -> String {
    let mut text = format!("{}\n", json!({ "metadata": { "name": APP } }));
    for number in 0..devices {
        let device = json!({ "metadata": { "name": format!("d{number:05}"), "application": APP } });
        writeln!(text, "{device}").unwrap();
    }
    text
}

#[test]
fn an_import_of_many_documents_goes_on_where_it_broke_off() {
    let server = Server::builder().start();
    let file = |name: &str, text: &str| fs::write(server.folder().join(name), text).unwrap();
    // The last document is refused by the server alone: what was written before stays.
    let orphan = r#"{"metadata":{"name":"d","application":"nowhere"}}"#;
    file("broken.ndjson", &format!("{}{orphan}\n", many(2500)));
    let message = refused(&server, &["import", "broken.ndjson"]);
    assert!(message.contains("broken.ndjson, line 2502: "), "{message}");
    assert!(
        message.contains("(2000 created, 0 updated, 0 unchanged)"),
        "{message}"
    );
    file("whole.ndjson", &many(2500));
    assert_eq!(
        printed(&server, &["import", "whole.ndjson"]),
        "501 created, 0 updated, 2000 unchanged\n"
    );
    let list = server.api().get(&format!("{DEVICES}?limit=1000")).json();
    assert_eq!(list.as_array().map(Vec::len), Some(1000));
}

#[test]
fn an_import_with_an_invalid_document_changes_nothing_and_names_its_line() {
    let server = Server::builder().start();
    let invalid = r#"{"metadata":{"name":"a/b","application":"app"}}"#;
    let text = format!("{}{invalid}\n{invalid}\n", many(1500));
    fs::write(server.folder().join("all.ndjson"), text).unwrap();
    for arguments in [
        &["import", "all.ndjson"][..],
        &["import", "--dry-run", "all.ndjson"],
    ] {
        let message = refused(&server, arguments);
        assert!(message.contains("nothing was changed"), "{message}");
        for line in ["all.ndjson, line 1502: metadata.name", "line 1503"] {
            assert!(message.contains(line), "{message}");
        }
    }
    let apps = server.api().get("/api/registry/v1alpha1/apps").json();
    assert_eq!(apps, json!([]));
    fs::write(server.folder().join("good.ndjson"), many(3)).unwrap();
    assert_eq!(
        printed(&server, &["import", "--dry-run", "good.ndjson"]),
        "4 documents are valid\n"
    );
    assert_eq!(
        server.api().get("/api/registry/v1alpha1/apps").json(),
        json!([])
    );
}

#[test]
fn what_the_server_refuses_is_named_by_file_and_document_and_nothing_is_applied() {
    let server = Server::builder().start();
    let documents = "metadata: { name: app }\n---\n\
                     metadata: { name: a, application: app }\nspec: { alias: [x] }\n---\n\
                     metadata: { name: b, application: app }\nspec: { alias: [x] }\n";
    fs::write(server.folder().join("all.yaml"), documents).unwrap();
    let message = refused(&server, &["apply", "-f", "all.yaml"]);
    for part in [
        "all.yaml, document 3",
        "device app/b",
        "spec.alias[0]",
        "nothing was changed",
    ] {
        assert!(message.contains(part), "no {part} in: {message}");
    }
    let apps: Value = server.api().get("/api/registry/v1alpha1/apps").json();
    assert_eq!(apps, json!([]), "one transaction");
}

#[test]
fn lists_are_narrowed_by_labels() {
    let server = Server::builder().start();
    fs::write(server.folder().join("all.yaml"), SECRETS).unwrap();
    printed(&server, &["apply", "-f", "all.yaml"]);
    assert!(printed(&server, &["get", "apps", "-l", "site=north"]).contains(APP));
    assert!(!printed(&server, &["get", "apps", "-l", "site!=north"]).contains(APP));
}
