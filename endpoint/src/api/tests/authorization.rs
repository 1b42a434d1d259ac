//! Every operation, asked by every role, for its own application and another one.

use std::collections::BTreeSet;

use serde_json::json;

use super::{openapi::operations, *};

/// Which roles an operation takes, beside `admin`.
const TABLE: &[(&str, &[&str])] = &[
    ("GET /api/openapi.json", &["registry", "command", "events"]),
    ("GET /api/registry/v1alpha1/apps", &["registry"]),
    ("POST /api/registry/v1alpha1/apps", &["registry"]),
    ("GET /api/registry/v1alpha1/apps/{app}", &["registry"]),
    ("PUT /api/registry/v1alpha1/apps/{app}", &["registry"]),
    ("DELETE /api/registry/v1alpha1/apps/{app}", &["registry"]),
    (
        "GET /api/registry/v1alpha1/apps/{app}/devices",
        &["registry"],
    ),
    (
        "POST /api/registry/v1alpha1/apps/{app}/devices",
        &["registry"],
    ),
    (
        "GET /api/registry/v1alpha1/apps/{app}/devices/{device}",
        &["registry"],
    ),
    (
        "PUT /api/registry/v1alpha1/apps/{app}/devices/{device}",
        &["registry"],
    ),
    (
        "DELETE /api/registry/v1alpha1/apps/{app}/devices/{device}",
        &["registry"],
    ),
    ("POST /api/registry/v1alpha1/bulk", &["registry"]),
    (
        "POST /api/command/v1alpha1/apps/{app}/devices/{device}",
        &["command"],
    ),
    (
        "GET /api/command/v1alpha1/apps/{app}/devices/{device}/held",
        &["command"],
    ),
    (
        "DELETE /api/command/v1alpha1/apps/{app}/devices/{device}/held/{id}",
        &["command"],
    ),
    ("GET /api/events/v1alpha1/apps/{app}", &["events"]),
    ("GET /api/events/v1alpha1/apps/{app}/history", &["events"]),
    (
        "GET /api/connections/v1alpha1/apps/{app}",
        &["registry", "command"],
    ),
    (
        "GET /api/tokens/v1alpha1/self",
        &["registry", "command", "events"],
    ),
    ("GET /api/log/v1alpha1/level", &[]),
    ("PUT /api/log/v1alpha1/level", &[]),
    ("GET /api/tokens/v1alpha1/tokens", &[]),
    ("POST /api/tokens/v1alpha1/tokens", &[]),
    ("DELETE /api/tokens/v1alpha1/tokens/{name}", &[]),
];

const ROLES: [&str; 4] = ["admin", "registry", "command", "events"];

/// Asks for an operation, for an application. What it answers but a refusal does not matter here.
async fn ask(fixture: &Fixture, token: &str, operation: &str, application: &str) -> Answer {
    let (method, path) = operation.split_once(' ').unwrap();
    let mut uri = path
        .replace("{app}", application)
        .replace("{device}", "d")
        .replace("{id}", "1")
        .replace("{name}", "nobody");
    if method == "POST" && uri.contains("/command/") {
        uri.push_str("?command=x&timeout=0");
    }
    let document = json!({ "metadata": { "name": application } }).to_string();
    let content_type = match path.ends_with("/bulk") {
        true => "application/x-ndjson",
        false => "application/json",
    };
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "localhost")
        .header("content-type", content_type)
        .header("authorization", format!("Bearer {token}"));
    send(&fixture.api, request.body(Body::from(document)).unwrap()).await
}

