//! What the command line says about a machine, a configuration, and itself.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::Server;
use crate::tools::authority::Authority;

fn doctor(server: &Server, file: &str) -> (i32, Vec<Value>) {
    let run = server.cli(&["doctor", "--config", file, "-o", "json"]);
    let findings = serde_json::from_slice(&run.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&run.stderr)));
    (run.status.code().unwrap(), findings)
}

/// The verdict on the first thing whose name has this part.
#[track_caller]
fn verdict<'a>(findings: &'a [Value], part: &str) -> (&'a str, &'a str) {
    let text = |finding: &'a Value, key: &str| finding[key].as_str().unwrap();
    let found = findings
        .iter()
        .find(|finding| text(finding, "what").contains(part));
    let found = found.unwrap_or_else(|| panic!("nothing about {part}: {findings:#?}"));
    (text(found, "verdict"), text(found, "text"))
}

#[test]
fn the_doctor_finds_nothing_wrong_beside_a_running_server() {
    let server = Server::builder().start();
    let (code, findings) = doctor(&server, "landfall.toml");
    assert_eq!(code, 0, "{findings:#?}");
    assert_eq!(verdict(&findings, "configuration").0, "good");
    let (word, text) = verdict(&findings, "address 127.0.0.1");
    assert!(word == "warning" && text.contains("in use"), "{text}");
    assert_eq!(verdict(&findings, "data folder").0, "good");
    assert_eq!(verdict(&findings, "token file").0, "good");
}

#[test]
fn the_doctor_names_what_will_not_work() {
    let server = Server::builder().start();
    let issued = Authority::root("root").server(&["localhost"]);
    let folder = server.folder();
    fs::write(folder.join("server.pem"), &issued.chain).unwrap();
    fs::write(folder.join("server.key"), &issued.key).unwrap();
    fs::write(
        folder.join("sick.toml"),
        "data_dir = \"sick\"\n\
         [[listeners]]\nbind = \"127.0.0.1:0\"\n\
         [listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
         [[sinks]]\nname = \"backend\"\ntype = \"http\"\nurl = \"http://127.0.0.1:1/in\"\n\
         [[command_sources]]\nname = \"desk\"\ntype = \"nats\"\n\
         servers = [\"nats://127.0.0.1:2\"]\n\
         [[command_sources]]\nname = \"broker\"\ntype = \"mqtt\"\n\
         url = \"mqtt://127.0.0.1:3\"\n\
         [[command_sources]]\nname = \"log\"\ntype = \"kafka\"\nbrokers = \"127.0.0.1:4\"\n\
         topic = \"commands\"\n\
         [telemetry]\notlp_endpoint = \"http://127.0.0.1:5/v1/traces\"\n",
    )
    .unwrap();
    let (code, findings) = doctor(&server, "sick.toml");
    assert_eq!(code, 1);
    for (silent, address) in [
        ("sink backend", "127.0.0.1:1"),
        ("command source desk", "127.0.0.1:2"),
        ("command source broker", "127.0.0.1:3"),
        ("command source log", "127.0.0.1:4"),
        ("[telemetry]", "127.0.0.1:5"),
    ] {
        let (word, text) = verdict(&findings, silent);
        assert!(word == "bad" && text.contains(address), "{silent}: {text}");
    }
    let (word, text) = verdict(&findings, "certificate ");
    assert!(word != "bad" && text.contains("days"), "{text}");
    assert!(!folder.join("sick").exists(), "it changes nothing");

    let healthy = fs::read_to_string(folder.join("landfall.toml")).unwrap();
    for (key, expected, part) in [("server.key", "good", "days"), ("server.pem", "bad", "key")] {
        let tls = format!("[api.tls]\ncertificate = \"server.pem\"\nkey = \"{key}\"\n");
        fs::write(folder.join("api.toml"), format!("{healthy}{tls}")).unwrap();
        let (_, findings) = doctor(&server, "api.toml");
        let what = if expected == "bad" {
            "[api.tls]"
        } else {
            "certificate "
        };
        let (word, text) = verdict(&findings, what);
        assert!(word == expected && text.contains(part), "{text}");
    }

    fs::write(folder.join("wrong.toml"), "data_dirr = \"x\"\n").unwrap();
    let (code, findings) = doctor(&server, "wrong.toml");
    assert_eq!(code, 1);
    assert_eq!(verdict(&findings, "configuration").0, "bad");
}

fn landfall(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    let run = command.args(arguments).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    run
}

pub(crate) const SUBCOMMANDS: [&str; 17] = [
    "demo",
    "serve",
    "check-config",
    "config-reference",
    "doctor",
    "health",
    "apply",
    "export",
    "import",
    "get",
    "delete",
    "token",
    "events",
    "command",
    "completions",
    "man",
    "help",
];

#[test]
fn every_subcommand_is_in_the_help_the_completions_the_manual_and_the_documentation() {
    let help = String::from_utf8(landfall(&["--help"]).stdout).unwrap();
    let listed = help.lines().filter_map(|line| line.strip_prefix("  "));
    let listed: Vec<_> = listed
        .filter(|line| line.starts_with(char::is_alphabetic) && !line.starts_with("landfall"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(listed, SUBCOMMANDS);
    assert!(
        help.contains("Examples:") && help.contains("Exit codes:"),
        "{help}"
    );
    assert!(
        !help.contains('\u{1b}'),
        "no colour but on a terminal: {help}"
    );

    let page = crate::deploy::repository().join("docs/cli.md");
    let page = fs::read_to_string(page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    landfall(&["man", "--dir", pages.to_str().unwrap()]);
    for name in SUBCOMMANDS.iter().filter(|name| **name != "help") {
        assert!(
            page.contains(&format!("`{name}")),
            "docs/cli.md lacks {name}"
        );
        let manual = fs::read_to_string(pages.join(format!("landfall-{name}.1"))).unwrap();
        assert!(manual.contains(".SH SYNOPSIS"), "{manual}");
    }
    let manual = String::from_utf8(landfall(&["man"]).stdout).unwrap();
    assert!(manual.contains(".TH landfall 1"), "{manual}");
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(landfall(&["completions", shell]).stdout).unwrap();
        for name in SUBCOMMANDS {
            assert!(script.contains(name), "{shell} does not know {name}");
        }
    }
}
