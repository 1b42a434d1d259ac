//! The command line as its users meet it: exit codes, what goes to which stream, and the demo.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

/// The program, in a folder of its own and without this test's environment.
fn landfall(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    landfall(folder, arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn fails_with(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    assert_eq!(stdout(output), "");
    for word in words {
        assert!(stderr(output).contains(word), "{word}: {}", stderr(output));
    }
}

/// The demo's options for ports.
const PORTS: [&str; 6] = [
    "--mqtt-port",
    "--tls-port",
    "--ws-port",
    "--wss-port",
    "--http-port",
    "--ops-port",
];

/// What a demo logs to, in its folder.
const LOG: &str = "demo.log";

const CONFIG: &str = "data_dir = 'data'\n[[listeners]]\nbind = '127.0.0.1:0'\n";

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = TempDir::new().unwrap();
    for arguments in [
        &[][..],
        &["nothing"],
        &["serve"],
        &["apply"],
        &["get", "device"],
        &["command", "app", "device"],
        &["events", "app", "--after", "x"],
        &["demo", "--mqtt-port", "65536"],
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("--help"), "{}", stderr(&output));
    }
}

#[test]
fn help_names_the_variables_but_does_not_show_the_token() {
    let folder = TempDir::new().unwrap();
    let mut command = landfall(folder.path(), &["events", "--help"]);
    command.env("LANDFALL_TOKEN", "a-secret-that-nobody-sees");
    let help = stdout(&command.output().unwrap());
    assert!(help.contains("LANDFALL_TOKEN"), "{help}");
    assert!(!help.contains("a-secret-that-nobody-sees"), "{help}");
}

#[test]
fn a_valid_configuration_is_said_to_be_valid() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("landfall.toml"), CONFIG).unwrap();
    let output = run(folder.path(), &["check-config", "landfall.toml"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), "landfall.toml: valid\n");
    assert_eq!(stderr(&output), "");
    assert!(
        !folder.path().join("data").exists(),
        "checking makes nothing"
    );
}

#[test]
fn a_wrong_configuration_is_refused_with_its_line_or_variable() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("a.toml"),
        format!("{CONFIG}colour = 1\n"),
    )
    .unwrap();
    for arguments in [
        &["check-config", "a.toml"][..],
        &["serve", "--config", "a.toml"],
    ] {
        let output = run(folder.path(), arguments);
        fails_with(&output, &["a.toml:4:1", "unknown field `colour`"]);
    }
    fs::write(folder.path().join("b.toml"), CONFIG).unwrap();
    let mut command = landfall(folder.path(), &["check-config", "b.toml"]);
    let output = command
        .env("LANDFALL__LIMITS__CONNECTIONS", "0")
        .output()
        .unwrap();
    fails_with(
        &output,
        &["environment variable LANDFALL__LIMITS__CONNECTIONS"],
    );
    let missing = run(folder.path(), &["check-config", "missing.toml"]);
    fails_with(&missing, &["missing.toml"]);
}

