//! The registry API: resources, conflicts, secrets, and who may ask.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{
    APP, GATEWAY_PASSWORD, SENSOR_PASSWORD, application, device, password, user,
};
use crate::wire::{Client, Connect, Version};

const APPS: &str = "/api/registry/v1alpha1/apps";
const DEVICES: &str = "/api/registry/v1alpha1/apps/app/devices";
const SENSOR: &str = "/api/registry/v1alpha1/apps/app/devices/sensor01";

fn log_in(server: &Server, password: &str) -> u8 {
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), password);
    Client::connect(server, &connect).1.reason()
}

#[test]
fn resources_are_created_read_listed_replaced_and_deleted() {
    let server = Server::builder().start();
    server.create_app(&application(APP)).expect_status(201);
    server
        .create_device(APP, &device("sensor01", SENSOR_PASSWORD))
        .expect_status(201);
    let names = |list: Value| -> Vec<Value> {
        list.as_array()
            .expect("a list")
            .iter()
            .map(|item| item["metadata"]["name"].clone())
            .collect()
    };
    assert_eq!(
        names(server.api().get(APPS).expect_status(200).json()),
        [APP]
    );
    assert_eq!(
        names(server.api().get(DEVICES).expect_status(200).json()),
        ["sensor01"]
    );

    let mut document = server.api().get(SENSOR).expect_status(200).json();
    for field in ["uid", "creationTimestamp", "resourceVersion"] {
        assert!(
            document["metadata"][field].is_string(),
            "{field}: {document:#}"
        );
    }
    document["metadata"]["labels"] = json!({ "floor": "3" });
    let answer = server.api().put_json(SENSOR, &document);
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    let changed = server.api().get(SENSOR).json();
    assert_eq!(changed["metadata"]["labels"]["floor"], "3");
    assert_eq!(changed["metadata"]["uid"], document["metadata"]["uid"]);

    let answer = server.api().delete(SENSOR);
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    server.api().get(SENSOR).expect_status(404);
    server.api().delete(SENSOR).expect_status(404);
}

#[test]
fn a_name_that_is_taken_is_a_conflict() {
    let server = Server::shared();
    server.create_app(&application(APP)).expect_status(409);
    server
        .create_device(APP, &device("sensor01", "other"))
        .expect_status(409);
    assert_eq!(log_in(&server, SENSOR_PASSWORD), 0);
}

#[test]
fn a_put_on_an_older_version_is_a_conflict_and_changes_nothing() {
    let server = Server::shared();
    let mut first = server.api().get(SENSOR).json();
    let mut second = first.clone();
    first["metadata"]["labels"] = json!({ "by": "first" });
    second["metadata"]["labels"] = json!({ "by": "second" });
    assert!(server.api().put_json(SENSOR, &first).status < 300);
    server.api().put_json(SENSOR, &second).expect_status(409);
    assert_eq!(
        server.api().get(SENSOR).json()["metadata"]["labels"]["by"],
        "first"
    );
}

