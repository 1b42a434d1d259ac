//! `landfall demo`: everything at once, with lines to copy.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::log::Log;
use crate::harness::ports::Ports;
use crate::harness::process::Process;
use crate::harness::secrets;
use crate::tools::node;

/// A running demo. It is killed when dropped, and its log is then searched for secrets.
struct Demo {
    process: Process,
    /// What it prints: passwords to type among it.
    guide: Log,
    log: Log,
    data_dir: PathBuf,
}

impl Demo {
    fn start(data_dir: &Path) -> Self {
        let (process, guide, log) = spawn(data_dir, &Ports::pick(3));
        // The last of what it prints.
        guide.wait_for(0, &["Ctrl-C"]);
        Self {
            process,
            guide,
            log,
            data_dir: data_dir.to_owned(),
        }
    }

    /// The printed line that begins so and has this in it, without its indentation.
    fn line(&self, start: &str, part: &str) -> String {
        let lines = self.guide.lines();
        let found = lines
            .iter()
            .map(|line| line.trim())
            .find(|line| line.starts_with(start) && line.contains(part));
        found
            .unwrap_or_else(|| panic!("no {start} line with {part}: {lines:#?}"))
            .to_owned()
    }

    /// The event that was printed: from the line that opens it to the one that closes it.
    fn event(&self) -> Value {
        let lines = self.guide.lines();
        let event = lines.iter().skip_while(|line| *line != "{");
        let end = event
            .clone()
            .position(|line| line == "}")
            .expect("the end of an event");
        let text: Vec<&str> = event.take(end + 1).map(String::as_str).collect();
        serde_json::from_str(&text.join("\n")).expect("an event in JSON")
    }

    /// Copies lines into a shell, as a user does.
    fn shell(&self, lines: &[String]) -> Output {
        let export = self.guide.lines();
        let exports = export
            .iter()
            .map(|line| line.trim())
            .filter(|l| l.starts_with("export "));
        let script: Vec<&str> = exports.chain(lines.iter().map(String::as_str)).collect();
        let mut command = Command::new("bash");
        command.args(["-ec", &script.join("\n")]);
        command.output().expect("bash")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.process.signal(Signal::SIGKILL);
        self.process.reap();
        self.log.finish();
        if !thread::panicking() {
            let files = ["token", "psk01.key"].map(|name| self.data_dir.join(name));
            secrets::expect_none(&self.log.lines(), &files.each_ref().map(PathBuf::as_path));
        }
    }
}

/// The process, what it prints, and its log.
fn spawn(data_dir: &Path, ports: &Ports) -> (Process, Log, Log) {
    let Ports {
        mqtt,
        api,
        ops,
        more,
    } = ports;
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command
        .args([
            "demo",
            "--mqtt-port",
            &mqtt.to_string(),
            "--http-port",
            &api.to_string(),
        ])
        .args(["--tls-port", &more[0].to_string()])
        .args(["--ws-port", &more[1].to_string()])
        .args(["--wss-port", &more[2].to_string()])
        .args(["--ops-port", &ops.to_string(), "--data-dir"])
        .arg(data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command);
    let (guide, log) = (Log::default(), Log::default());
    guide.follow(process.child().stdout.take().expect("a piped stream"));
    log.follow(process.child().stderr.take().expect("a piped stream"));
    (process, guide, log)
}

fn text(output: &Output) -> String {
    let streams = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

#[test]
fn the_first_event_is_published_stored_and_shown() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(&folder.path().join("demo"));
    let event = demo.event();
    assert_eq!(event["type"], "io.drogue.event.v1");
    assert_eq!(event["source"], "drogue://demo/sensor01");
    assert_eq!(event["data"], json!({ "temp": 21.5 }));
}

#[test]
fn the_printed_lines_work_side_by_side() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(&folder.path().join("a demo"));
    let mut subscriber = Process::spawn(
        Command::new("bash")
            .args([
                "-c",
                &format!("exec stdbuf -oL {} -d", demo.line("mosquitto_sub", "-t")),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let received = Log::default();
    received.follow(subscriber.child().stdout.take().unwrap());
    received.wait_for(0, &["Subscribed"]);

    for publish in [
        demo.line("mosquitto_pub", "sensor01@"),
        demo.line("mosquitto_pub", "gateway01@"),
    ] {
        let output = demo.shell(&[publish]);
        assert!(output.status.success(), "{}", text(&output));
    }
    let command = demo.shell(&[demo.line("curl", "/api/command/")]);
    assert!(
        text(&command).contains("acknowledged"),
        "{}",
        text(&command)
    );
    received.wait_for(0, &["command/inbox//set-temp", "{\"target\":23}"]);

    let events = demo.shell(&[format!("{} -s", demo.line("curl", "/api/events/"))]);
    let events: Value = serde_json::from_slice(&events.stdout).expect("a batch of events");
    let published: Vec<(&Value, &Value)> = events
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "io.drogue.event.v1")
        .map(|event| (&event["device"], &event["data"]["temp"]))
        .collect();
    let (sensor01, sensor02) = (json!("sensor01"), json!("sensor02"));
    let (first, second, third) = (json!(21.5), json!(22.5), json!(19));
    assert_eq!(
        published,
        [
            (&sensor01, &first),
            (&sensor01, &second),
            (&sensor02, &third)
        ]
    );
}

#[test]
fn the_printed_lines_of_every_transport_work() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(&folder.path().join("a demo"));
    // All that publish: by password, through a gateway, by certificate, by key, in WebSocket.
    let printed = demo.guide.lines();
    let printed = printed.iter().map(|line| line.trim());
    let lines: Vec<_> = printed
        .filter(|line| line.starts_with("mosquitto_pub") || line.starts_with("npx"))
        .collect();
    assert_eq!(lines.len(), 7, "{lines:#?}");
    for line in lines {
        // As installed for the tests, and no download.
        let mqtt = node::packages().join("node_modules/.bin/mqtt");
        let line = line.replacen("npx mqtt", mqtt.to_str().unwrap(), 1);
        let output = demo.shell(&[line]);
        assert!(output.status.success(), "{}", text(&output));
    }
    let events = demo.shell(&[format!("{} -s", demo.line("curl", "/api/events/"))]);
    let events: Value = serde_json::from_slice(&events.stdout).expect("a batch of events");
    let published: Vec<(&str, f64)> = events
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["subject"] == "temp")
        .map(|event| {
            (
                event["device"].as_str().unwrap(),
                event["data"]["temp"].as_f64().unwrap(),
            )
        })
        .collect();
    let sensor = "sensor01";
    assert_eq!(
        published,
        [
            (sensor, 21.5),
            (sensor, 22.5),
            ("sensor02", 19.0),
            (sensor, 23.0),
            (sensor, 23.5),
            ("psk01", 24.0),
            (sensor, 24.5),
            (sensor, 25.0)
        ]
    );
}

