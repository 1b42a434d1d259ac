//! Sinks whose other side wants TLS, and to know who comes.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use axum::body::Body;
use axum::http::{Request, Response, Version as HttpVersion};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rdkafka::message::Message as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::harness::documents::RECEIVER_TOKEN;
use crate::harness::{Server, ports, wait};
use crate::tools::certificates::{Certificates, USER};
use crate::tools::kafka;
use crate::tools::nats_accounts::Accounts;
use crate::tools::sasl::Account;
use crate::wire::{Client, Version};

fn sink(keys: &str) -> String {
    format!("[[sinks]]\nname = \"far\"\n{keys}")
}

fn ready(keys: &str) -> Server {
    let builder = Server::builder().without_log_sink();
    builder.settings(&sink(keys)).start_shared()
}

fn unready(keys: &str) -> Server {
    let builder = Server::builder().without_log_sink();
    builder.settings(&sink(keys)).unready().start_shared()
}

#[track_caller]
fn is_taken(server: &Server) {
    let mut sensor = Client::device(server, Version::V5, "sensor01");
    assert_eq!(sensor.publish_1("temp", b"21.5").reason(), 0);
    sensor.disconnect();
}

/// Waits until the sink says why it takes nothing, and looks for the secret in all that was said.
#[track_caller]
fn says(server: &Server, reason: &str, secret: &str) {
    server.wait_not_ready(reason);
    let ready = server.ops().get("/health/ready").text();
    assert!(!ready.contains(secret), "{ready}");
    assert!(
        !server.log().lines().join("\n").contains(secret),
        "a secret in the log"
    );
}

#[test]
fn kafka_over_tls_with_a_client_certificate() {
    let certificates = Certificates::make();
    let secured = kafka::start_behind_tls(certificates.server_config(true), None);
    let front = secured.port;
    let folder = certificates.folder().display();
    let keys = format!(
        "type = \"kafka\"\nbrokers = \"127.0.0.1:{front}\"\n\
         [sinks.properties]\n\"security.protocol\" = \"ssl\"\n\
         \"ssl.ca.location\" = \"{folder}/ca.pem\"\n"
    );
    let shown = format!(
        "\"ssl.certificate.location\" = \"{folder}/client.pem\"\n\
         \"ssl.key.location\" = \"{folder}/client.key\"\n"
    );
    says(&unready(&keys), "sink far: ", "BEGIN");
    is_taken(&ready(&format!("{keys}{shown}")));
    assert_eq!(first_event(front, &certificates), b"21.5");
}

/// The payload of the first event in the topic that is no connection event.
fn first_event(front: u16, certificates: &Certificates) -> Vec<u8> {
    let consumer = kafka::read(certificates.kafka_client(front), "events-app");
    loop {
        let message = consumer.poll(Duration::from_secs(60)).expect("a message");
        let message = message.unwrap();
        let payload = message.payload().unwrap_or_default();
        if !payload.starts_with(b"{\"connected\"") {
            return payload.to_vec();
        }
    }
}

#[test]
fn kafka_with_user_and_password() {
    let certificates = Certificates::make();
    let folder = certificates.folder().display();
    let properties = |mechanism: &str| {
        format!(
            "[sinks.properties]\n\"ssl.ca.location\" = \"{folder}/ca.pem\"\n\
             \"sasl.mechanism\" = \"{mechanism}\"\n"
        )
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let account = Account {
            mechanism,
            user: USER.to_owned(),
            password: RECEIVER_TOKEN.to_owned(),
        };
        let tls = certificates.server_config(false);
        let secured = kafka::start_behind_tls(tls, Some(account));
        let front = secured.port;
        let keys = |password: &str| {
            format!(
                "type = \"kafka\"\nbrokers = \"127.0.0.1:{front}\"\nusername = \"{USER}\"\n\
                 password = \"{password}\"\n{}",
                properties(mechanism)
            )
        };
        // Behind TLS without being told: a password is nothing for open networks.
        is_taken(&ready(&keys(RECEIVER_TOKEN)));
        let wrong = "not-the-password-5d07";
        let reason = "sink far: the brokers refuse the log-in";
        says(&unready(&keys(wrong)), reason, wrong);
    }
}

/// Makes a stream of all events, as a client of its own.
async fn make_stream(
    port: u16,
    certificates: &Certificates,
    log_in: impl Fn(async_nats::ConnectOptions) -> async_nats::ConnectOptions,
) -> jetstream::Context {
    let end = tokio::time::Instant::now() + wait::DEADLINE;
    loop {
        let options = certificates.nats_options();
        let made = async {
            let connecting = log_in(options).connect(format!("tls://127.0.0.1:{port}"));
            let context = jetstream::new(connecting.await.map_err(|error| error.to_string())?);
            let config = stream::Config {
                name: "EVENTS".to_owned(),
                subjects: vec!["events.>".to_owned()],
                ..stream::Config::default()
            };
            let stream = context.create_stream(config).await;
            stream.map(|_| context).map_err(|error| error.to_string())
        };
        match made.await {
            Ok(context) => return context,
            Err(error) => assert!(tokio::time::Instant::now() < end, "{error}"),
        }
        tokio::task::yield_now().await;
    }
}

