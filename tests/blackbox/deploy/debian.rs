//! The Debian package, as far as it can be held without building it: what `cargo deb` is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

use super::read;

/// The folder that the sources of the package's files start at.
fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Table {
    let text = fs::read_to_string(here().join("Cargo.toml")).unwrap();
    let manifest: Table = toml::from_str(&text).unwrap();
    let package = manifest["package"]["metadata"]["deb"].as_table();
    package.unwrap().clone()
}

/// Source, place and mode of each file.
fn assets(metadata: &Table) -> Vec<[String; 3]> {
    let assets = metadata["assets"].as_array().unwrap().iter();
    assets
        .map(|asset| asset.clone().try_into().unwrap())
        .collect()
}

/// What a source stands for: `*` in its last part is any name.
fn files(source: &str) -> Vec<PathBuf> {
    let path = here().join(source);
    let name = path.file_name().unwrap().to_str().unwrap();
    let Some((start, end)) = name.split_once('*') else {
        return Some(path)
            .filter(|path| path.is_file())
            .into_iter()
            .collect();
    };
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().path());
    let fits = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        path.is_file() && name.starts_with(start) && name.ends_with(end)
    };
    names.filter(fits).collect()
}

#[test]
fn the_debian_package_takes_files_that_there_are() {
    let metadata = metadata();
    let assets = assets(&metadata);
    for [source, _, mode] in &assets {
        let built = source == "target/release/landfall";
        assert!(built || !files(source).is_empty(), "{source}");
        assert_eq!(mode, if built { "755" } else { "644" }, "{source}");
    }
    let places = |place: &str| assets.iter().filter(|[_, to, _]| to == place).count();
    assert_eq!(places("usr/bin/"), 1);
    let kept = metadata["conf-files"].as_array().unwrap();
    for file in kept.iter().map(|file| file.as_str().unwrap()) {
        assert_eq!(places(file.trim_start_matches('/')), 1, "{file}");
    }
    let license = metadata["license-file"][0].as_str().unwrap();
    assert!(here().join(license).is_file());

    // The unit starts the packaged program with the packaged configuration, and names what there is.
    let units = metadata["systemd-units"].as_table().unwrap();
    let (folder, name) = (&units["unit-scripts"], &units["unit-name"]);
    let name = format!("{}.service", name.as_str().unwrap());
    assert!(here().join(folder.as_str().unwrap()).join(name).is_file());
    let unit = read("systemd/landfall.service");
    assert!(unit.contains("ExecStart=/usr/bin/landfall "));
    assert!(unit.contains("--config /etc/landfall/landfall.toml"));
    let documentation = unit
        .lines()
        .find_map(|line| line.strip_prefix("Documentation=file:///"));
    assert_eq!(places(documentation.unwrap()), 1);
    // Nothing is served before it is configured.
    assert_eq!(units["enable"], Value::Boolean(false));
    assert_eq!(units["start"], Value::Boolean(false));
}

/// Without these scripts systemd is never told of the unit.
#[test]
fn the_debian_packages_scripts_are_shell_and_take_what_cargo_deb_adds() {
    let metadata = metadata();
    let folder = here().join(metadata["maintainer-scripts"].as_str().unwrap());
    for name in ["postinst", "prerm", "postrm"] {
        let script = folder.join(name);
        let text = fs::read_to_string(&script).unwrap();
        assert!(text.starts_with("#!/bin/sh\nset -e\n"), "{name}");
        assert!(text.lines().any(|line| line == "#DEBHELPER#"), "{name}");
        let parsed = Command::new("sh").arg("-n").arg(&script).output().unwrap();
        assert!(parsed.status.success(), "{name}: {parsed:?}");
    }
}

/// Devices and events outlive all but a purge.
#[test]
fn only_a_purge_of_the_debian_package_removes_what_the_server_has_stored() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("var/lib/private/landfall");
    fs::create_dir_all(&state).unwrap();
    let script = here().join("../deploy/debian/postrm");
    for (argument, kept) in [("remove", true), ("upgrade", true), ("purge", false)] {
        let mut run = Command::new("sh");
        run.arg(&script).arg(argument);
        let run = run.env("DPKG_ROOT", folder.path()).output().unwrap();
        assert!(run.status.success(), "{argument}: {run:?}");
        assert_eq!(state.exists(), kept, "{argument}");
    }
}