#[test]
fn the_console_is_where_the_demo_says_and_takes_its_token() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(&folder.path().join("demo"));
    let line = demo.line("console", "in a browser");
    let address = line.split_whitespace().nth(1).unwrap();
    let page = demo.shell(&[format!("curl -s --noproxy '*' {address}")]);
    assert!(
        text(&page).contains("<title>Landfall</title>"),
        "{}",
        text(&page)
    );
    // What it asks for first, with the token that was typed.
    let own = demo.line("curl", "/api/events/").replace(
        "/api/events/v1alpha1/apps/demo",
        "/api/tokens/v1alpha1/self",
    );
    let own = demo.shell(&[format!("{own} -s -f")]);
    assert!(own.status.success(), "{}", text(&own));
    let shown = demo.line("HTTP API", "the token is in");
    let file = shown
        .split("the token is in ")
        .nth(1)
        .unwrap()
        .trim_end_matches(')');
    let token = demo.shell(&[format!("[ \"$(cat {file})\" = \"$LANDFALL_TOKEN\" ]")]);
    assert!(token.status.success(), "{shown}");
}

#[test]
fn the_printed_command_lines_work() {
    let folder = TempDir::new().unwrap();
    let demo = Demo::start(&folder.path().join("demo"));
    let devices = demo.shell(&[demo.line(env!("CARGO_BIN_EXE_landfall"), "get devices")]);
    for device in ["sensor01", "gateway01", "sensor02"] {
        assert!(text(&devices).contains(device), "{}", text(&devices));
    }
    let command = demo.shell(&[demo.line(env!("CARGO_BIN_EXE_landfall"), " command ")]);
    // Nobody subscribes to it now.
    assert!(!command.status.success(), "{}", text(&command));
}

#[test]
fn the_next_demo_goes_on_with_the_same_files() {
    let folder = TempDir::new().unwrap();
    let data_dir = folder.path().join("demo");
    let mut demo = Demo::start(&data_dir);
    let token = fs::read_to_string(data_dir.join("token")).unwrap();
    let ca = fs::read_to_string(data_dir.join("ca.pem")).unwrap();
    let mode = fs::metadata(data_dir.join("token"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "the token is its owner's alone");
    demo.process.signal(Signal::SIGINT);
    assert!(demo.process.wait().success());

    let demo = Demo::start(&data_dir);
    assert_eq!(fs::read_to_string(data_dir.join("token")).unwrap(), token);
    assert_eq!(fs::read_to_string(data_dir.join("ca.pem")).unwrap(), ca);
    let curl = format!("{} -s", demo.line("curl", "/api/events/"));
    let events: Value = serde_json::from_slice(&demo.shell(&[curl]).stdout).unwrap();
    let published = events.as_array().unwrap().iter();
    assert_eq!(
        published.filter(|event| event["subject"] == "temp").count(),
        2
    );

    // It is one that can be revoked, and the next demo makes another.
    let tokens = demo.line("curl", "/api/events/").replace(
        "/api/events/v1alpha1/apps/demo",
        "/api/tokens/v1alpha1/tokens",
    );
    let listed = text(&demo.shell(&[format!("{tokens} -s")]));
    assert!(listed.contains("\"demo\""), "{listed}");
    demo.shell(&[format!("{tokens}/demo -s -X DELETE")]);
    drop(demo);
    let demo = Demo::start(&data_dir);
    assert_ne!(fs::read_to_string(data_dir.join("token")).unwrap(), token);
    let curl = format!("{} -s", demo.line("curl", "/api/events/"));
    assert!(text(&demo.shell(&[curl])).contains("io.drogue.event.v1"));
}

#[test]
fn a_port_that_is_taken_is_named_with_the_option_that_moves_it() {
    let folder = TempDir::new().unwrap();
    let ports = Ports::pick(3);
    let _holder = TcpListener::bind(("127.0.0.1", ports.api)).unwrap();
    let (mut process, _, log) = spawn(&folder.path().join("demo"), &ports);
    assert!(!process.wait().success());
    log.finish();
    let said = log.lines().join("\n");
    assert!(
        said.contains(&ports.api.to_string()) && said.contains("--http-port"),
        "{said}"
    );
}
