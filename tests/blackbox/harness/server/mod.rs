//! A `landfall serve` process of the test's own: loopback ports, data folder, log.

mod builder;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::LazyLock;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::api::{Answer, Http};
use super::documents::APP;
use super::log::Log;
use super::ports::Ports;
use super::process::Process;
use super::{secrets, wait};
use crate::tools::tunnel::Tunnel;
pub(crate) use builder::Builder;

/// The server of this build, or another build's: `LANDFALL_TEST_SERVER` names it.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let other = std::env::var_os("LANDFALL_TEST_SERVER");
    other.map_or_else(|| env!("CARGO_BIN_EXE_landfall").into(), PathBuf::from)
});

/// A running server. It is killed when dropped, and its log is then searched for secrets.
pub(crate) struct Server {
    process: Process,
    ports: Ports,
    folder: TempDir,
    tunnel: Option<Tunnel>,
    api: Http,
    ops: Http,
    log: Log,
    builder: Builder,
}

/// The token that the server made at its first start.
fn read_token(folder: &Path) -> String {
    let token = fs::read_to_string(folder.join("token")).expect("the token file");
    token.trim().to_owned()
}

impl Server {
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// A server of default settings with the devices that most tests share.
    pub(crate) fn shared() -> Self {
        Self::builder().start_shared()
    }

    /// Waits until the server says that it is not ready, with a reason that holds this text.
    pub(crate) fn wait_not_ready(&self, reason: &str) {
        wait::until(&format!("not being ready: {reason}"), || {
            let answer = self.ops.get("/health/ready");
            (answer.status == 503 && answer.text().contains(reason)).then_some(())
        });
    }

    pub(crate) fn wait_ready(&self) {
        wait::until("readiness", || {
            (self.ops.get("/health/ready").status == 200).then_some(())
        });
    }

    /// Waits until the metrics say that a command source is there, 1, or away, 0.
    pub(crate) fn wait_source(&self, name: &str, up: u8) {
        let line = format!("landfall_command_source_up{{source=\"{name}\"}} {up}");
        wait::until(&line, || {
            let metrics = self.ops.get("/metrics").text();
            metrics.lines().any(|at| at == line).then_some(())
        });
    }

    /// Where devices connect.
    pub(crate) fn mqtt(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.mqtt).into()
    }

    /// The port of a listener that was added by name.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let index = self.builder.index(name);
        self.ports.more[index.expect("a listener of this name")]
    }

    /// The address of a listener that was added by name.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port(name)).into()
    }

    pub(crate) fn api(&self) -> &Http {
        &self.api
    }

    pub(crate) fn ops(&self) -> &Http {
        &self.ops
    }

    pub(crate) fn api_port(&self) -> u16 {
        self.ports.api
    }

    pub(crate) fn ops_port(&self) -> u16 {
        self.ports.ops
    }

    /// The bearer token of the API.
    pub(crate) fn token(&self) -> String {
        read_token(self.folder())
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The folder of the configuration file.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn create_app(&self, document: &Value) -> Answer {
        self.api.post_json("/api/registry/v1alpha1/apps", document)
    }

    pub(crate) fn create_device(&self, app: &str, document: &Value) -> Answer {
        self.api.post_json(
            &format!("/api/registry/v1alpha1/apps/{app}/devices"),
            document,
        )
    }

    /// Reads the shared application, changes it and writes it back.
    #[track_caller]
    pub(crate) fn edit_app(&self, change: impl FnOnce(&mut Value)) {
        self.edit(&format!("/api/registry/v1alpha1/apps/{APP}"), change);
    }

    /// Reads a device of the shared application, changes it and writes it back.
    #[track_caller]
    pub(crate) fn edit_device(&self, device: &str, change: impl FnOnce(&mut Value)) {
        let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/{device}");
        self.edit(&path, change);
    }

    #[track_caller]
    fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut document = self.api.get(path).expect_status(200).json();
        change(&mut document);
        self.api.put_json(path, &document).expect_status(200);
    }

    /// Sends a command and returns the answer about its outcome.
    pub(crate) fn command(&self, device: &str, name: &str, body: &[u8]) -> Answer {
        self.command_with(device, name, "", "application/json", body)
    }

    /// As [`Server::command`], with more query parameters and a content type.
    pub(crate) fn command_with(
        &self,
        device: &str,
        name: &str,
        query: &str,
        content_type: &str,
        body: &[u8],
    ) -> Answer {
        let path =
            format!("/api/command/v1alpha1/apps/{APP}/devices/{device}?command={name}{query}");
        self.api
            .send("POST", &path, &[("content-type", content_type)], Some(body))
    }

    /// Runs the command line against this server.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.cli_command(arguments);
        command.output().expect("the server's own binary")
    }

    /// The command line against this server, to be run.
    pub(crate) fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&*BINARY);
        command
            .args(arguments)
            .current_dir(self.folder())
            .env("LANDFALL_URL", self.api_url())
            .env("LANDFALL_TOKEN", self.token());
        if self.tunnel.is_some() {
            command.env("LANDFALL_CA", "api-ca.pem");
        }
        command
    }

    /// Where the API is.
    pub(crate) fn api_url(&self) -> String {
        let port = self.ports.api;
        match self.tunnel {
            Some(_) => format!("https://localhost:{port}"),
            None => format!("http://127.0.0.1:{port}"),
        }
    }

    /// Asks the server to stop (SIGTERM), without waiting.
    pub(crate) fn terminate(&mut self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Sends a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the process to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Kills the process at once (SIGKILL), as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait();
    }

    /// Starts the ended process again on the same data, at other ports.
    pub(crate) fn start_again(&mut self) {
        assert!(self.process.ended().is_some(), "still running");
        self.log.finish();
        self.check_log();
        let (process, ports, log) = self.builder.launch(self.folder.path());
        self.process = process;
        self.ports = ports.clone();
        self.log = log;
        self.tunnel = self.builder.tunnel(&ports);
        let api = self.tunnel.as_ref().map_or(ports.api, |way| way.port);
        self.api = Http::new(api, Some(read_token(self.folder.path())));
        self.ops = Http::new(ports.ops, None);
    }

    /// Looks through the log for secrets and panics.
    fn check_log(&self) {
        let token = self.folder().join("token");
        secrets::expect_none(&self.log.lines(), &[&token]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.reap();
        self.log.finish();
        if thread::panicking() {
            let lines = self.log.lines();
            let tail = lines.len().saturating_sub(60);
            eprintln!("--- the server's log ---\n{}", lines[tail..].join("\n"));
        } else {
            self.check_log();
        }
    }
}
