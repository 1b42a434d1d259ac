//! The HTTP request that becomes a WebSocket (RFC 6455, 4.2).

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::stream::WebSocket;
use crate::config::WebSocketConfig;
use crate::connection::BoxStream;
use crate::listener::Peer;
use crate::listener::rewind::Rewind;
use crate::server::Shared;

/// Request line and header fields, together.
const MOST_HEAD: usize = 16 * 1024;
const MOST_FIELDS: usize = 64;
/// Of the head (RFC 9112, 2.1).
const END: &[u8] = b"\r\n\r\n";
/// The names of MQTT (MQTT 5, 6) and, before it, of MQTT 3.1; the preferred first.
const PROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// What the upgrade of one listener is told.
pub(crate) struct Upgrader {
    /// Path and origins.
    pub(crate) config: WebSocketConfig,
    /// Largest message, in bytes.
    pub(crate) largest: u64,
    /// For the request to be complete.
    pub(crate) patience: Duration,
}

/// Why a connection did not become a WebSocket. For the log; the client got an HTTP answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// The request was refused.
    #[error("HTTP request refused: {0}")]
    Refused(&'static str),
    /// No HTTP, too large, or broken off.
    #[error("no HTTP upgrade: {0}")]
    Http(#[from] hyper::Error),
    /// The client was silent.
    #[error("closed before the first request")]
    Probe,
    /// The connection broke.
    #[error("connection lost before the HTTP request: {0}")]
    Lost(#[from] io::Error),
}

/// An answer that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    text: &'static str,
}

/// What the one request on the connection led to.
enum Outcome {
    Nothing,
    Refused(&'static str),
    Upgraded(OnUpgrade),
}

/// Reads the request, answers it, and gives the stream inside.
pub(crate) async fn upgrade(
    mut stream: Rewind<BoxStream>,
    upgrader: &Upgrader,
    peer: Peer,
    shared: &Arc<Shared>,
) -> Result<BoxStream, UpgradeError> {
    await_head(&mut stream).await?;
    let outcome = Arc::new(Mutex::new(Outcome::Nothing));
    let set = |new| *outcome.lock().unwrap_or_else(PoisonError::into_inner) = new;
    let service = service_fn(async |mut request: Request<Incoming>| {
        let answer = match judge(&request, &upgrader.config) {
            Ok((accept, protocol)) => {
                set(Outcome::Upgraded(hyper::upgrade::on(&mut request)));
                switching(&accept, protocol)
            }
            Err(refusal) => {
                set(Outcome::Refused(refusal.text));
                refused(refusal)
            }
        };
        Ok::<_, Infallible>(answer)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(upgrader.patience)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await?;
    let outcome = std::mem::replace(
        &mut *outcome.lock().unwrap_or_else(PoisonError::into_inner),
        Outcome::Nothing,
    );
    let upgraded = match outcome {
        Outcome::Nothing => return Err(UpgradeError::Probe),
        Outcome::Refused(text) => return Err(UpgradeError::Refused(text)),
        Outcome::Upgraded(upgraded) => upgraded.await?,
    };
    // It is what was handed in.
    let parts = upgraded
        .downcast::<TokioIo<Rewind<BoxStream>>>()
        .map_err(|_| UpgradeError::Refused("not this stream"))?;
    let mut stream = parts.io.into_inner();
    // What came behind the request.
    stream.put_back(parts.read_buf.to_vec());
    let socket = WebSocket::new(stream, upgrader.largest, peer, Arc::clone(shared));
    Ok(Box::new(socket))
}

/// Waits until the request's head is there, or more than one may be: hyper takes large buffers for a
/// connection, which clients that take their time should not hold.
async fn await_head(stream: &mut Rewind<BoxStream>) -> io::Result<()> {
    let mut head = Vec::new();
    let mut seen = 0;
    while head.len() <= MOST_HEAD && stream.read_more(&mut head).await? {
        let new = head.get(seen..).unwrap_or_default();
        if new.windows(END.len()).any(|bytes| bytes == END) {
            break;
        }
        // The end may stand across two reads.
        seen = head.len().saturating_sub(END.len() - 1);
    }
    stream.put_back(head);
    Ok(())
}

/// The accept key and the subprotocol, if the request may become an MQTT connection.
fn judge<B>(
    request: &Request<B>,
    config: &WebSocketConfig,
) -> Result<(String, &'static str), Refusal> {
    let refuse = |status, text| Err(Refusal { status, text });
    let headers = request.headers();
    if request.uri().path() != config.path {
        return refuse(StatusCode::NOT_FOUND, "not the path of this listener");
    }
    if request.method() != Method::GET {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "not a GET");
    }
    let upgrades = request.version() == Version::HTTP_11
        && names(headers, &CONNECTION, "upgrade")
        && names(headers, &UPGRADE, "websocket");
    if !upgrades {
        return refuse(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket for MQTT");
    }
    if !names(headers, &SEC_WEBSOCKET_VERSION, "13") {
        return refuse(
            StatusCode::UPGRADE_REQUIRED,
            "only version 13 of WebSocket is spoken",
        );
    }
    if !origin_allowed(headers, config) {
        return refuse(
            StatusCode::FORBIDDEN,
            "scripts of this origin may not connect",
        );
    }
    let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24) else {
        return refuse(StatusCode::BAD_REQUEST, "no Sec-WebSocket-Key of 16 bytes");
    };
    // [MQTT-6.0.0-3], [MQTT-6.0.0-4]
    let offered = |protocol: &&&str| names(headers, &SEC_WEBSOCKET_PROTOCOL, protocol);
    let Some(protocol) = PROTOCOLS.iter().find(offered) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "no subprotocol `mqtt` or `mqttv3.1`",
        );
    };
    Ok((derive_accept_key(key.as_bytes()), protocol))
}

/// Whether a field that is a list holds a name, in whatever case.
fn names(headers: &HeaderMap, field: &HeaderName, name: &str) -> bool {
    let values = headers.get_all(field).into_iter();
    let mut items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    items.any(|item| item.trim().eq_ignore_ascii_case(name))
}

/// RFC 6455, 10.2. Clients that are no browsers send no origin.
fn origin_allowed(headers: &HeaderMap, config: &WebSocketConfig) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let is = |allowed: &String| allowed.as_bytes() == origin.as_bytes();
    config.origins.is_empty() || config.origins.iter().any(is)
}

