//! Tokens: made once, listed without their text, gone at once.

use std::time::Duration;

use axum::body::{BodyDataStream, Bytes};
use futures_core::Stream as _;
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_token_is_shown_once_and_works() {
    let fixture = Fixture::with_app().await;
    let document = json!({
        "name": "ci", "roles": ["registry", "events"], "applications": ["app"],
        "expires": "2099-01-01T00:00:00Z",
    });
    let created = fixture
        .post(TOKENS, &document.to_string())
        .await
        .expect(201)
        .json();
    let secret = created["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("landfall_"), "recognisable");
    let list = fixture.get(TOKENS).await.expect(200);
    assert!(!list.text().contains(&secret[26..]), "{}", list.text());
    let mut listed = list.json()[0].clone();
    assert_eq!(listed["creationTimestamp"], created["creationTimestamp"]);
    listed.as_object_mut().unwrap().remove("creationTimestamp");
    assert_eq!(listed, document);
    let fixture = fixture.asking_with(secret);
    fixture.get(DEVICES).await.expect(200);
    fixture
        .get(TOKENS)
        .await
        .expect_error(403, "insufficient_scope");
}

#[tokio::test]
async fn a_token_can_ask_what_it_may() {
    let fixture = Fixture::with_app().await;
    let own = "/api/tokens/v1alpha1/self";
    let first = fixture.get(own).await.expect(200).json();
    assert_eq!(first, json!({ "name": "(token file)", "roles": ["admin"] }));
    let document = json!({ "name": "ci", "roles": ["command", "events"], "applications": ["app"] });
    let secret = fixture.create_token(&document).await;
    let fixture = fixture.asking_with(secret);
    assert_eq!(fixture.get(own).await.expect(200).json(), document);
}

#[tokio::test]
async fn an_administrators_token_makes_others() {
    let fixture = Fixture::new().await;
    let token = fixture
        .create_token(&json!({"name": "root", "roles": ["admin"]}))
        .await;
    let fixture = fixture.asking_with(token);
    fixture
        .create_token(&json!({"name": "ci", "roles": ["events"]}))
        .await;
    let again = json!({"name": "ci", "roles": ["admin"]}).to_string();
    fixture
        .post(TOKENS, &again)
        .await
        .expect_error(409, "already_exists");
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let fixture = Fixture::with_app().await;
    let bootstrap = fixture.token.clone();
    let token = fixture
        .create_token(&json!({"name": "ci", "roles": ["registry"]}))
        .await;
    let fixture = fixture.asking_with(token);
    fixture.get(APPS).await.expect(200);
    let revoke = Request::builder()
        .method("DELETE")
        .uri(format!("{TOKENS}/ci"))
        .header("host", "localhost")
        .header("authorization", format!("Bearer {bootstrap}"));
    send(&fixture.api, revoke.body(Body::empty()).unwrap())
        .await
        .expect(204);
    let refused = fixture.get(APPS).await;
    assert_eq!(
        refused.header("www-authenticate"),
        Some("Bearer realm=\"landfall\", error=\"invalid_token\"")
    );
    refused.expect_error(401, "invalid_token");
    let fixture = fixture.asking_with(bootstrap);
    let gone = fixture.delete(&format!("{TOKENS}/ci")).await;
    gone.expect_error(404, "unknown_token");
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let fixture = Fixture::with_app().await;
    let soon = std::time::SystemTime::now() + Duration::from_millis(300);
    let soon = landfall_events::event::Timestamp::from(soon).rfc3339();
    let soon = String::from_utf8_lossy(&soon).into_owned();
    let token = json!({"name": "ci", "roles": ["registry"], "expires": soon});
    let token = fixture.create_token(&token).await;
    let fixture = fixture.asking_with(token);
    while fixture.get(APPS).await.status != 401 {
        tokio::task::yield_now().await;
    }
    fixture.get(APPS).await.expect_error(401, "invalid_token");
}

#[tokio::test]
async fn documents_of_tokens_are_refused_with_the_field() {
    let fixture = Fixture::new().await;
    for (document, word) in [
        (json!({"name": "ci", "roles": []}), "roles"),
        (json!({"name": "ci", "roles": ["root"]}), "roles[0]"),
        (json!({"name": "c i", "roles": ["events"]}), "name"),
        (
            json!({"name": "ci", "roles": ["admin"], "applications": ["a"]}),
            "applications",
        ),
        (
            json!({"name": "ci", "roles": ["events"], "expires": "2020-01-01T00:00:00Z"}),
            "expires",
        ),
    ] {
        let answer = fixture.post(TOKENS, &document.to_string()).await;
        let message = answer.expect_error(400, "invalid_document");
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(fixture.get(TOKENS).await.json(), json!([]));
}

/// The next piece of a body.
async fn piece(body: &mut BodyDataStream) -> Option<Bytes> {
    let piece = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_next(cx)).await;
    piece.map(Result::unwrap)
}

/// Opens a stream of events and reads its head.
async fn open_stream(fixture: &Fixture) -> BodyDataStream {
    let request = fixture
        .request("GET", EVENTS)
        .header("accept", "text/event-stream");
    let request = request.body(Body::empty()).unwrap();
    let response = fixture.api.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body().into_data_stream();
    assert!(piece(&mut body).await.unwrap().starts_with(b"retry:"));
    body
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked_and_others_go_on() {
    let fixture = Fixture::with_app().await;
    let bootstrap = fixture.token.clone();
    let token = fixture
        .create_token(&json!({"name": "reader", "roles": ["events"]}))
        .await;
    let mut lasting = open_stream(&fixture).await;
    let fixture = fixture.asking_with(token);
    let mut revoked = open_stream(&fixture).await;
    let fixture = fixture.asking_with(bootstrap);
    fixture
        .delete(&format!("{TOKENS}/reader"))
        .await
        .expect(204);
    let end = tokio::time::timeout(Duration::from_secs(30), piece(&mut revoked)).await;
    assert!(end.expect("the stream goes on").is_none());
    let goes_on = tokio::time::timeout(Duration::ZERO, piece(&mut lasting)).await;
    assert!(goes_on.is_err(), "the other stream ended, too");
}
