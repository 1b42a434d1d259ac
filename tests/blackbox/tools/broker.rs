//! `mosquitto` as the broker that events go to, and `mosquitto_sub` reading what it got.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::log::Log;
use crate::harness::ports;
use crate::harness::process::Process;
use crate::harness::wait;

/// A running broker, with a folder of its own.
pub(crate) struct Broker {
    _process: Process,
    log: Log,
    folder: TempDir,
    port: u16,
}

impl Broker {
    /// Starts it with these lines of configuration for its one listener, and these files beside.
    pub(crate) fn start(settings: &str, files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = ports::free();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).expect("a writable folder");
        }
        let folder_name = folder.path().display().to_string();
        let config = format!(
            "user root\nlog_dest stderr\nlog_type all\nmax_queued_messages 0\n\
             listener {port} 127.0.0.1\n{}\n",
            settings.replace("FOLDER", &folder_name)
        );
        let file = folder.path().join("mosquitto.conf");
        fs::write(&file, config).expect("a writable folder");
        let mut process = Process::spawn(
            Command::new("mosquitto")
                .arg("-c")
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped()),
        );
        let log = Log::default();
        log.follow(process.child().stderr.take().expect("a piped stream"));
        log.wait_for(0, &["running"]);
        Self {
            _process: process,
            log,
            folder,
            port,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Subscribes to everything, with these further arguments.
    pub(crate) fn subscribe(&self, arguments: &[&str]) -> Reader {
        let mark = self.log.mark();
        let port = self.port.to_string();
        let mut process = Process::spawn(
            Command::new("stdbuf")
                .args(["-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", &port])
                .args([
                    "-V", "mqttv5", "-i", "reader", "-q", "1", "-t", "#", "-F", "%j",
                ])
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let lines = Log::default();
        lines.follow(process.child().stdout.take().expect("a piped stream"));
        self.log.wait_for(mark, &["Sending SUBACK to reader"]);
        Reader {
            _process: process,
            lines,
        }
    }
}

/// A subscriber's messages, as `mosquitto_sub` describes them in JSON.
pub(crate) struct Reader {
    _process: Process,
    lines: Log,
}

impl Reader {
    /// All messages so far; a payload that is JSON stands as such.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let lines = self.lines.lines();
        let parse = |line: &String| {
            let mut message: Value = serde_json::from_str(line).expect("JSON");
            let text = message["payload"].as_str().unwrap_or_default();
            if let Ok(payload) = serde_json::from_str(text) {
                message["payload"] = payload;
            }
            message
        };
        lines.iter().map(parse).collect()
    }

    /// Waits for a message of this topic.
    pub(crate) fn message(&self, topic: &str) -> Value {
        wait::until(&format!("a message on {topic}"), || {
            let of_topic = |message: &Value| message["topic"] == topic;
            self.messages().into_iter().find(of_topic)
        })
    }

    /// The lines themselves.
    pub(crate) fn lines(&self) -> &Log {
        &self.lines
    }
}
