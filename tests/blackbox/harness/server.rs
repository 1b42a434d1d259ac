//! A `landfall serve` process of the test's own: loopback ports, data folder, log.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::api::{Answer, Http};
use super::documents::{self, APP, SECRETS};
use super::log::Log;
use super::ports::Ports;
use super::process::Process;
use super::wait;

const BINARY: &str = env!("CARGO_BIN_EXE_landfall");

/// How often a start is tried again with other ports.
const STARTS: usize = 5;

/// What a server is started with.
pub(crate) struct Builder {
    settings: String,
    listener: String,
    /// Further listeners: name and keys.
    listeners: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
    log_sink: bool,
    data_dir: Option<PathBuf>,
    environment: Vec<(String, String)>,
    unready: bool,
    /// Arguments of `ulimit`.
    resources: Vec<String>,
}

/// A running server. It is killed when dropped, and its log is then searched for secrets.
pub(crate) struct Server {
    process: Process,
    ports: Ports,
    folder: TempDir,
    api: Http,
    ops: Http,
    log: Log,
    builder: Builder,
}

impl Builder {
    /// Adds sections to the configuration file.
    pub(crate) fn settings(mut self, toml: &str) -> Self {
        self.settings.push_str(toml);
        self.settings.push('\n');
        self
    }

    /// Adds keys to the MQTT listener's section.
    pub(crate) fn listener(mut self, toml: &str) -> Self {
        self.listener.push_str(toml);
        self.listener.push('\n');
        self
    }

    /// Adds a listener on a port of its own, with these keys, to be asked for by its name.
    pub(crate) fn also_listen(mut self, name: &str, toml: &str) -> Self {
        self.listeners.push((name.to_owned(), toml.to_owned()));
        self
    }

    /// Puts a file beside the configuration file.
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files
            .push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Leaves out the embedded log, for a test that names its own sinks.
    pub(crate) fn without_log_sink(mut self) -> Self {
        self.log_sink = false;
        self
    }

    /// Puts the data folder somewhere else than beside the configuration file.
    pub(crate) fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// For a server that is not to be ready, as the system that its sink needs is away.
    pub(crate) fn unready(mut self) -> Self {
        self.unready = true;
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Allows the process this many file descriptors, and no more.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.resources.push(format!("-n {most}"));
        self
    }

