//! Command sources whose other side wants TLS, and to know who comes.

use std::fs;
use std::process::{Command, Stdio};

use crate::harness::documents::RECEIVER_TOKEN;
use crate::harness::{Server, ports, wait};
use crate::kafka_commands::Kafka;
use crate::tools::broker::Broker;
use crate::tools::certificates::{Certificates, USER};
use crate::tools::kafka;
use crate::tools::nats_accounts::Accounts;
use crate::tools::sasl::Account;
use crate::wire::{Client, Version};

const WRONG: &str = "not-the-password-5d07";

fn server(source: &str) -> Server {
    Server::builder().settings(source).start_shared()
}

fn subscribed(server: &Server) -> Client {
    let mut sensor = Client::device(server, Version::V5, "sensor01");
    assert_eq!(sensor.subscribe("command/inbox/#", 1), 1);
    sensor
}

/// Waits until the source says why it takes nothing, and looks for the secret in all that was said.
#[track_caller]
fn says(source: &str, reason: &str, secret: &str) {
    let server = server(source);
    server
        .log()
        .wait_for(0, &["the command source is away", reason]);
    server.wait_source("far", 0);
    let metrics = server.ops().get("/metrics").text();
    for said in [metrics, server.log().lines().join("\n")] {
        assert!(!said.contains(secret), "a secret in {said}");
    }
}

#[track_caller]
fn takes_a_command_of_kafka(kafka: &Kafka, source: &str) {
    let server = server(source);
    let mut sensor = subscribed(&server);
    kafka.send("sensor01", "set", &[], b"21");
    let command = sensor.take_command();
    assert_eq!(command.topic, "command/inbox//set");
    assert_eq!(command.payload, b"21");
    kafka.expect("set", "acknowledged");
}

#[test]
fn kafka_over_tls_with_a_client_certificate() {
    let certificates = Certificates::make();
    let secured = kafka::start_behind_tls(certificates.server_config(true), None);
    let (front, _tls) = (secured.port, secured.front);
    let kafka = Kafka::of(secured.broker, front, certificates.kafka_client(front));
    let folder = certificates.folder().display();
    let keys = format!(
        "{}\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"{folder}/ca.pem\"\n",
        kafka.source("")
    );
    says(&keys, "connection to the brokers", "BEGIN");
    let shown = format!(
        "\"ssl.certificate.location\" = \"{folder}/client.pem\"\n\
         \"ssl.key.location\" = \"{folder}/client.key\"\n"
    );
    takes_a_command_of_kafka(&kafka, &format!("{keys}{shown}"));
}

#[test]
fn kafka_with_user_and_password() {
    let certificates = Certificates::make();
    let folder = certificates.folder().display();
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let account = Account {
            mechanism,
            user: USER.to_owned(),
            password: RECEIVER_TOKEN.to_owned(),
        };
        let tls = certificates.server_config(false);
        let secured = kafka::start_behind_tls(tls, Some(account));
        let (front, _tls) = (secured.port, secured.front);
        let mut client = certificates.kafka_client(front);
        client
            .set("security.protocol", "sasl_ssl")
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", USER)
            .set("sasl.password", RECEIVER_TOKEN);
        let kafka = Kafka::of(secured.broker, front, client);
        let source = |password: &str| {
            let log_in = format!("username = \"{USER}\"\npassword = \"{password}\"\n");
            format!(
                "{}\"ssl.ca.location\" = \"{folder}/ca.pem\"\n\
                 \"sasl.mechanism\" = \"{mechanism}\"\n",
                kafka.source(&log_in)
            )
        };
        says(&source(WRONG), "the brokers refuse the log-in", WRONG);
        takes_a_command_of_kafka(&kafka, &source(RECEIVER_TOKEN));
    }
}

/// The line of a password file of mosquitto's for [`USER`].
fn password_line(certificates: &Certificates) -> String {
    let file = certificates.folder().join("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-c", "-b"])
        .arg(&file)
        .args([USER, RECEIVER_TOKEN])
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("mosquitto_passwd").success());
    fs::read_to_string(file).unwrap()
}

