//! Requests that are wrong in themselves, and the smaller routes.

use super::*;

const COMMAND: &str = "/api/command/v1alpha1/apps/app/devices/sensor01";

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let fixture = Fixture::new().await;
    for path in [
        "/console/",
        "/api/",
        "/api/registry/v1alpha1/apps/",
        "/api/registry/v2/apps",
        "/metrics",
    ] {
        fixture.get(path).await.expect_error(404, "no_such_route");
    }
}

#[tokio::test]
async fn a_wrong_method_is_said_in_json_with_the_right_ones() {
    let fixture = Fixture::new().await;
    let answer = fixture.delete(APPS).await;
    assert!(answer.header("allow").unwrap().contains("POST"));
    answer.expect_error(405, "method_not_allowed");
    fixture
        .get(COMMAND)
        .await
        .expect_error(405, "method_not_allowed");
}

#[tokio::test]
async fn queries_are_refused_by_the_name_of_the_parameter() {
    let fixture = Fixture::with_app().await;
    for (uri, word) in [
        (format!("{APPS}?limit=0"), "limit"),
        (format!("{APPS}?limit=1001"), "limit"),
        (format!("{APPS}?limit=x"), "limit"),
        (format!("{APPS}?limits=1"), "limits"),
        (format!("{EVENTS}?after=-1"), "after"),
        (format!("{EVENTS}?from=1"), "from"),
    ] {
        let message = fixture.get(&uri).await.expect_error(400, "bad_query");
        assert!(message.contains(word), "{uri}: {message}");
    }
    for (query, word) in [
        ("", "command"),
        ("?command=x&timeout=61", "timeout"),
        ("?comand=x", "comand"),
    ] {
        let message = fixture.post(&format!("{COMMAND}{query}"), "").await;
        let message = message.expect_error(400, "bad_query");
        assert!(message.contains(word), "{query}: {message}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_utf8_is_refused() {
    let fixture = Fixture::new().await;
    fixture
        .get(&format!("{APPS}/%ff"))
        .await
        .expect_error(400, "bad_path");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let fixture = Fixture::with_app().await;
    let large = " ".repeat((1 << 20) + 1);
    fixture
        .post(APPS, &large)
        .await
        .expect_error(413, "too_large");
    let announced = fixture
        .request("POST", APPS)
        .header("content-length", (1 << 20) + 1)
        .body(Body::empty())
        .unwrap();
    send(&fixture.api, announced)
        .await
        .expect_error(413, "too_large");
    // A command's payload may be as large as a packet.
    let payload = " ".repeat(64 * 1024 + 1);
    let uri = format!("{COMMAND}?command=x");
    fixture
        .post(&uri, &payload)
        .await
        .expect_error(413, "too_large");
}

#[tokio::test]
async fn commands_that_reach_nobody_say_why() {
    let fixture = Fixture::with_app().await;
    let send = async |app: &str, device: &str, command: &str| {
        let uri = format!("/api/command/v1alpha1/apps/{app}/devices/{device}?command={command}");
        fixture.post(&uri, "{}").await
    };
    fixture
        .post(DEVICES, r#"{"metadata":{"name":"sensor01"}}"#)
        .await
        .expect(201);
    send("nobody", "sensor01", "x")
        .await
        .expect_error(404, "unknown_application");
    send("app", "nobody", "x")
        .await
        .expect_error(404, "unknown_device");
    send("app", "sensor01", "x")
        .await
        .expect_error(404, "not_connected");
    for name in ["", "a%2Fb", "%23", "%2B", "a%00"] {
        send("app", "sensor01", name)
            .await
            .expect_error(400, "bad_command_name");
    }
}

#[tokio::test]
async fn connections_of_an_application_are_a_list() {
    let fixture = Fixture::with_app().await;
    let uri = "/api/connections/v1alpha1/apps/app";
    assert_eq!(
        fixture.get(uri).await.expect(200).json(),
        serde_json::json!([])
    );
    let unknown = fixture.get("/api/connections/v1alpha1/apps/nobody").await;
    unknown.expect_error(404, "unknown_application");
}

#[tokio::test]
async fn health_and_metrics_are_served() {
    let fixture = Fixture::new().await;
    let ops = async |path: &str| {
        let request = Request::builder().uri(path).header("host", "localhost");
        send(&fixture.ops, request.body(Body::empty()).unwrap())
            .await
            .expect(200)
    };
    assert_eq!(ops("/health/ready").await.json()["status"], "ready");
    assert_eq!(ops("/health/live").await.json()["status"], "live");
    let metrics = ops("/metrics").await;
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    assert!(
        metrics
            .text()
            .contains("landfall_sink_up{sink=\"events\"} 1"),
        "{}",
        metrics.text()
    );
}
