//! `mosquitto_pub` and `mosquitto_sub`.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::Server;
use crate::harness::documents::{password, user};
use crate::harness::log::Log;
use crate::harness::process::Process;
use crate::harness::wait;
use crate::wire::Version;

/// How long a client may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(10);

/// Stands at the start of each line that reports a message.
const MESSAGE: &str = "MESSAGE ";

/// How a client that ended did so.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) output: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.output);
        self
    }
}

fn version_flag(version: Version) -> &'static str {
    match version {
        Version::V31 => "mqttv31",
        Version::V311 => "mqttv311",
        Version::V5 => "mqttv5",
    }
}

/// A client of `server` in line-buffered, chatty mode, so that what it does can be waited for.
fn client(program: &str, server: &Server, version: Version, arguments: &[&str]) -> (Process, Log) {
    let port = server.mqtt().port().to_string();
    let mut command = Command::new("stdbuf");
    command
        .args(["-oL", program, "-d", "-h", "127.0.0.1", "-p", &port])
        .args(["-V", version_flag(version)])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command);
    let log = Log::default();
    log.follow(process.child().stdout.take().expect("a piped stream"));
    log.follow(process.child().stderr.take().expect("a piped stream"));
    (process, log)
}

/// The log-in of a shared device; level 3 has no empty client id.
fn log_in(device: &str, role: &str) -> [String; 6] {
    let id = format!("{device}-{role}");
    [
        "-u".into(),
        user(device),
        "-P".into(),
        password(device).into(),
        "-i".into(),
        id,
    ]
}

/// Runs `mosquitto_pub` to its end, with these arguments only.
pub(crate) fn publish_as_told(server: &Server, version: Version, arguments: &[&str]) -> Ended {
    let (mut process, log) = client("mosquitto_pub", server, version, arguments);
    let status = process.wait();
    log.finish();
    let code = status.code().expect("an exit code");
    Ended {
        code,
        output: log.lines().join("\n"),
    }
}

/// Runs `mosquitto_pub` to its end as a shared device.
pub(crate) fn publish(
    server: &Server,
    version: Version,
    device: &str,
    arguments: &[&str],
) -> Ended {
    let log_in = log_in(device, "pub");
    let arguments: Vec<&str> = log_in
        .iter()
        .map(String::as_str)
        .chain(arguments.iter().copied())
        .collect();
    publish_as_told(server, version, &arguments)
}

/// A running `mosquitto_sub`.
pub(crate) struct Subscriber {
    process: Process,
    log: Log,
    taken: usize,
}

impl Subscriber {
    /// Subscribes as a shared device, and waits until the server has answered.
    pub(crate) fn start(
        server: &Server,
        version: Version,
        device: &str,
        filter: &str,
        arguments: &[&str],
    ) -> Self {
        let log_in = log_in(device, "sub");
        let arguments: Vec<&str> = log_in
            .iter()
            .map(String::as_str)
            .chain(["-t", filter])
            .chain(arguments.iter().copied())
            .collect();
        Self::start_as_told(server, version, &arguments)
    }

    /// Subscribes with these arguments, and waits until the server has answered.
    pub(crate) fn start_as_told(server: &Server, version: Version, arguments: &[&str]) -> Self {
        let format = format!("{MESSAGE}%t %q %p");
        let arguments = [&["-F", &*format][..], arguments].concat();
        let (process, log) = client("mosquitto_sub", server, version, &arguments);
        log.wait_for(0, &["Subscribed (mid: 1)"]);
        Self {
            process,
            log,
            taken: 0,
        }
    }

    /// Everything that it wrote.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// The line that tells what was granted.
    pub(crate) fn granted(&self) -> String {
        self.log.wait_for(0, &["Subscribed (mid: 1)"])
    }

    /// The next message: topic, QoS and payload, in one line.
    pub(crate) fn message(&mut self) -> String {
        let found = wait::until("a message at mosquitto_sub", || {
            self.messages().get(self.taken).cloned()
        });
        self.taken += 1;
        found
    }

    /// All messages so far.
    pub(crate) fn messages(&self) -> Vec<String> {
        let lines = self.log.lines();
        lines
            .iter()
            .filter_map(|line| line.strip_prefix(MESSAGE))
            .map(str::to_owned)
            .collect()
    }

    /// Asks the client to say goodbye and end.
    ///
    /// `mosquitto_sub` takes locks in its signal handler, so a signal that meets it within its
    /// library can hang it for good: then it is ended without a goodbye.
    pub(crate) fn stop(mut self) {
        self.process.signal(Signal::SIGTERM);
        if !self.process.ends_within(GOODBYE) {
            self.process.signal(Signal::SIGKILL);
            self.process.wait();
        }
    }

    /// Ends the client at once, without a goodbye.
    pub(crate) fn kill(mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.wait();
    }
}
