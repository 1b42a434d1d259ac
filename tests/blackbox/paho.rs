//! paho-mqtt, the reference client in Python, over MQTT 3.1.1 and 5.

use serde_json::Value;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::tools::paho::run;

/// Channels and data of what was published, in order.
fn channels(events: &[Value]) -> Vec<(&str, &Value)> {
    events
        .iter()
        .map(|event| (event["subject"].as_str().unwrap(), &event["data"]))
        .collect()
}

#[test]
fn log_ins_are_refused_by_code() {
    run(
        &Server::shared(),
        "connecting",
        "log_ins_are_refused_by_code",
    );
}

#[test]
fn connack_announces_what_the_server_can_do() {
    run(
        &Server::shared(),
        "connecting",
        "connack_announces_what_the_server_can_do",
    );
}

#[test]
fn a_session_that_is_not_clean_is_refused_with_a_reason_string() {
    let scenario = "a_session_that_is_not_clean_is_refused_with_a_reason_string";
    run(&Server::shared(), "connecting", scenario);
}

#[test]
fn enhanced_authentication_is_refused() {
    run(
        &Server::shared(),
        "connecting",
        "enhanced_authentication_is_refused",
    );
}

#[test]
fn puback_tells_why() {
    let server = Server::shared();
    run(&server, "publishing", "puback_tells_why");
    let events = server.wait_published(APP, 2);
    assert_eq!(events[0]["device"], "sensor02");
    assert_eq!(events[1]["device"], "gateway01");
}

#[test]
fn all_levels_of_service_are_acknowledged() {
    let server = Server::shared();
    run(
        &server,
        "publishing",
        "all_levels_of_service_are_acknowledged",
    );
    let events = server.wait_published(APP, 6);
    let data: Vec<_> = events
        .iter()
        .map(|event| event["data"].as_u64().unwrap())
        .collect();
    assert_eq!(data, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn topic_aliases_stand_for_topics() {
    let server = Server::shared();
    run(&server, "publishing", "topic_aliases_stand_for_topics");
    let events = server.wait_published(APP, 4);
    let names: Vec<&str> = channels(&events)
        .iter()
        .map(|(channel, _)| *channel)
        .collect();
    assert_eq!(names, ["aliased", "aliased", "renamed", "renamed"]);
}

#[test]
fn an_alias_that_was_not_set_ends_the_connection() {
    run(
        &Server::shared(),
        "publishing",
        "an_alias_that_was_not_set_ends_the_connection",
    );
}

#[test]
fn trace_context_passes_on() {
    let server = Server::shared();
    run(&server, "publishing", "trace_context_passes_on");
    let event = &server.wait_published(APP, 1)[0];
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(event["traceparent"], parent);
    assert_eq!(event["tracestate"], "vendor=1");
}

#[test]
fn many_at_once_are_all_acknowledged_and_stored_in_order() {
    let server = Server::shared();
    run(&server, "publishing", "many_at_once_are_all_acknowledged");
    let events = server.wait_published(APP, 1_000);
    let data: Vec<u64> = events
        .iter()
        .map(|event| event["data"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (0..500).chain(0..500).collect();
    assert_eq!(data, expected);
}

#[test]
fn suback_tells_why() {
    run(&Server::shared(), "subscribing", "suback_tells_why");
}

#[test]
fn suback_of_3_1_1_has_one_failure_code() {
    run(
        &Server::shared(),
        "subscribing",
        "suback_of_3_1_1_has_one_failure_code",
    );
}

#[test]
fn shared_subscriptions_end_the_connection() {
    run(
        &Server::shared(),
        "subscribing",
        "shared_subscriptions_end_the_connection",
    );
}

#[test]
fn a_command_is_acknowledged_by_the_device() {
    run(
        &Server::shared(),
        "subscribing",
        "a_command_is_acknowledged_by_the_device",
    );
}

#[test]
fn subscription_identifiers_come_back() {
    run(
        &Server::shared(),
        "subscribing",
        "subscription_identifiers_come_back",
    );
}

#[test]
fn a_device_takes_no_more_at_once_than_its_receive_maximum() {
    let scenario = "a_device_takes_no_more_at_once_than_its_receive_maximum";
    run(&Server::shared(), "subscribing", scenario);
}

#[test]
fn the_later_connection_of_a_client_takes_over() {
    run(
        &Server::shared(),
        "subscribing",
        "the_later_connection_of_a_client_takes_over",
    );
}