async fn stored(context: &jetstream::Context) -> String {
    let stream = context.get_stream("EVENTS").await.unwrap();
    let message = stream.get_last_raw_message_by_subject("events.app.temp");
    String::from_utf8(message.await.unwrap().payload.to_vec()).unwrap()
}

#[test]
fn nats_over_tls_with_a_client_certificate_and_a_password() {
    let certificates = Certificates::make();
    let port = ports::free();
    let lines = format!("authorization {{ user: {USER}, password: \"{RECEIVER_TOKEN}\" }}");
    let _nats = certificates.nats(port, &lines);
    let runtime = Runtime::new().unwrap();
    let log_in = |options: async_nats::ConnectOptions| {
        options.user_and_password(USER.to_owned(), RECEIVER_TOKEN.to_owned())
    };
    let context = runtime.block_on(make_stream(port, &certificates, log_in));
    let keys = |password: &str| {
        format!(
            "type = \"nats\"\nservers = [\"tls://127.0.0.1:{port}\"]\nuser = \"{USER}\"\n\
             password = \"{password}\"\n{}",
            certificates.keys("sinks.tls")
        )
    };
    is_taken(&ready(&keys(RECEIVER_TOKEN)));
    assert_eq!(runtime.block_on(stored(&context)), "21.5");
    let wrong = "not-the-password-5d07";
    says(&unready(&keys(wrong)), "sink far: ", wrong);
}

#[test]
fn nats_with_a_credentials_file() {
    let certificates = Certificates::make();
    let port = ports::free();
    let accounts = Accounts::make();
    let _nats = certificates.nats(port, &accounts.config);
    let runtime = Runtime::new().unwrap();
    let log_in =
        |options: async_nats::ConnectOptions| options.credentials(&accounts.credentials).unwrap();
    let context = runtime.block_on(make_stream(port, &certificates, log_in));
    let file = certificates.folder().join("landfall.creds");
    let keys = format!(
        "type = \"nats\"\nservers = [\"tls://127.0.0.1:{port}\"]\n\
         credentials_file = \"{}\"\n{}",
        file.display(),
        certificates.keys("sinks.tls")
    );
    fs::write(&file, &accounts.credentials).unwrap();
    is_taken(&ready(&keys));
    assert_eq!(runtime.block_on(stored(&context)), "21.5");
    // Another operator's user.
    let strange = Accounts::make().credentials;
    fs::write(&file, &strange).unwrap();
    let seed = strange.lines().find(|line| line.starts_with("SU")).unwrap();
    says(&unready(&keys), "sink far: ", seed);
}

/// What an HTTPS endpoint was sent: version, authorization, body.
type Seen = Arc<Mutex<Vec<(HttpVersion, String, Vec<u8>)>>>;

/// An endpoint that demands a certificate, and speaks these protocols.
fn endpoint(port: u16, certificates: &Certificates, protocols: &[&str]) -> (Runtime, Seen) {
    let mut tls = certificates.server_config(true);
    tls.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let (runtime, seen) = (Runtime::new().unwrap(), Seen::default());
    let listener = runtime
        .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
        .unwrap();
    let kept = Arc::clone(&seen);
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, kept) = (acceptor.clone(), Arc::clone(&kept));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(|request| keep(request, Arc::clone(&kept)));
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (runtime, seen)
}

async fn keep(request: Request<Incoming>, seen: Seen) -> Result<Response<Body>, axum::Error> {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), 1 << 20).await?;
    let authorization = head.headers.get("authorization");
    let authorization = authorization.map_or("", |value| value.to_str().unwrap());
    let entry = (head.version, authorization.to_owned(), body.to_vec());
    seen.lock().unwrap().push(entry);
    Ok(Response::new(Body::empty()))
}

#[test]
fn http_over_tls_with_a_client_certificate_in_both_versions() {
    let certificates = Certificates::make();
    for (protocols, version) in [
        (["h2", "http/1.1"].as_slice(), HttpVersion::HTTP_2),
        (["http/1.1"].as_slice(), HttpVersion::HTTP_11),
    ] {
        let port = ports::free();
        let (_runtime, seen) = endpoint(port, &certificates, protocols);
        let keys = format!(
            "type = \"http\"\nurl = \"https://localhost:{port}/in\"\n\
             username = \"{USER}\"\npassword = \"{RECEIVER_TOKEN}\"\n"
        );
        is_taken(&ready(&format!("{keys}{}", certificates.keys("sinks.tls"))));
        let seen = seen.lock().unwrap();
        let (spoken, authorization, _) = seen.iter().find(|(_, _, body)| body == b"21.5").unwrap();
        assert_eq!(*spoken, version);
        assert!(authorization.starts_with("Basic "), "{authorization}");
        drop(seen);
        // It trusts nobody that the system does not: this is no such certificate.
        let reason = "sink far: no connection to the endpoint: ";
        says(&unready(&keys), reason, RECEIVER_TOKEN);
        let trust = format!(
            "{keys}[sinks.tls]\ntrust = \"{}/ca.pem\"\n",
            certificates.folder().display()
        );
        says(&unready(&trust), "sink far: no ", RECEIVER_TOKEN);
    }
}
