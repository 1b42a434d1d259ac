//! Who may ask, and from where.

use super::*;
use crate::server::StartError;

/// The status of a GET of the applications with these headers and no others.
async fn status(fixture: &Fixture, headers: &[(&str, &str)]) -> u16 {
    let mut request = Request::builder().uri(APPS);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = send(&fixture.api, request.body(Body::empty()).unwrap()).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn refuses_a_request_without_the_token_and_says_how_to_carry_it() {
    let fixture = Fixture::new().await;
    for path in [APPS, DEVICES, EVENTS, "/api/no/such/route"] {
        let request = Request::builder().uri(path).header("host", "localhost");
        let answer = send(&fixture.api, request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"landfall\"")
        );
        answer.expect_error(401, "unauthorized");
    }
}

#[tokio::test]
async fn refuses_a_wrong_token_and_does_not_repeat_it() {
    let fixture = Fixture::new().await;
    let wrong = "0".repeat(64);
    let request = Request::builder().uri(APPS).header("host", "localhost");
    let request = request.header("authorization", format!("Bearer {wrong}"));
    let answer = send(&fixture.api, request.body(Body::empty()).unwrap()).await;
    assert!(
        answer
            .header("www-authenticate")
            .unwrap()
            .contains("error=\"invalid_token\"")
    );
    let text = answer.text();
    answer.expect_error(401, "invalid_token");
    assert!(!text.contains(&wrong), "{text}");
}

#[tokio::test]
async fn takes_the_scheme_in_any_case_and_no_other_scheme() {
    let fixture = Fixture::new().await;
    let host = ("host", "localhost");
    let with = |scheme: &str| format!("{scheme} {}", fixture.token);
    assert_eq!(
        status(&fixture, &[host, ("authorization", &with("bearer"))]).await,
        200
    );
    assert_eq!(
        status(&fixture, &[host, ("authorization", &with("BEARER"))]).await,
        200
    );
    assert_eq!(
        status(&fixture, &[host, ("authorization", &with("Basic"))]).await,
        401
    );
    assert_eq!(
        status(&fixture, &[host, ("authorization", &fixture.token)]).await,
        401
    );
}

#[tokio::test]
async fn refuses_hosts_that_are_not_loopback_on_a_loopback_bind() {
    let fixture = Fixture::new().await;
    let bearer = format!("Bearer {}", fixture.token);
    let token = ("authorization", bearer.as_str());
    for host in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:8080",
        "127.1.2.3",
        "[::1]:8080",
    ] {
        assert_eq!(
            status(&fixture, &[token, ("host", host)]).await,
            200,
            "{host}"
        );
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "[::2]",
        "",
        "a b",
    ] {
        assert_eq!(
            status(&fixture, &[token, ("host", host)]).await,
            403,
            "{host}"
        );
    }
    assert_eq!(status(&fixture, &[token]).await, 403, "no host");
    let two = [token, ("host", "localhost"), ("host", "evil.example")];
    assert_eq!(status(&fixture, &two).await, 403, "two hosts");
}

#[tokio::test]
async fn a_foreign_host_learns_nothing_of_the_token() {
    let fixture = Fixture::new().await;
    assert_eq!(status(&fixture, &[("host", "evil.example")]).await, 403);
}

#[tokio::test]
async fn refuses_pages_of_other_origins() {
    let fixture = Fixture::new().await;
    let bearer = format!("Bearer {}", fixture.token);
    let base = [
        ("authorization", bearer.as_str()),
        ("host", "localhost:8080"),
    ];
    let with = |origin| [base[0], base[1], ("origin", origin)];
    assert_eq!(status(&fixture, &with("http://localhost:8080")).await, 200);
    for origin in [
        "http://localhost:9999",
        "http://evil.example",
        "https://localhost:8080",
        "null",
    ] {
        assert_eq!(status(&fixture, &with(origin)).await, 403, "{origin}");
    }
}

#[tokio::test]
async fn any_host_may_be_named_behind_a_proxy() {
    let fixture = Fixture::with_api("bind = '127.0.0.1:0'\nbehind_proxy = true", "").await;
    let bearer = format!("Bearer {}", fixture.token);
    let headers = [
        ("authorization", bearer.as_str()),
        ("host", "landfall.example"),
    ];
    assert_eq!(status(&fixture, &headers).await, 200);
}

#[tokio::test]
async fn every_answer_forbids_caching_sniffing_and_framing() {
    let fixture = Fixture::new().await;
    for answer in [fixture.get(APPS).await, fixture.get("/nowhere").await] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}

#[tokio::test]
async fn without_a_usable_token_file_the_server_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "short").unwrap();
    let text = "data_dir = 'data'\n[[listeners]]\nbind = '127.0.0.1:0'\n\
                [api]\nbind = '127.0.0.1:0'\ntoken_file = 'token'\n";
    let config = Config::parse(text, &folder.path().join("landfall.toml"), []).unwrap();
    let refusal = Server::start(config).await.err().unwrap();
    assert!(matches!(refusal, StartError::Token(_)), "{refusal}");
}

#[tokio::test]
async fn ops_needs_no_token_but_a_loopback_host() {
    let fixture = Fixture::new().await;
    for (host, expected) in [("localhost", 200), ("evil.example", 403)] {
        for path in ["/metrics", "/health/live", "/health/ready"] {
            let request = Request::builder().uri(path).header("host", host);
            let answer = send(&fixture.ops, request.body(Body::empty()).unwrap()).await;
            answer.expect(expected);
        }
    }
}
