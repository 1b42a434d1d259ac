//! The recipes of the documentation, as they stand there: run against a server, or, where they are
//! for a microcontroller, compiled against the parts of its SDK that they use.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::deploy::repository;
use crate::documentation::blocks;
use crate::harness::Server;
use crate::harness::log::Log;
use crate::harness::process::Process;
use crate::harness::wait;
use crate::tools::authority::{Authority, Leaf};
use crate::tools::{node, paho};

/// The application of the recipes.
const APP: &str = "my-app";

/// Sections of the page that have a recipe, with its language.
const RECIPES: [(&str, &str); 6] = [
    ("mosquitto", "sh"),
    ("Python", "python"),
    ("Node and browsers", "js"),
    ("ESP-IDF", "c"),
    ("Arduino", "cpp"),
    ("AWS IoT SDK", "python"),
];

fn page() -> String {
    fs::read_to_string(repository().join("docs/recipes.md")).unwrap()
}

/// The recipe of a section.
fn recipe(section: &str) -> String {
    let page = page();
    let (_, rest) = page.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let mut found = blocks(section);
    let (_, body) = found.next().unwrap();
    assert_eq!(found.next(), None, "one block: {section}");
    body.to_owned()
}

/// A server as the page has it: its documents, its authority, its device's certificate; and the
/// recipes' folder.
fn start() -> Server {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost"]);
    let device = authority.issue(&Leaf::device("sensor01"));
    let page = page();
    let (_, documents) = blocks(&page)
        .find(|(language, _)| *language == "yaml")
        .unwrap();
    let server = Server::builder()
        .file("devices.yaml", documents)
        .file("ca.pem", &authority.pem)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .file("sensor01.pem", &device.chain)
        .file("sensor01.key", &device.key)
        .also_listen(
            "tls",
            "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
             client_certificates = true\n",
        )
        .start();
    let applied = server.cli(&["apply", "-f", "devices.yaml"]);
    assert!(applied.status.success(), "{applied:?}");
    server
}

/// The recipe, for this server instead of the page's.
fn adapted(recipe: &str, server: &Server) -> String {
    recipe
        .replace("mqtt.example.com", "localhost")
        .replace("8883", &server.port("tls").to_string())
}

/// A recipe that runs, and what it said.
struct Running {
    process: Process,
    log: Log,
}

impl Running {
    fn start(command: &mut Command, server: &Server) -> Self {
        command
            .current_dir(server.folder())
            // Held open: who reads it waits.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(command);
        let log = Log::default();
        log.follow(process.child().stdout.take().unwrap());
        log.follow(process.child().stderr.take().unwrap());
        Self { process, log }
    }

    /// Its event has arrived, and a command reaches it.
    fn works(mut self, server: &Server) {
        let event = server.wait_published(APP, 1).remove(0);
        assert_eq!(event["device"], "sensor01");
        assert_eq!(event["subject"], "temperature");
        assert_eq!(event["data"], json!({ "celsius": 21.5 }));
        self.takes_a_command(server);
    }

    fn takes_a_command(&mut self, server: &Server) {
        let path = format!("/api/command/v1alpha1/apps/{APP}/devices/sensor01?command=reboot");
        wait::until("a device that takes commands", || {
            assert!(self.process.ended().is_none(), "{:#?}", self.log.lines());
            let answer = server.api().post_json(&path, &json!({ "now": true }));
            answer.text().contains("acknowledged").then_some(())
        });
        self.log.wait_for(0, &["reboot", "now"]);
    }
}

/// The interpreter stays when the script has ended, as the rest of a device's program would.
fn python(script: &str, server: &Server) -> Running {
    fs::write(server.folder().join("recipe.py"), script).unwrap();
    let mut command = Command::new(paho::python());
    command
        .args(["-i", "recipe.py"])
        .env("PYTHONUNBUFFERED", "1");
    Running::start(&mut command, server)
}

#[test]
fn the_recipe_for_python_works() {
    let server = start();
    python(&adapted(&recipe("Python"), &server), &server).works(&server);
}