    /// Allows the process this much private memory, in KiB.
    pub(crate) fn memory(mut self, kibibytes: u32) -> Self {
        self.resources.push(format!("-d {kibibytes}"));
        self
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(self) -> Server {
        let folder = TempDir::new().expect("a temporary folder");
        for (name, content) in &self.files {
            fs::write(folder.path().join(name), content).expect("a writable folder");
        }
        let (process, ports, log) = self.launch(folder.path());
        let api = Http::new(ports.api, Some(read_token(folder.path())));
        let ops = Http::new(ports.ops, None);
        Server {
            process,
            ports,
            folder,
            api,
            ops,
            log,
            builder: self,
        }
    }

    /// Starts the server with an application and its devices in the registry.
    pub(crate) fn start_with(self, app: &str, devices: &[Value]) -> Server {
        let server = self.start();
        server
            .create_app(&documents::application(app))
            .expect_status(201);
        for device in devices {
            server.create_device(app, device).expect_status(201);
        }
        server
    }

    /// Starts the server with the devices that most tests share.
    pub(crate) fn start_shared(self) -> Server {
        self.start_with(APP, &documents::shared_devices())
    }

    fn launch(&self, folder: &Path) -> (Process, Ports, Log) {
        for _ in 0..STARTS {
            let ports = Ports::pick(self.listeners.len());
            let log = Log::default();
            let mut process = self.spawn(folder, &ports, &log);
            let path = if self.unready {
                "/health/live"
            } else {
                "/health/ready"
            };
            match await_health(&mut process, &ports, path) {
                Ok(()) => return (process, ports, log),
                Err(status) => {
                    let lines = log.lines().join("\n");
                    let taken = lines.to_lowercase().contains("in use");
                    assert!(
                        taken,
                        "the server ended with {status} at its start:\n{lines}"
                    );
                }
            }
        }
        panic!("the ports were taken {STARTS} times");
    }

    fn spawn(&self, folder: &Path, ports: &Ports, log: &Log) -> Process {
        let file = folder.join("landfall.toml");
        fs::write(&file, self.configuration(folder, ports)).expect("a writable folder");
        let mut command = if self.resources.is_empty() {
            Command::new(BINARY)
        } else {
            let limits = self.resources.iter();
            let limits: String = limits.map(|limit| format!("ulimit {limit} && ")).collect();
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &format!("{limits}exec \"$0\" \"$@\""), BINARY]);
            shell
        };
        command
            .args(["serve", "--config"])
            .arg(&file)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        log.follow(process.child().stdout.take().expect("a piped stream"));
        log.follow(process.child().stderr.take().expect("a piped stream"));
        process
    }

    fn configuration(&self, folder: &Path, ports: &Ports) -> String {
        let Ports {
            mqtt,
            api,
            ops,
            more,
        } = ports;
        let more: String = self
            .listeners
            .iter()
            .zip(more)
            .map(|((_, keys), port)| {
                format!("[[listeners]]\nbind = \"127.0.0.1:{port}\"\n{keys}\n")
            })
            .collect();
        let data_dir = self.data_dir.clone().unwrap_or_else(|| folder.join("data"));
        let sink = if self.log_sink {
            "[[sinks]]\nname = \"events\"\ntype = \"log\"\n"
        } else {
            ""
        };
        format!(
            "instance = \"blackbox\"\ndata_dir = \"{}\"\n\
             [[listeners]]\nbind = \"127.0.0.1:{mqtt}\"\ntransport = \"mqtt\"\n{}{more}\
             [api]\nbind = \"127.0.0.1:{api}\"\ntoken_file = \"token\"\n\
             [ops]\nbind = \"127.0.0.1:{ops}\"\n{sink}{}",
            data_dir.display(),
            self.listener,
            self.settings,
        )
    }
}

/// The token that the server made at its first start.
fn read_token(folder: &Path) -> String {
    let token = fs::read_to_string(folder.join("token")).expect("the token file");
    token.trim().to_owned()
}

/// Waits for a good answer, or for the process's early end.
fn await_health(process: &mut Process, ports: &Ports, path: &str) -> Result<(), ExitStatus> {
    let ops = Http::new(ports.ops, None);
    wait::until("readiness", || {
        if let Some(status) = process.ended() {
            return Some(Err(status));
        }
        let answer = ops.try_send("GET", path, &[], None).ok()?;
        (answer.status == 200).then_some(Ok(()))
    })
}

impl Server {
    pub(crate) fn builder() -> Builder {
        Builder {
            settings: String::new(),
            listener: String::new(),
            listeners: Vec::new(),
            files: Vec::new(),
            log_sink: true,
            data_dir: None,
            environment: Vec::new(),
            unready: false,
            resources: Vec::new(),
        }
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

    /// Where devices connect.
    pub(crate) fn mqtt(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.mqtt).into()
    }

    /// The port of a listener that was added by name.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let index = self
            .builder
            .listeners
            .iter()
            .position(|(other, _)| other == name);
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
        let mut command = Command::new(BINARY);
        command
            .args(arguments)
            .current_dir(self.folder())
            .env(
                "LANDFALL_URL",
                format!("http://127.0.0.1:{}", self.ports.api),
            )
            .env("LANDFALL_TOKEN", self.token());
        command.output().expect("the server's own binary")
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
        self.api = Http::new(ports.api, Some(read_token(self.folder.path())));
        self.ops = Http::new(ports.ops, None);
    }

    /// Looks through the log for secrets and panics.
    fn check_log(&self) {
        let token = fs::read_to_string(self.folder().join("token")).unwrap_or_default();
        // A start that fails makes none.
        let token = Some(token.trim()).filter(|token| !token.is_empty());
        for line in self.log.lines() {
            for secret in SECRETS.iter().copied().chain(token) {
                assert!(!line.contains(secret), "the log shows a secret: {line}");
            }
            assert!(!line.contains("panicked at"), "the server panicked: {line}");
        }
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
