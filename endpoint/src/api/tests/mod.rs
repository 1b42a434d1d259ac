//! What callers of the API see, asked of the router without a socket.

mod access;
mod authorization;
mod bulk;
mod contract;
mod events;
mod openapi;
mod registry;
mod requests;
mod tokens;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{
    config::Config,
    server::{Server, Shared},
};

use super::{ops_router, router};

/// A server that is not run, its API, and the token.
struct Fixture {
    shared: Arc<Shared>,
    api: Router,
    ops: Router,
    token: String,
    /// Holds the bound addresses and, with the folder, the files.
    _server: Server,
    _folder: tempfile::TempDir,
}

/// An answer whose body has been read.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Fixture {
    async fn new() -> Self {
        Self::with("[ops]\nbind = '127.0.0.1:0'\n").await
    }

    /// With sections of the configuration.
    async fn with(sections: &str) -> Self {
        Self::with_api("bind = '127.0.0.1:0'", sections).await
    }

    /// With keys of `[api]`.
    async fn with_api(api: &str, sections: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "data_dir = 'data'\n[[listeners]]\nbind = '127.0.0.1:0'\n[api]\n{api}\n{sections}"
        );
        let config = Config::parse(&text, &folder.path().join("landfall.toml"), []).unwrap();
        let token_file = config.api.token_file.clone();
        let server = Server::start(config).await.unwrap();
        let shared = Arc::clone(server.shared());
        let api = router(Arc::clone(&shared));
        Self {
            api,
            ops: ops_router(Arc::clone(&shared)),
            token: std::fs::read_to_string(token_file)
                .unwrap()
                .trim()
                .to_owned(),
            shared,
            _server: server,
            _folder: folder,
        }
    }

    /// With application `app`.
    async fn with_app() -> Self {
        let fixture = Self::new().await;
        fixture.post(APPS, APP).await.expect(201);
        fixture
    }

    /// Creates a token by its document and returns its text.
    async fn create_token(&self, document: &Value) -> String {
        let created = self.post(TOKENS, &document.to_string()).await.expect(201);
        created.json()["secret"].as_str().unwrap().to_owned()
    }

    /// The same server, asked with another token.
    fn asking_with(self, token: String) -> Self {
        Self { token, ..self }
    }

    /// A request that lacks nothing, to change and to send.
    fn request(&self, method: &str, uri: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "127.0.0.1:8080")
            .header("authorization", format!("Bearer {}", self.token))
    }

    async fn get(&self, uri: &str) -> Answer {
        send(
            &self.api,
            self.request("GET", uri).body(Body::empty()).unwrap(),
        )
        .await
    }

    async fn delete(&self, uri: &str) -> Answer {
        send(
            &self.api,
            self.request("DELETE", uri).body(Body::empty()).unwrap(),
        )
        .await
    }

    async fn post(&self, uri: &str, json: &str) -> Answer {
        self.write("POST", uri, "application/json", json).await
    }

    async fn put(&self, uri: &str, json: &str) -> Answer {
        self.write("PUT", uri, "application/json", json).await
    }

    async fn write(&self, method: &str, uri: &str, content_type: &str, body: &str) -> Answer {
        let request = self
            .request(method, uri)
            .header("content-type", content_type);
        send(
            &self.api,
            request.body(Body::from(body.to_owned())).unwrap(),
        )
        .await
    }
}

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let answer = Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.into(),
    };
    contract::check(&method, &path, &answer);
    answer
}

impl Answer {
    /// The answer, if it has this status.
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// An error of this status and code, with a message for people; the message is returned.
    #[track_caller]
    fn expect_error(self, status: u16, code: &str) -> String {
        let error = self.expect(status).json();
        assert_eq!(error["error"], code, "{error}");
        error["message"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

const TOKENS: &str = "/api/tokens/v1alpha1/tokens";
const APPS: &str = "/api/registry/v1alpha1/apps";
const DEVICES: &str = "/api/registry/v1alpha1/apps/app/devices";
const EVENTS: &str = "/api/events/v1alpha1/apps/app";
const APP: &str = r#"{"metadata":{"name":"app"}}"#;