#[test]
fn check_config_warns_of_what_is_seldom_meant() {
    let folder = TempDir::new().unwrap();
    let open = CONFIG.replace("127.0.0.1:0", "0.0.0.0:1883");
    fs::write(folder.path().join("landfall.toml"), open).unwrap();
    let output = run(folder.path(), &["check-config", "landfall.toml"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stderr(&output).contains("warning: listener 0.0.0.0:1883"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn serve_refuses_to_start_without_a_usable_token() {
    let folder = TempDir::new().unwrap();
    let config = format!("{CONFIG}[api]\nbind = '127.0.0.1:0'\ntoken_file = 'token'\n");
    fs::write(folder.path().join("landfall.toml"), config).unwrap();
    fs::write(folder.path().join("token"), "tooshort").unwrap();
    let output = run(folder.path(), &["serve", "--config", "landfall.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("at least 16 characters"),
        "{}",
        stderr(&output)
    );
    assert!(!stderr(&output).contains("tooshort"), "{}", stderr(&output));
}

#[test]
fn serve_refuses_to_start_without_the_system_of_a_sink_that_is_to_fail_fast() {
    let folder = TempDir::new().unwrap();
    let sink = "[api]\nbind = '127.0.0.1:0'\n[[sinks]]\nname = 'far'\ntype = 'nats'\nservers = ['nats://127.0.0.1:1']\n\
                fail_fast = true\n";
    fs::write(
        folder.path().join("landfall.toml"),
        format!("{CONFIG}{sink}"),
    )
    .unwrap();
    let output = run(folder.path(), &["serve", "--config", "landfall.toml"]);
    assert_eq!(output.status.code(), Some(1));
    for word in ["far", "fail_fast", "no connection to a NATS server"] {
        assert!(
            stderr(&output).contains(word),
            "{word}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_client_without_token_or_server_says_so() {
    let folder = TempDir::new().unwrap();
    fails_with(&run(folder.path(), &["get", "apps"]), &["LANDFALL_TOKEN"]);
    // Bound and not listened to by anybody after this line.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let arguments = ["get", "apps", "--token", "secret-token", "--url", &url];
    let output = run(folder.path(), &arguments);
    fails_with(&output, &[&url, "refused"]);
    assert!(!stderr(&output).contains("secret-token"));
    let arguments = [
        "get",
        "apps",
        "--token",
        "secret-token",
        "--url",
        "ftp://localhost",
    ];
    fails_with(&run(folder.path(), &arguments), &["no http or https URL"]);
}

/// A demo on ports of the system's choice. It is killed when dropped, and its log is then searched
/// for secrets.
struct Demo {
    child: Child,
    folder: PathBuf,
    /// What it has printed.
    guide: String,
}

impl Demo {
    fn start(folder: &Path) -> Self {
        let ports = PORTS.iter().flat_map(|option| [*option, "0"]);
        let mut command = landfall(folder, &["demo"]);
        let log = fs::File::create(folder.join(LOG)).unwrap();
        let command = command.args(ports).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut guide = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !guide.contains("Ctrl-C ends the demo") {
            assert_ne!(
                lines.read_line(&mut guide).unwrap(),
                0,
                "the demo ended: {guide}"
            );
        }
        Self {
            child,
            folder: folder.to_owned(),
            guide,
        }
    }

    /// The event that it shows.
    fn event(&self) -> Value {
        let start = self.guide.find("\n{\n").unwrap();
        let end = self.guide.find("\n}\n").unwrap();
        serde_json::from_str(&self.guide[start..end + 2]).unwrap()
    }

    /// Runs a line of the guide that contains `part`, in the shell that the guide is written for.
    fn line(&self, folder: &Path, part: &str) -> Output {
        let exports = self
            .guide
            .lines()
            .filter(|line| line.starts_with("  export "));
        let line = self
            .guide
            .lines()
            .find(|line| line.starts_with("  ") && line.contains(part));
        let script: Vec<_> = exports.chain(line).collect();
        let mut shell = Command::new("sh");
        shell
            .args(["-ec", &script.join("\n")])
            .current_dir(folder)
            .stdin(Stdio::null());
        shell.output().unwrap()
    }

    fn expect_no_secret_in_the_log(&self) {
        let log = fs::read_to_string(self.folder.join(LOG)).unwrap();
        let made = ["token", "psk01.key"].map(|name| {
            let file = self.folder.join("landfall-demo").join(name);
            fs::read_to_string(file).unwrap().trim().to_owned()
        });
        let known = ["sensor01-secret", "gateway01-secret"].map(str::to_owned);
        for secret in made.iter().chain(&known) {
            assert!(!log.contains(secret), "the log shows a secret:\n{log}");
        }
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            self.expect_no_secret_in_the_log();
        }
    }
}

#[test]
fn the_demo_shows_an_event_and_lines_that_work_and_starts_again() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(folder.path());
    let event = demo.event();
    assert_eq!(event["type"], "io.drogue.event.v1");
    assert_eq!(event["source"], "drogue://demo/sensor01");
    assert_eq!(event["data"]["temp"], 21.5);
    let psk = fs::read_to_string(folder.path().join("landfall-demo/psk01.key")).unwrap();
    assert_eq!(psk.trim().len(), 64);

    let devices = demo.line(folder.path(), " get devices demo");
    for device in ["sensor01", "gateway01", "sensor02", "psk01"] {
        assert!(stdout(&devices).contains(device), "{}", stdout(&devices));
    }
    // Nobody is subscribed, so the sender is told.
    let command = demo.line(folder.path(), " command demo sensor01 ");
    fails_with(&command, &["not connected"]);
    demo.interrupt();

    let again = Demo::start(folder.path());
    assert_ne!(again.event()["id"], event["id"]);
    assert_eq!(
        again.event()["deviceuid"],
        event["deviceuid"],
        "the same device"
    );
    let kept = fs::read_to_string(folder.path().join("landfall-demo/psk01.key")).unwrap();
    assert_eq!(kept, psk);
    again.interrupt();
}

#[test]
fn a_port_that_is_taken_is_named_with_the_option_that_moves_it() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in PORTS {
        let mut arguments = vec!["demo"];
        for other in PORTS {
            arguments.extend([other, if other == option { &port } else { "0" }]);
        }
        fails_with(&run(folder.path(), &arguments), &[option, &port]);
        assert!(
            !folder.path().join("landfall-demo").exists(),
            "nothing is left behind"
        );
    }
}

#[test]
fn events_end_quietly_when_nobody_reads_them() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(folder.path());
    let token = fs::read_to_string(folder.path().join("landfall-demo/token")).unwrap();
    let url = demo
        .guide
        .lines()
        .find_map(|line| line.trim().strip_prefix("export LANDFALL_URL="));
    let mut command = landfall(folder.path(), &["events", "demo"]);
    let mut child = command
        .env("LANDFALL_URL", url.unwrap())
        .env("LANDFALL_TOKEN", token.trim())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{told}");
    assert_eq!(told, "");
    demo.interrupt();
}
