//! What a server is started with, and its start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{BINARY, Server, read_token};
use crate::harness::api::Http;
use crate::harness::documents::{self, APP};
use crate::harness::log::Log;
use crate::harness::ports::Ports;
use crate::harness::process::Process;
use crate::harness::wait;
use crate::tools::authority::Authority;
use crate::tools::tunnel::Tunnel;
use crate::wire::secure::Tls;

/// How often a start is tried again with other ports.
const STARTS: usize = 5;

/// What a server is started with.
#[derive(Default)]
pub(crate) struct Builder {
    settings: String,
    listener: String,
    /// Further listeners: name and keys.
    listeners: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
    no_log_sink: bool,
    data_dir: Option<PathBuf>,
    environment: Vec<(String, String)>,
    unready: bool,
    /// Arguments of `ulimit`.
    resources: Vec<String>,
    /// Who vouches for the API, in PEM, if it is served over TLS.
    api_authority: Option<String>,
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

    /// Adds a listener `tls`, with a certificate of this authority for `localhost`, and a listener `ws`,
    /// for WebSocket: together with the first one, a way in of each kind.
    pub(crate) fn with_every_way_in(self, authority: &Authority) -> Self {
        let issued = authority.server(&["localhost"]);
        let tls = "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"";
        self.file("server.pem", &issued.chain)
            .file("server.key", &issued.key)
            .also_listen("tls", tls)
            .also_listen("ws", "transport = \"websocket\"")
    }

    /// Serves the API over TLS, with a certificate of this authority, which is in `api-ca.pem`.
    pub(crate) fn api_over_tls(mut self, authority: &Authority) -> Self {
        let issued = authority.server(&["localhost"]);
        self.api_authority = Some(authority.pem.clone());
        self.file("api.pem", &issued.chain)
            .file("api.key", &issued.key)
            .file("api-ca.pem", &authority.pem)
            .settings("[api.tls]\ncertificate = \"api.pem\"\nkey = \"api.key\"")
    }

    /// A way to the API that speaks TLS for clients that do not.
    pub(super) fn tunnel(&self, ports: &Ports) -> Option<Tunnel> {
        let authority = self.api_authority.as_ref()?;
        Some(Tunnel::start(ports.api, &Tls::trusting(authority)))
    }

    /// Puts a file beside the configuration file.
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files
            .push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Leaves out the embedded log, for a test that names its own sinks.
    pub(crate) fn without_log_sink(mut self) -> Self {
        self.no_log_sink = true;
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
        let tunnel = self.tunnel(&ports);
        let port = tunnel.as_ref().map_or(ports.api, |tunnel| tunnel.port);
        let api = Http::new(port, Some(read_token(folder.path())));
        let ops = Http::new(ports.ops, None);
        Server {
            process,
            tunnel,
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

    pub(super) fn launch(&self, folder: &Path) -> (Process, Ports, Log) {
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

    /// The place of a listener that was added by name.
    pub(super) fn index(&self, listener: &str) -> Option<usize> {
        self.listeners.iter().position(|(name, _)| name == listener)
    }

    fn spawn(&self, folder: &Path, ports: &Ports, log: &Log) -> Process {
        let file = folder.join("landfall.toml");
        fs::write(&file, self.configuration(folder, ports)).expect("a writable folder");
        let mut command = if self.resources.is_empty() {
            Command::new(&*BINARY)
        } else {
            let limits = self.resources.iter();
            let limits: String = limits.map(|limit| format!("ulimit {limit} && ")).collect();
            let mut shell = Command::new("/bin/sh");
            shell
                .args(["-c", &format!("{limits}exec \"$0\" \"$@\"")])
                .arg(&*BINARY);
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
        let sink = if self.no_log_sink {
            ""
        } else {
            "[[sinks]]\nname = \"events\"\ntype = \"log\"\n"
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
