//! The console in a browser, as an operator uses it beside a device.

use std::fs;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::tools::authority::{Authority, Issued};
use crate::tools::browser::Page;
use crate::tools::mosquitto::{self, Subscriber};
use crate::tools::node::Script;
use crate::wire::{Client, Version};

fn start(server: &Server, browser: &Page, scenario: &str) -> Script {
    let url = format!("{}/", server.api_url());
    let token = server.token();
    Script::start_with(
        "console.mjs",
        &[&browser.devtools(), &url, scenario],
        &[("LANDFALL_TOKEN", &token)],
    )
}

#[test]
fn an_operator_sees_events_arrive_and_sends_commands_in_the_console() {
    let server = Server::shared();
    let browser = Page::open("about:blank", &[]);
    let script = start(&server, &browser, "all");
    let log = &script.log;
    let ready = log.mark();
    let publish = |arguments: &[&str]| {
        mosquitto::publish(&server, Version::V5, "sensor01", arguments).success();
    };
    log.wait_for(ready, &["ready for events"]);
    publish(&["-q", "1", "-t", "greenhouse", "-m", r#"{"celsius":21.5}"#]);
    let binary = server.folder().join("binary");
    fs::write(&binary, [0x00, 0x01, 0xfe, 0xff]).unwrap();
    publish(&["-q", "1", "-t", "firmware", "-f", binary.to_str().unwrap()]);
    log.wait_for(ready, &["paused"]);
    let mut device = Subscriber::start(
        &server,
        Version::V5,
        "sensor01",
        "command/inbox//#",
        &["-q", "1", "-i", "mosq-console"],
    );
    server.wait_published(APP, 2);
    publish(&["-q", "1", "-t", "late", "-m", "1"]);
    log.wait_for(ready, &["acknowledged"]);
    assert_eq!(
        device.message(),
        r#"command/inbox//set-temp 1 {"target":23}"#
    );
    log.wait_for(ready, &["ready to look back"]);
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    for number in 0..120 {
        gateway.publish_1("n/sensor02", format!("{{\"n\":{number}}}").as_bytes());
    }
    for number in 0..60 {
        gateway.publish_1("n", format!("{{\"own\":{number}}}").as_bytes());
    }
    log.wait_for(ready, &["done"]);
    script.success();
}

/// Requests that change something carry the page's origin, and streams are of HTTP/2.
#[test]
fn the_console_works_over_tls() {
    let authority = Authority::root("root");
    let server = Server::builder().api_over_tls(&authority).start_shared();
    let shown = fs::read_to_string(server.folder().join("api.pem")).unwrap();
    let shown = Issued {
        chain: shown,
        key: String::new(),
    };
    let browser = Page::open("about:blank", &[&shown]);
    let script = start(&server, &browser, "over-tls");
    script.log.wait_for(0, &["ready for an event"]);
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    sensor.publish_1("t", b"over-tls");
    script.log.wait_for(0, &["done"]);
    script.success();
}

/// Its files are there without a token, and are held to their policy.
#[test]
fn the_page_is_served_with_a_strict_policy() {
    let server = Server::builder().start();
    let anyone = server.api().with_token(None);
    let page = anyone.get("/").expect_status(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let script = anyone.get("/console/main.js").expect_status(200);
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    let text = page.text();
    assert!(!text.contains("<style") && !text.contains("//"), "{text}");
    anyone.get("/console/../token").expect_status(404);
    anyone.get("/api/tokens/v1alpha1/self").expect_status(401);
}

/// A name that an attacker's page makes resolve to this machine gets nothing of the console.
#[test]
fn the_page_is_not_shown_under_a_foreign_name() {
    let server = Server::builder().start();
    for path in ["/", "/console/main.js"] {
        let answer = server
            .api()
            .try_send("GET", path, &[("Host", "attacker.example")], None)
            .unwrap();
        assert_eq!(answer.status, 403, "{path}");
    }
}
