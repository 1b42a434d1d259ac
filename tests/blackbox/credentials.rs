//! Names, aliases and user names by which a device logs in, and what ends such a connection.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{
    APP, OWN_PASSWORD as OWN, UNIQUE_USER_PASSWORD as UNIQUE, USER_PASSWORD as OTHER,
    WRONG_PASSWORD,
};
use crate::wire::{Client, Connect, Version, Will};

fn document() -> Value {
    json!({
        "metadata": { "name": "pump", "application": APP },
        "spec": {
            "alias": ["O=Example, CN=pump", "the-pump"],
            "authentication": { "credentials": [
                { "pass": OWN },
                { "user": { "username": "pump-7", "password": UNIQUE, "unique": true } },
                { "user": { "username": "operator", "password": OTHER } },
            ] },
        },
    })
}

fn server() -> Server {
    let server = Server::shared();
    server.create_device(APP, &document());
    server
}

fn edit(server: &Server, change: impl FnOnce(&mut Value)) {
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/pump");
    let mut document = server.api().get(&path).expect_status(200).json();
    change(&mut document["spec"]);
    server.api().put_json(&path, &document);
}

fn reason(server: &Server, client_id: &str, user: &str, password: &str) -> u8 {
    let connect = Connect::new(Version::V5, client_id, user, password);
    Client::connect(server, &connect).1.reason()
}

#[test]
fn a_device_connects_by_its_name_an_alias_a_unique_user_name_or_a_user_name_beside_its_name() {
    let server = server();
    let application = format!("@{APP}");
    let named = |name: &str| format!("{name}{application}");
    let mut count = 0;
    for (client_id, user, password) in [
        ("c", named("pump"), OWN),
        ("c", named("the-pump"), OWN),
        ("c", named("O=Example, CN=pump"), OWN),
        ("c", named("pump-7"), UNIQUE),
        (&*named("pump"), "pump-7".to_owned(), UNIQUE),
        (&*named("pump"), "operator".to_owned(), OTHER),
        (&*named("the-pump"), "operator".to_owned(), OTHER),
    ] {
        for version in Version::ALL {
            let connect = Connect::new(version, client_id, &user, password);
            let mut client = Client::accepted(&server, &connect);
            client.publish_1("reading", b"{}");
            client.disconnect();
            count += 1;
        }
    }
    for event in server.wait_published(APP, count) {
        assert_eq!(
            (&event["device"], &event["sender"]),
            (&json!("pump"), &json!("pump"))
        );
    }
}

#[test]
fn no_name_goes_with_another_names_password() {
    let server = server();
    let named = |name: &str| format!("{name}@{APP}");
    for (client_id, user, password) in [
        ("c", named("pump"), UNIQUE),
        ("c", named("pump"), WRONG_PASSWORD),
        ("c", named("the-pump"), UNIQUE),
        ("c", named("pump-7"), OWN),
        ("c", named("operator"), OTHER),
        ("c", named("nobody"), OWN),
        (&*named("pump"), "operator".to_owned(), OWN),
        (&*named("pump-7"), "operator".to_owned(), OTHER),
        ("pump", "operator".to_owned(), OTHER),
    ] {
        assert_eq!(
            reason(&server, client_id, &user, password),
            0x86,
            "{client_id} {user}"
        );
    }
}

#[test]
fn a_connection_ends_with_the_name_or_credential_that_let_it_in_and_only_with_these() {
    let server = server();
    let connect = |id: &str, user: &str, password: &str| {
        let connect = Connect::new(Version::V5, id, user, password);
        let will = Will::new(&format!("gone-{user}"), b"{}");
        Client::accepted(&server, &connect.will(will))
    };
    let named = |name: &str| format!("{name}@{APP}");
    let mut by_name = connect("1", &named("pump"), OWN);
    let mut by_alias = connect("2", &named("the-pump"), OWN);
    let mut by_unique_user = connect("3", &named("pump-7"), UNIQUE);
    let mut by_user = connect(&named("pump"), "operator", OTHER);

    edit(&server, |spec| {
        spec["alias"] = json!(["O=Example, CN=pump"]);
    });
    by_alias.expect_end(0x98);
    let assert_will = |count: usize, user: &str| {
        let wills = server.wait_published(APP, count);
        assert_eq!(wills[count - 1]["subject"], format!("gone-{user}"));
    };
    assert_will(1, &named("the-pump"));

    edit(&server, |spec| {
        let user = &mut spec["authentication"]["credentials"][1]["user"];
        user["unique"] = json!(false);
    });
    by_unique_user.expect_end(0x98);
    assert_will(2, &named("pump-7"));

    edit(&server, |spec| {
        let credentials = spec["authentication"]["credentials"].as_array_mut();
        credentials.unwrap().remove(2);
    });
    by_user.expect_end(0x98);
    assert_will(3, "operator");

    by_name.ping();
    edit(&server, |spec| spec["core"] = json!({ "disabled": true }));
    by_name.expect_end(0x98);
    assert_will(4, &named("pump"));
}
