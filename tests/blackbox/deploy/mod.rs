//! The files in `deploy/`, held against the program that they are for.

mod debian;
mod image;
mod kubernetes;
mod package;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::tools::authority::Authority;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    let path = repository().join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a YAML file.
pub(crate) fn yaml(name: &str) -> Vec<Value> {
    let documents = serde_saphyr::from_multiple(&read(name));
    documents.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn landfall(arguments: &[&str], environment: &BTreeMap<String, String>, folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
    command.args(arguments).env_clear().envs(environment);
    command.current_dir(folder).output().unwrap()
}

/// The command line is one that the program has: wrong usage is exit code 2.
#[track_caller]
fn check_usage(arguments: &[&str]) {
    let folder = TempDir::new().unwrap();
    let mut elsewhere: Vec<_> = arguments.to_vec();
    for argument in &mut elsewhere {
        if argument.ends_with(".toml") {
            *argument = "missing.toml";
        }
    }
    let run = landfall(&elsewhere, &BTreeMap::new(), folder.path());
    assert_eq!(run.status.code(), Some(1), "{arguments:?}: {run:?}");
}

/// `check-config` takes this text, with the files that it names beside it.
#[track_caller]
fn check_configuration(text: &str, environment: &BTreeMap<String, String>) {
    let folder = TempDir::new().unwrap();
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost"]);
    fs::create_dir(folder.path().join("tls")).unwrap();
    fs::write(folder.path().join("tls/tls.crt"), &issued.chain).unwrap();
    fs::write(folder.path().join("tls/tls.key"), &issued.key).unwrap();
    fs::write(folder.path().join("landfall.toml"), text).unwrap();
    let run = landfall(
        &["check-config", "landfall.toml"],
        environment,
        folder.path(),
    );
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

/// The ports that a configuration binds.
fn bound_ports(text: &str) -> BTreeSet<u64> {
    let binds = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("bind = "));
    let ports = binds.map(|bind| bind.trim_matches('"').rsplit(':').next().unwrap().parse());
    ports.map(Result::unwrap).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    let values = value.as_array().unwrap();
    values.iter().map(|value| value.as_str().unwrap()).collect()
}

#[test]
fn compose_starts_the_program_with_a_configuration_that_it_takes() {
    let compose = &yaml("compose/compose.yaml")[0];
    let service = &compose["services"]["landfall"];
    check_usage(&strings(&service["command"]));
    let environment: BTreeMap<String, String> =
        serde_json::from_value(service["environment"].clone()).unwrap();
    let text = read("compose/landfall.toml");
    check_configuration(&text, &environment);
    let ports: BTreeSet<u64> = strings(&service["ports"])
        .iter()
        .map(|port| port.rsplit(':').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ports, bound_ports(&text));
    // What it waits for is there, and is where the configuration looks.
    let services = compose["services"].as_object().unwrap();
    for name in service["depends_on"].as_object().unwrap().keys() {
        assert!(services[name]["healthcheck"].is_object(), "{name}");
    }
    assert!(environment["LANDFALL__REGISTRY__URL"].contains("@postgres:"));
    assert!(text.contains("\"kafka:9092\""));
    let dockerfile = service["build"]["dockerfile"].as_str().unwrap();
    assert!(repository().join(dockerfile).is_file());
    let volumes = compose["volumes"].as_object().unwrap();
    for service in services.values() {
        for volume in strings(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            let file = repository().join("deploy/compose").join(source);
            assert!(volumes.contains_key(source) || file.is_file(), "{volume}");
        }
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let unit = read("systemd/landfall.service");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/bin/landfall"));
    check_usage(&words.collect::<Vec<_>>());
    assert!(unit.contains("\nType=notify\n") && unit.contains("\nDynamicUser=yes\n"));
    // systemd's own judgement; the program is not where the unit has it.
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("landfall.service");
    let here = unit.replace("/usr/bin/landfall", env!("CARGO_BIN_EXE_landfall"));
    fs::write(&file, here).unwrap();
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output();
    let verified = verify.expect("systemd-analyze, which tests/run installs");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && !said.contains("landfall.service"),
        "{said}"
    );
}

#[test]
fn kernel_settings_are_names_and_numbers() {
    for line in read("sysctl.d/90-landfall.conf").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
        assert!(
            ["fs.", "net."].iter().any(|start| name.starts_with(start)),
            "{line}"
        );
        let numbers = value.split(' ').map(str::parse::<u64>);
        assert!(numbers.into_iter().all(|number| number.is_ok()), "{line}");
        // Modules bring some of them, and network namespaces hide others.
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        if let Ok(now) = fs::read_to_string(path) {
            let numbers = now.split_whitespace().count();
            assert_eq!(numbers, value.split(' ').count(), "{line}: now {now}");
        }
    }
}