#[test]
fn the_recipe_for_the_aws_iot_sdk_works() {
    let server = start();
    // The certificate's authority is the application's.
    let path = format!("/api/registry/v1alpha1/apps/{APP}");
    let mut application = server.api().get(&path).expect_status(200).json();
    let ca = fs::read_to_string(server.folder().join("ca.pem")).unwrap();
    application["spec"]["trustAnchors"] = json!({ "anchors": [{ "certificate": ca }] });
    server
        .api()
        .put_json(&path, &application)
        .expect_status(200);
    python(&adapted(&recipe("AWS IoT SDK"), &server), &server).works(&server);
}

#[test]
fn the_recipe_for_node_works() {
    let server = start();
    let script = server.folder().join("recipe.mjs");
    fs::write(&script, adapted(&recipe("Node and browsers"), &server)).unwrap();
    let installed = node::packages().join("node_modules");
    symlink(
        installed.canonicalize().unwrap(),
        server.folder().join("node_modules"),
    )
    .unwrap();
    let mut command = Command::new("node");
    command.arg(script).env("NODE_EXTRA_CA_CERTS", "ca.pem");
    Running::start(&mut command, &server).works(&server);
}

#[test]
fn the_recipe_for_mosquitto_works() {
    let server = start();
    let recipe = adapted(&recipe("mosquitto"), &server);
    let (publish, subscribe) = recipe.split_once("\nmosquitto_sub").unwrap();
    let shell = |script: &str| {
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "bash", "-c", &format!("exec {script}")]);
        command
    };
    let published = shell(publish)
        .current_dir(server.folder())
        .output()
        .unwrap();
    assert!(published.status.success(), "{published:?}");
    let mut command = shell(&format!("mosquitto_sub{subscribe}"));
    Running::start(&mut command, &server).works(&server);
}

fn stubs() -> PathBuf {
    repository().join("tests/clients/stubs")
}

/// Checks a program with all warnings.
fn compile(compiler: &str, language: &str, options: &[&Path], program: &str) {
    let folder = TempDir::new().unwrap();
    let source = folder.path().join("recipe");
    fs::write(&source, program).unwrap();
    let mut command = Command::new(compiler);
    command
        .args(["-fsyntax-only", "-Wall", "-Wextra", "-Werror"])
        // Callbacks have more of them than they need.
        .arg("-Wno-unused-parameter")
        .args(
            options
                .iter()
                .flat_map(|file| [Path::new("-include"), file]),
        )
        .arg("-I")
        .arg(stubs().join("arduino"))
        .args(["-x", language])
        .arg(&source);
    let compiled = command.output().unwrap();
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{said}");
}

#[test]
fn the_recipe_for_esp_idf_compiles() {
    let sdk = stubs().join("esp_idf.h");
    compile("cc", "c", &[&sdk], &recipe("ESP-IDF"));
}

#[test]
fn the_recipe_for_arduino_compiles() {
    let core = stubs().join("arduino/Arduino.h");
    let recipe = recipe("Arduino");
    // As the tool chain links it: both are there.
    let sketch = format!("{recipe}\nvoid (*const parts[])() = {{setup, loop}};\n");
    compile("c++", "c++", &[&core], &sketch);
}

/// All of them are the same device, so that whoever tries one after the other changes nothing.
#[test]
fn the_recipes_agree_on_the_device_and_its_server() {
    let page = page();
    let sections = page.lines().filter_map(|line| line.strip_prefix("## "));
    let known: BTreeMap<_, _> = RECIPES.into();
    for section in sections {
        let language = known
            .get(section)
            .unwrap_or_else(|| panic!("{section} is not tested"));
        assert!(page.contains(&format!("```{language}\n")));
        let recipe = recipe(section);
        let log_in: &[&str] = match section {
            "AWS IoT SDK" => &["sensor01.pem", "sensor01.key"],
            _ => &["sensor01@my-app", "a-long-password"],
        };
        let all = ["mqtt.example.com", "8883", "temperature", "command/inbox/#"];
        for part in all.iter().chain(log_in) {
            assert!(recipe.contains(part), "{section} has no {part}");
        }
    }
}