/// Whether the answer says that the token is not enough.
fn is_refused(answer: &Answer) -> bool {
    let text = answer.text();
    // A stream's status is sent before its documents are read.
    let in_stream = answer.status == 200 && text.contains(r#""error":"forbidden""#);
    assert_ne!(answer.status, 401, "{text}");
    answer.status == 403 || in_stream
}

#[test]
fn the_table_has_every_operation() {
    let in_table: BTreeSet<_> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(in_table, operations());
}

#[tokio::test]
async fn every_operation_lets_in_its_roles_and_no_others() {
    let fixture = Fixture::with_app().await;
    for role in ROLES {
        let token = json!({ "name": role, "roles": [role] });
        let token = fixture.create_token(&token).await;
        for (operation, roles) in TABLE {
            let may = role == "admin" || roles.contains(&role);
            let answer = ask(&fixture, &token, operation, "app").await;
            assert_eq!(
                !is_refused(&answer),
                may,
                "{role}: {operation}: {}",
                answer.text()
            );
            if !may {
                let challenge = answer.header("www-authenticate").unwrap();
                assert!(challenge.contains("insufficient_scope"), "{challenge}");
                answer.expect_error(403, "insufficient_scope");
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_some_applications_reaches_no_others() {
    let fixture = Fixture::with_app().await;
    for role in ROLES.into_iter().filter(|role| *role != "admin") {
        let token = json!({ "name": role, "roles": [role], "applications": ["app", "app2"] });
        let token = fixture.create_token(&token).await;
        for (operation, roles) in TABLE.iter().filter(|(_, roles)| roles.contains(&role)) {
            let own = ask(&fixture, &token, operation, "app").await;
            assert!(!is_refused(&own), "{role} of {roles:?}: {operation}");
            // What exists elsewhere is not told.
            for other in ["other", "app3"] {
                let concerns_it = !matches!(
                    *operation,
                    "GET /api/openapi.json"
                        | "GET /api/registry/v1alpha1/apps"
                        | "GET /api/tokens/v1alpha1/self"
                );
                let answer = ask(&fixture, &token, operation, other).await;
                assert_eq!(
                    is_refused(&answer),
                    concerns_it,
                    "{role}: {operation} {other}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_some_applications_lists_these_alone() {
    let fixture = Fixture::new().await;
    for name in ["a", "b", "c", "d"] {
        let labels = json!({ "side": if name < "c" { "left" } else { "right" } });
        let app = json!({ "metadata": { "name": name, "labels": labels } });
        fixture.post(APPS, &app.to_string()).await.expect(201);
    }
    let token = json!({"name": "t", "roles": ["registry"], "applications": ["a", "c", "d", "x"]});
    let token = fixture.create_token(&token).await;
    let fixture = fixture.asking_with(token);
    let list = async |query: &str| {
        let page = fixture.get(&format!("{APPS}{query}")).await.expect(200);
        let items = page.json();
        let names = items.as_array().unwrap().iter();
        let names: Vec<_> = names
            .map(|app| app["metadata"]["name"].to_string())
            .collect();
        (
            names.join(","),
            page.header("landfall-continue").map(str::to_owned),
        )
    };
    assert_eq!(list("").await.0, r#""a","c","d""#);
    assert_eq!(list("?labels=side=right").await.0, r#""c","d""#);
    let (first, next) = list("?limit=2").await;
    assert_eq!(first, r#""a","c""#);
    let (rest, end) = list(&format!("?limit=2&continue={}", next.unwrap())).await;
    assert_eq!((rest.as_str(), end), (r#""d""#, None));
}

#[tokio::test]
async fn secrets_are_shown_to_administrators_alone() {
    let fixture = Fixture::with_app().await;
    let device = json!({
        "metadata": { "name": "d" },
        "spec": { "authentication": { "credentials": [
            { "pass": "secret-of-d" }, { "psk": { "key": "MDEyMzQ1Njc4OWFiY2RlZg==" } },
        ] } },
    });
    fixture.post(DEVICES, &device.to_string()).await.expect(201);
    let shown = fixture.get(&format!("{DEVICES}?withSecrets=true")).await;
    let shown = shown.expect(200).text();
    assert!(shown.contains("$argon2id$") && shown.contains("MDEyMzQ1Njc4OWFiY2RlZg=="));
    assert!(!shown.contains("secretRef"), "{shown}");
    let token = json!({ "name": "t", "roles": ["registry"] });
    let token = fixture.create_token(&token).await;
    let fixture = fixture.asking_with(token);
    for uri in [
        APPS.to_owned(),
        DEVICES.to_owned(),
        format!("{DEVICES}/d"),
        format!("{APPS}/app"),
    ] {
        let answer = fixture.get(&format!("{uri}?withSecrets=true")).await;
        answer.expect_error(403, "insufficient_scope");
        let answer = fixture.get(&uri).await.expect(200).text();
        assert!(!answer.contains("argon2"), "{answer}");
    }
}
