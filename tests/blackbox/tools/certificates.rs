//! A system that shows a certificate and wants one: what it shows, what it trusts, and what its
//! clients show.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use async_nats::ConnectOptions;
use rdkafka::config::ClientConfig;
use rustls::ServerConfig;
use tempfile::TempDir;

use super::authority::{Authority, Issued, Leaf};
use super::kafka;
use crate::harness::process::Process;

/// The user that `landfall` is there.
pub(crate) const USER: &str = "landfall";

pub(crate) struct Certificates {
    authority: Authority,
    server: Issued,
    client: Issued,
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let authority = Authority::root("Backend CA");
        let server = authority.server(&["localhost", "127.0.0.1"]);
        let client = authority.issue(&Leaf::device(USER));
        let folder = TempDir::new().unwrap();
        let this = Self {
            authority,
            server,
            client,
            folder,
        };
        for (name, content) in this.files() {
            fs::write(this.folder().join(name), content).unwrap();
        }
        this
    }

    /// The files in the folder.
    pub(crate) fn files(&self) -> [(&'static str, &str); 5] {
        [
            ("ca.pem", &self.authority.pem),
            ("server.pem", &self.server.chain),
            ("server.key", &self.server.key),
            ("client.pem", &self.client.chain),
            ("client.key", &self.client.key),
        ]
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The settings of a TLS server; it may demand a certificate.
    pub(crate) fn server_config(&self, demands_one: bool) -> ServerConfig {
        let clients = demands_one.then_some(&self.authority);
        self.server.server_config(clients)
    }

    /// The section of this name, of a sink or source that shows its certificate.
    pub(crate) fn keys(&self, section: &str) -> String {
        let folder = self.folder().display();
        format!(
            "[{section}]\ntrust = \"{folder}/ca.pem\"\ncertificate = \"{folder}/client.pem\"\n\
             key = \"{folder}/client.key\"\n"
        )
    }

    /// A Kafka client that shows its certificate.
    pub(crate) fn kafka_client(&self, port: u16) -> ClientConfig {
        let mut config = kafka::client(port);
        config
            .set("security.protocol", "ssl")
            .set("ssl.ca.pem", &self.authority.pem)
            .set("ssl.certificate.pem", &self.client.chain)
            .set("ssl.key.pem", &self.client.key);
        config
    }

    /// A NATS server of these lines, until the process is dropped.
    pub(crate) fn nats(&self, port: u16, lines: &str) -> Process {
        let folder = self.folder().display();
        let config = format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: {folder}/jetstream }}\n\
             tls {{ cert_file: {folder}/server.pem, key_file: {folder}/server.key, \
             ca_file: {folder}/ca.pem, verify: true }}\n{lines}\n"
        );
        let file = self.folder().join("nats.conf");
        fs::write(&file, config).unwrap();
        Process::spawn(
            Command::new("nats-server")
                .arg("-c")
                .arg(file)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )
    }

    /// A NATS client that shows its certificate.
    pub(crate) fn nats_options(&self) -> ConnectOptions {
        let folder = self.folder();
        ConnectOptions::new()
            .require_tls(true)
            .add_root_certificates(folder.join("ca.pem"))
            .add_client_certificate(folder.join("client.pem"), folder.join("client.key"))
    }
}