#[test]
fn no_read_reveals_a_secret_and_a_read_written_back_loses_none() {
    let server = Server::shared();
    let answers = [
        server.api().get(SENSOR).text(),
        server.api().get(DEVICES).text(),
    ];
    for text in &answers {
        for secret in [SENSOR_PASSWORD, GATEWAY_PASSWORD, "$argon2", "$2"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let document = server.api().get(SENSOR).json();
    let credential = &document["spec"]["authentication"]["credentials"][0]["pass"];
    assert!(credential["secretRef"].is_string(), "{document:#}");
    assert!(server.api().put_json(SENSOR, &document).status < 300);
    assert_eq!(log_in(&server, SENSOR_PASSWORD), 0);
    assert_eq!(log_in(&server, "other"), 0x86);
}

#[test]
fn plain_passwords_are_stored_hashed() {
    let server = Server::shared();
    let folder = server.folder().join("data");
    let mut searched = 0;
    for entry in std::fs::read_dir(folder).expect("the data folder") {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let found = bytes
            .windows(SENSOR_PASSWORD.len())
            .any(|w| w == SENSOR_PASSWORD.as_bytes());
        assert!(!found, "{} holds a password", path.display());
        searched += bytes.len();
    }
    assert!(searched > 0, "no file was searched");
    assert_eq!(log_in(&server, SENSOR_PASSWORD), 0);
}

#[test]
fn hashes_that_were_made_elsewhere_log_in() {
    // Of the password 'pw-hashed-2b7e', at low cost, made with Python's crypt, bcrypt and
    // argon2-cffi.
    let hashes = [
        json!({ "bcrypt": "$2b$04$oynqNpgrDwDSEBU9nMWwTOMfDbxkbfq.Qz3NdAoireyCuon.auqwe" }),
        json!({ "sha512": "$6$rounds=1000$JDZe5PPr0g6eECwn$hfjYtqKR5kvXJu/TERbp1FBxXYy/\
                           rJn36/sc3Lt1Lj/F.fPfM4gPjQ7cNIUbycEZzaGMG8/9oX34Ya2HPnSmp0" }),
        json!({ "argon2": "$argon2id$v=19$m=1024,t=1,p=1$CjRlEarzVkztQ+LkH7yk1w$\
                           L+svRf91xShaUpl8u38cmn1SUf7TFNgY3g1xumN2Bo8" }),
    ];
    for hash in hashes {
        let mut document = device("sensor01", "unused");
        document["spec"]["authentication"]["credentials"] = json!([{ "pass": hash }]);
        let server = Server::builder().start_with(APP, &[document]);
        assert_eq!(log_in(&server, "pw-hashed-2b7e"), 0, "{hash}");
        assert_eq!(log_in(&server, "pw-hashed-2b7f"), 0x86, "{hash}");
    }
}

#[test]
fn an_invalid_document_is_refused_whole_and_the_field_is_named() {
    let server = Server::shared();
    for (pointer, value, named) in [
        ("/spec/core", json!({ "disabled": "yes" }), "disabled"),
        (
            "/spec/gatewaySelector",
            json!({ "matchNames": "gateway01" }),
            "matchNames",
        ),
        (
            "/spec/authentication",
            json!({ "credentials": [{ "pas": "x" }] }),
            "credentials",
        ),
        (
            "/spec/mqtt",
            json!({ "dialect": { "type": "unheard" } }),
            "dialect",
        ),
    ] {
        let mut document = device("new", password("sensor01"));
        document["spec"][pointer.trim_start_matches("/spec/")] = value;
        let answer = server.create_device(APP, &document);
        assert_eq!(answer.status / 100, 4, "{pointer}: {}", answer.text());
        let error = answer.json();
        assert!(error["error"].is_string(), "{error:#}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(named), "{pointer}: {message}");
        server
            .api()
            .get(&format!("{DEVICES}/new"))
            .expect_status(404);
    }
}

#[test]
fn names_that_would_break_topics_or_urls_are_refused() {
    let server = Server::shared();
    for name in ["", "a/b", "a\u{0}b", "a\nb", &"x".repeat(256)] {
        let answer = server.create_device(APP, &device(name, password("sensor01")));
        assert_eq!(answer.status / 100, 4, "{name:?}: {}", answer.text());
    }
    let answer = server.create_device("nobody", &device("x", password("sensor01")));
    assert_eq!(answer.status, 404, "{}", answer.text());
}

#[test]
fn nothing_is_told_without_the_token() {
    let server = Server::shared();
    let paths = [
        ("GET", APPS),
        ("GET", SENSOR),
        ("DELETE", SENSOR),
        ("PUT", SENSOR),
        ("POST", APPS),
        ("GET", "/api/events/v1alpha1/apps/app"),
        ("GET", "/api/connections/v1alpha1/apps/app"),
        (
            "POST",
            "/api/command/v1alpha1/apps/app/devices/sensor01?command=x",
        ),
    ];
    for token in [None, Some("wrong"), Some("")] {
        let api = server.api().with_token(token);
        for (method, path) in paths {
            let body = if method == "GET" || method == "DELETE" {
                None
            } else {
                Some(&b"{}"[..])
            };
            let answer = api.send(method, path, &[("content-type", "application/json")], body);
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
            assert!(answer.json()["error"].is_string());
        }
    }
    assert_eq!(log_in(&server, SENSOR_PASSWORD), 0);
}

#[test]
fn bodies_that_are_no_documents_are_refused_in_json() {
    let server = Server::shared();
    let json = [("content-type", "application/json")];
    for body in [
        &b""[..],
        b"{",
        b"[]",
        b"\"x\"",
        b"{\"metadata\":{}}",
        &[0xFF, 0xFE],
    ] {
        let answer = server.api().send("POST", DEVICES, &json, Some(body));
        assert_eq!(answer.status / 100, 4, "{body:?}: {}", answer.text());
        assert!(answer.json()["message"].is_string());
    }
    let huge = vec![b' '; 64 << 20];
    // The server may answer before it has read all of it, or close.
    if let Ok(answer) = server.api().try_send("POST", DEVICES, &json, Some(&huge)) {
        assert_eq!(answer.status, 413, "{}", answer.text());
    }
    server.api().get(SENSOR).expect_status(200);
}
