//! Ends, silence, and clients that do not take what they asked for.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server whose answers wait for the word.
async fn waiting_server(
    patience: Duration,
) -> (
    std::net::SocketAddr,
    watch::Sender<bool>,
    watch::Sender<bool>,
) {
    let (answer, may_answer) = watch::channel(false);
    let (end, ended) = watch::channel(false);
    let handler = async move || {
        let mut may_answer = may_answer;
        let _ = may_answer.wait_for(|may| *may).await;
        "done"
    };
    let router = Router::new().route("/", axum::routing::get(handler));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service {
        tls: None,
        router,
        patience,
    };
    tokio::spawn(service.run(listener, ended, |_| {}));
    (address, answer, end)
}

#[tokio::test]
async fn a_request_that_is_being_answered_survives_the_end() {
    let (address, answer, end) = waiting_server(PATIENCE).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    // The handler is at work once its receiver was cloned from the router's.
    while answer.receiver_count() < 2 {
        tokio::task::yield_now().await;
    }
    end.send_replace(true);
    answer.send_replace(true);
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert!(text.ends_with("done"), "{text}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_by_the_end() {
    let (address, answer, end) = waiting_server(PATIENCE).await;
    answer.send_replace(true);
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    let mut first = [0; 12];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    end.send_replace(true);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let (address, _answer, _end) = waiting_server(Duration::from_millis(1)).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
}

/// What a client of HTTP/2 begins with (RFC 9113, 3.4), and its settings: windows of so many bytes.
fn preface(window: u32) -> Vec<u8> {
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        &frame(4, 0, 0, &settings),
    ]
    .concat()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    let head = [0, 0, length, kind, flags, 0, 0, 0, stream];
    [&head[..], payload].concat()
}

/// `GET http://localhost/`, by indices of HPACK's table (RFC 7541, A).
fn get(end_of_head: bool) -> Vec<u8> {
    let head = b"\x82\x84\x86\x41\x09localhost";
    let end_of_stream = 1;
    frame(1, end_of_stream | u8::from(end_of_head) << 2, 1, head)
}

/// An HTTP/2 connection of a server that answers in so many bytes.
fn http2_client(length: usize, patience: Duration) -> (DuplexStream, watch::Sender<bool>) {
    let handler = async move || "x".repeat(length);
    let router = Router::new().route("/", axum::routing::get(handler));
    let (client, server) = tokio::io::duplex(1 << 16);
    let (end, ended) = watch::channel(false);
    tokio::spawn(http2::answer(Box::new(server), router, ended, patience));
    (client, end)
}

/// The frames until the server closes: kind and payload.
async fn frames(client: &mut DuplexStream) -> Vec<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let Some((head, behind)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let (payload, behind) = behind.split_at(usize::try_from(length).unwrap());
        frames.push((head[3], payload.to_vec()));
        rest = behind;
    }
    frames
}

/// The bytes of an answer's body.
fn body(frames: &[(u8, Vec<u8>)]) -> usize {
    let data = frames.iter().filter(|(kind, _)| *kind == 0);
    data.map(|(_, payload)| payload.len()).sum()
}

#[tokio::test]
async fn a_request_in_http_2_is_answered_and_its_silent_client_then_left() {
    let (mut client, _end) = http2_client(10, Duration::from_millis(50));
    client.write_all(&preface(65_535)).await.unwrap();
    client.write_all(&get(true)).await.unwrap();
    let frames = frames(&mut client).await;
    let head = frames.iter().find(|(kind, _)| *kind == 1).unwrap();
    // `:status: 200`.
    assert_eq!(head.1.first(), Some(&0x88));
    assert_eq!(body(&frames), 10);
}

#[tokio::test]
async fn half_a_head_in_http_2_is_waited_for_no_longer_than_a_silent_client() {
    let (mut client, _end) = http2_client(10, Duration::from_millis(1));
    client.write_all(&preface(65_535)).await.unwrap();
    client.write_all(&get(false)).await.unwrap();
    assert_eq!(body(&frames(&mut client).await), 0);
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_what_it_asked_for_is_left() {
    let (mut client, _end) = http2_client(10, Duration::from_millis(1));
    client.write_all(&preface(0)).await.unwrap();
    client.write_all(&get(true)).await.unwrap();
    assert_eq!(body(&frames(&mut client).await), 0);
}

#[tokio::test]
async fn the_end_lets_an_http_2_client_go_that_does_not_confirm_it() {
    let (mut client, end) = http2_client(10, PATIENCE);
    client.write_all(&preface(65_535)).await.unwrap();
    end.send_replace(true);
    frames(&mut client).await;
}

/// An HTTP/1.1 connection, of a socket that keeps little, of a server that answers with `length`
/// bytes; and its end.
fn http1_client(length: usize) -> (DuplexStream, tokio::task::JoinHandle<hyper::Result<()>>) {
    let handler = async move || "x".repeat(length);
    let router = Router::new().route("/", axum::routing::get(handler));
    let (client, server) = tokio::io::duplex(64);
    let served = tokio::spawn(async move {
        let (_end, ended) = watch::channel(false);
        http1::answer(Box::new(server), router, ended, PATIENCE).await
    });
    (client, served)
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_1_that_takes_nothing_of_its_answer_is_left() {
    let (mut client, served) = http1_client(1_000_000);
    client.write_all(REQUEST).await.unwrap();
    let left = timeout(PATIENCE * 2, served).await;
    assert!(left.expect("an end of it").unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_client_of_http_1_that_takes_its_answer_slowly_gets_all_of_it() {
    let (mut client, _served) = http1_client(10_000);
    client.write_all(REQUEST).await.unwrap();
    let mut taken = Vec::new();
    while !taken.ends_with(&[b'x'; 10_000]) {
        tokio::time::sleep(PATIENCE / 2).await;
        let mut piece = [0; 1_000];
        let count = client.read(&mut piece).await.unwrap();
        assert_ne!(count, 0, "left behind {} bytes", taken.len());
        taken.extend(&piece[..count]);
    }
}
