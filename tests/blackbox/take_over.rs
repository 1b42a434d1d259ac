//! Several connections of one device: take-over, and how many there may be.

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::wire::{Client, Connect, Version};

fn connect(version: Version, client_id: &str) -> Connect {
    Connect::new(version, client_id, &user("sensor01"), password("sensor01"))
}

#[test]
fn the_same_client_id_takes_over_and_the_old_connection_is_told() {
    let server = Server::shared();
    for version in Version::ALL {
        let mut old = Client::accepted(&server, &connect(version, "same"));
        let mut new = Client::accepted(&server, &connect(version, "same"));
        old.expect_end(0x8E);
        new.ping();
        new.disconnect();
    }
}

#[test]
fn a_take_over_crosses_protocol_versions() {
    let server = Server::shared();
    let mut old = Client::accepted(&server, &connect(Version::V5, "same"));
    let mut new = Client::accepted(&server, &connect(Version::V311, "same"));
    old.expect_end(0x8E);
    new.ping();
}

#[test]
fn the_same_client_id_of_another_device_is_another_client() {
    let server = Server::shared();
    let mut sensor = Client::accepted(&server, &connect(Version::V5, "same"));
    let gateway = Connect::new(
        Version::V5,
        "same",
        &user("gateway01"),
        password("gateway01"),
    );
    let mut gateway = Client::accepted(&server, &gateway);
    sensor.ping();
    gateway.ping();
}

#[test]
fn four_connections_of_a_device_live_and_a_fifth_ends_the_oldest() {
    let server = Server::shared();
    let mut clients: Vec<Client> = ["1", "2", "3", "4"]
        .into_iter()
        .map(|id| Client::accepted(&server, &connect(Version::V5, id)))
        .collect();
    clients.iter_mut().for_each(Client::ping);
    let mut fifth = Client::accepted(&server, &connect(Version::V5, "5"));
    clients.remove(0).expect_end(0x8E);
    clients.iter_mut().for_each(Client::ping);
    fifth.ping();
}

#[test]
fn one_connection_per_device_is_drogues_rule() {
    let settings = "[limits]\nconnections_per_device = 1";
    let server = Server::builder().settings(settings).start_shared();
    let mut first = Client::accepted(&server, &connect(Version::V5, "1"));
    let mut second = Client::accepted(&server, &connect(Version::V5, "2"));
    first.expect_end(0x8E);
    second.ping();
}

#[test]
fn clients_without_an_id_get_one_of_their_own() {
    let server = Server::shared();
    let connects = [(Version::V311, ""), (Version::V5, "")];
    let mut clients: Vec<Client> = connects
        .into_iter()
        .chain(connects)
        .map(|(version, id)| Client::accepted(&server, &connect(version, id)))
        .collect();
    clients.iter_mut().for_each(Client::ping);
}

#[test]
fn connections_are_listed_with_who_where_and_over_what() {
    let server = Server::shared();
    let sensor = Client::accepted(&server, &connect(Version::V5, "listed"));
    let answer = server
        .api()
        .get(&format!("/api/connections/v1alpha1/apps/{APP}"));
    let text = answer.expect_status(200).text();
    let peer = sensor.local().to_string();
    for part in ["sensor01", "listed", &peer] {
        assert!(text.contains(part), "no {part} in {text}");
    }
}