fn switching(accept: &str, protocol: &'static str) -> Response<String> {
    let mut response = answer(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    // Base64 is a header value.
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn refused(refusal: Refusal) -> Response<String> {
    let mut response = answer(refusal.status, refusal.text);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if refusal.status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(CONNECTION, HeaderValue::from_static("close, Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

fn answer(status: StatusCode, text: &str) -> Response<String> {
    let body = match text.is_empty() {
        true => String::new(),
        false => format!("{text}\n"),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<()> {
        Request::builder()
            .uri("/mqtt?x=1")
            .header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "WebSocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Sec-WebSocket-Protocol", "mqttv3.1, mqtt")
            .body(())
            .unwrap()
    }

    fn without(field: &str) -> Request<()> {
        let mut request = request();
        request.headers_mut().remove(field);
        request
    }

    fn with(field: &'static str, value: &str) -> Request<()> {
        let mut request = request();
        request.headers_mut().insert(field, value.parse().unwrap());
        request
    }

    fn status(request: &Request<()>) -> u16 {
        let judged = judge(request, &WebSocketConfig::default());
        judged.map_or_else(|refusal| refusal.status.as_u16(), |_| 101)
    }

    #[test]
    fn accepts_what_rfc_6455_shows() {
        let (accept, protocol) = judge(&request(), &WebSocketConfig::default()).unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(protocol, "mqtt");
        let old = with("sec-websocket-protocol", "mqttv3.1");
        assert_eq!(
            judge(&old, &WebSocketConfig::default()).unwrap().1,
            "mqttv3.1"
        );
    }

    #[test]
    fn refuses_what_is_no_mqtt_websocket() {
        let mut elsewhere = request();
        *elsewhere.uri_mut() = "/".parse().unwrap();
        assert_eq!(status(&elsewhere), 404);
        let mut post = request();
        *post.method_mut() = Method::POST;
        assert_eq!(status(&post), 405);
        let mut old = request();
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(status(&old), 426);
        assert_eq!(status(&without("upgrade")), 426);
        assert_eq!(status(&without("connection")), 426);
        assert_eq!(status(&with("sec-websocket-version", "8")), 426);
        assert_eq!(status(&without("sec-websocket-key")), 400);
        assert_eq!(status(&with("sec-websocket-key", "short")), 400);
        assert_eq!(status(&without("sec-websocket-protocol")), 400);
        assert_eq!(
            status(&with("sec-websocket-protocol", "wamp, mqttish")),
            400
        );
    }

    #[test]
    fn scripts_of_other_origins_may_be_kept_out() {
        let config = WebSocketConfig {
            origins: vec!["https://example.com".to_owned()],
            ..WebSocketConfig::default()
        };
        let from = |origin: &str| judge(&with("origin", origin), &config).is_ok();
        assert!(from("https://example.com"));
        assert!(!from("https://evil.example"));
        assert!(!from("http://example.com"));
        assert!(judge(&request(), &config).is_ok(), "no browser");
        assert!(judge(&with("origin", "null"), &WebSocketConfig::default()).is_ok());
    }
}
