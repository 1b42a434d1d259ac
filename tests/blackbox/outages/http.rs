//! An HTTP receiver that is killed and started again.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{OUTAGES, Outage, check, publish_through, server};
use crate::harness::documents::RECEIVER_TOKEN;
use crate::harness::ports;

pub(super) type Kept = Arc<Mutex<Vec<Vec<u8>>>>;

/// Serves until the runtime is dropped, which ends every connection as a kill does.
pub(super) fn start(port: u16, kept: &Kept) -> Runtime {
    let runtime = Runtime::new().unwrap();
    let router = Router::new()
        .route("/in", post(keep))
        .with_state(kept.clone());
    let listener = runtime
        .block_on(async {
            let socket = tokio::net::TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind(([127, 0, 0, 1], port).into())?;
            socket.listen(1024)
        })
        .unwrap();
    runtime.spawn(async { axum::serve(listener, router).await });
    runtime
}

/// Keeps the payloads of a batch: what the answer promises.
async fn keep(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(
        headers["content-type"],
        "application/cloudevents-batch+json"
    );
    assert_eq!(headers["authorization"], format!("Bearer {RECEIVER_TOKEN}"));
    let events: Vec<Value> = serde_json::from_slice(&body).unwrap();
    let payloads = events
        .iter()
        .filter(|event| event["subject"] == "load")
        .map(|event| event["data"].to_string().into_bytes());
    kept.lock().unwrap().extend(payloads);
    StatusCode::NO_CONTENT
}

#[test]
fn nothing_acknowledged_is_lost_when_the_receiver_is_killed_three_times() {
    let kept = Kept::default();
    let port = ports::free();
    let mut receiver = Some(start(port, &kept));
    let server = server(&format!(
        "type = \"http\"\nurl = \"http://127.0.0.1:{port}/in\"\nmode = \"batch\"\n\
         bearer_token = \"{RECEIVER_TOKEN}\"\n"
    ));
    publish_through(&server, |outage| match outage {
        Outage::Begins => {
            if let Some(running) = receiver.take() {
                running.shutdown_background();
            }
            server.wait_not_ready("sink far: application app: ");
        }
        Outage::Ends => receiver = Some(start(port, &kept)),
    });
    server.wait_ready();
    // A batch that was kept and not answered comes again.
    const BATCH: usize = 100;
    let most_twice = OUTAGES.len() * super::CONNECTIONS * BATCH;
    check(kept.lock().unwrap().drain(..), most_twice);
}
