//! MQTT.js in Node, in `tests/clients/node`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::documents::SENSOR_PASSWORD;
use crate::harness::log::Log;
use crate::harness::process::Process;

/// A running script.
pub(crate) struct Script {
    process: Process,
    pub(crate) log: Log,
}

impl Script {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_with(name, arguments, &[])
    }

    /// With further variables of its environment.
    pub(crate) fn start_with(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/node");
        let mut command = Command::new("node");
        command
            .arg(scripts.join(name))
            .args(arguments)
            .env("LANDFALL_TEST_NODE", packages())
            .env("SENSOR_PASSWORD", SENSOR_PASSWORD)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let log = Log::default();
        log.follow(process.child().stdout.take().expect("a piped stream"));
        log.follow(process.child().stderr.take().expect("a piped stream"));
        Self { process, log }
    }

    /// Waits for its end, which is success.
    #[track_caller]
    pub(crate) fn success(mut self) {
        let status = self.process.wait();
        self.log.finish();
        assert!(status.success(), "{}", self.log.lines().join("\n"));
    }
}

/// Where `./tests/run` installs what the lock file names.
pub(crate) fn packages() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tests-node");
    env::var_os("LANDFALL_TEST_NODE").map_or(made, PathBuf::from)
}
