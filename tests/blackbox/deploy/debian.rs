//! What `cargo deb` is told of the Debian package; `package` builds one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use toml::{Table, Value};

use super::{read, repository};
use crate::doctor::SUBCOMMANDS;
use crate::documentation::links;

/// Where `prepare` is to make what is packaged, as the sources of assets have it.
pub(super) const PREPARED: &str = "../target/package/";

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

/// What is made before the package is.
fn prepare() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(here().join("../deploy/debian/prepare"));
    let run = run.arg(env!("CARGO_BIN_EXE_landfall")).arg(folder.path());
    let run = run.output().unwrap();
    assert!(run.status.success(), "{run:?}");
    folder
}

/// Each file of the package, by its place.
pub(super) fn installed(prepared: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut installed = BTreeMap::new();
    for [source, place, _] in assets(&metadata()) {
        for file in files(&source, prepared) {
            let place = match place.ends_with('/') {
                true => Path::new(&place).join(file.file_name().unwrap()),
                false => PathBuf::from(&place),
            };
            let other = installed.insert(place.clone(), file);
            assert_eq!(other, None, "{} twice", place.display());
        }
    }
    installed
}

/// What a source stands for: `*` in its last part is any name.
fn files(source: &str, prepared: &Path) -> Vec<PathBuf> {
    let path = match source.strip_prefix(PREPARED) {
        Some(made) => prepared.join(made),
        None => here().join(source),
    };
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
    let prepared = prepare();
    for [source, _, mode] in &assets {
        let built = source == "target/release/landfall";
        assert!(
            built || !files(source, prepared.path()).is_empty(),
            "{source}"
        );
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

#[test]
fn the_debian_package_has_a_manual_and_completions_for_every_subcommand() {
    let prepared = prepare();
    let installed = installed(prepared.path());
    let text = |place: &str| {
        let file = installed.get(Path::new(place));
        let file = file.unwrap_or_else(|| panic!("no {place} in {installed:#?}"));
        fs::read_to_string(file).unwrap()
    };
    let completions = [
        "usr/share/bash-completion/completions/landfall",
        "usr/share/fish/vendor_completions.d/landfall.fish",
        "usr/share/zsh/vendor-completions/_landfall",
    ]
    .map(text);
    for name in SUBCOMMANDS.iter().filter(|name| **name != "help") {
        let manual = text(&format!("usr/share/man/man1/landfall-{name}.1"));
        assert!(manual.contains(".SH SYNOPSIS"), "{manual}");
        for script in &completions {
            assert!(script.contains(name), "{name} is not completed: {script}");
        }
    }
    assert!(text("usr/share/man/man1/landfall.1").contains(".TH landfall 1"));
}

#[test]
fn the_links_of_the_packaged_documentation_lead_to_what_is_packaged() {
    let prepared = prepare();
    let installed = installed(prepared.path());
    let is_page = |place: &&PathBuf| place.extension().is_some_and(|end| end == "md");
    let pages: Vec<_> = installed.keys().filter(is_page).collect();
    assert!(pages.len() > 20, "{pages:?}");
    let mut dead = Vec::new();
    for page in pages {
        for link in links(&fs::read_to_string(&installed[page]).unwrap()) {
            let file = link.split('#').next().unwrap();
            let target = plain(&page.parent().unwrap().join(file));
            let leads = file.is_empty() || installed.contains_key(&target);
            if !link.contains("://") && !leads {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// Without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{}", path.display()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn the_guide_makes_the_debian_package_of_what_it_takes() {
    let guide = fs::read_to_string(repository().join("docs/deployment.md")).unwrap();
    let folder = PREPARED.trim_start_matches("../").trim_end_matches('/');
    let step = format!("\ndeploy/debian/prepare target/release/landfall {folder}\n");
    assert!(guide.contains(&step), "{guide}");
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