#[test]
fn mqtt_over_tls_with_a_client_certificate_and_a_password() {
    let certificates = Certificates::make();
    let settings = "allow_anonymous false\npassword_file FOLDER/passwords\n\
                    cafile FOLDER/ca.pem\ncertfile FOLDER/server.pem\n\
                    keyfile FOLDER/server.key\nrequire_certificate true";
    let passwords = password_line(&certificates);
    let mut files = certificates.files().to_vec();
    files.push(("passwords", &passwords));
    let broker = Broker::start(settings, &files);
    let folder = certificates.folder();
    let publish = |payload: &str| {
        let port = broker.port().to_string();
        let status = Command::new("mosquitto_pub")
            .args(["-h", "localhost", "-p", &port, "-q", "1"])
            .args(["-u", USER, "-P", RECEIVER_TOKEN])
            .args(["--cafile", "ca.pem", "--cert", "client.pem"])
            .args(["--key", "client.key"])
            .args(["-t", "commands/app/sensor01/set", "-m", payload])
            .current_dir(folder)
            .status();
        assert!(status.expect("mosquitto_pub").success());
    };
    for version in ["5", "3.1.1"] {
        let source = |password: &str, tls: &str| {
            format!(
                "[[command_sources]]\nname = \"far\"\ntype = \"mqtt\"\n\
                 url = \"mqtts://localhost:{}\"\nversion = \"{version}\"\n\
                 username = \"{USER}\"\npassword = \"{password}\"\n{tls}",
                broker.port()
            )
        };
        let tls = certificates.keys("command_sources.tls");
        let mut good = server(&source(RECEIVER_TOKEN, &tls));
        let mut sensor = subscribed(&good);
        good.wait_source("far", 1);
        publish(version);
        let command = sensor.take_command();
        assert_eq!(command.topic, "command/inbox//set");
        assert_eq!(command.payload, version.as_bytes());
        // Killed before it has told the broker of the outcome, the next one would get the command again.
        good.terminate();
        assert!(good.wait().success());
        says(&source(WRONG, &tls), "", WRONG);
        // Trust without a certificate of its own.
        let (trust, _) = tls.split_once("certificate = ").unwrap();
        says(&source(RECEIVER_TOKEN, trust), "", RECEIVER_TOKEN);
    }
}

/// Sends a command until it is delivered: a request that comes before the source is nobody's.
#[track_caller]
fn takes_a_command_of_nats(source: &str, port: u16, options: async_nats::ConnectOptions) {
    let server = server(source);
    let mut sensor = subscribed(&server);
    server.wait_source("far", 1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = runtime.block_on(options.connect(format!("tls://127.0.0.1:{port}")));
    let client = client.expect("a NATS server that lets the test in");
    wait::until("a responder", || {
        let asked = client.request("commands.app.nobody.x", "".into());
        runtime.block_on(asked).ok()
    });
    let asked =
        runtime.spawn(async move { client.request("commands.app.sensor01.set", "".into()).await });
    assert_eq!(sensor.take_command().topic, "command/inbox//set");
    let reply = runtime.block_on(asked).unwrap().expect("a reply");
    let outcome: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
    assert_eq!(outcome["outcome"], "acknowledged", "{outcome:#}");
}

fn nats_source(certificates: &Certificates, port: u16, keys: &str) -> String {
    format!(
        "[[command_sources]]\nname = \"far\"\ntype = \"nats\"\n\
         servers = [\"tls://127.0.0.1:{port}\"]\n{keys}\n{}",
        certificates.keys("command_sources.tls")
    )
}

#[test]
fn nats_over_tls_with_a_client_certificate_and_a_password() {
    let certificates = Certificates::make();
    let port = ports::free();
    let lines = format!("authorization {{ user: {USER}, password: \"{RECEIVER_TOKEN}\" }}");
    let _nats = certificates.nats(port, &lines);
    let source = |password: &str| {
        let keys = format!("user = \"{USER}\"\npassword = \"{password}\"");
        nats_source(&certificates, port, &keys)
    };
    let options = certificates.nats_options();
    let options = options.user_and_password(USER.to_owned(), RECEIVER_TOKEN.to_owned());
    takes_a_command_of_nats(&source(RECEIVER_TOKEN), port, options);
    says(&source(WRONG), "authorization violation", WRONG);
}

#[test]
fn nats_with_a_credentials_file() {
    let certificates = Certificates::make();
    let port = ports::free();
    let accounts = Accounts::make();
    let _nats = certificates.nats(port, &accounts.config);
    let file = certificates.folder().join("landfall.creds");
    let keys = format!("credentials_file = \"{}\"", file.display());
    let source = nats_source(&certificates, port, &keys);
    fs::write(&file, &accounts.credentials).unwrap();
    let options = certificates.nats_options();
    let options = options.credentials(&accounts.credentials).unwrap();
    takes_a_command_of_nats(&source, port, options);
    // Another operator's user.
    let strange = Accounts::make().credentials;
    fs::write(&file, &strange).unwrap();
    let seed = strange.lines().find(|line| line.starts_with("SU")).unwrap();
    says(&source, "authorization violation", seed);
}
