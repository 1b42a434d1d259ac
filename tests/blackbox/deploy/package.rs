//! The Debian package, made by `cargo deb` as the guide says, but of the program that is tested.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::debian::{PREPARED, installed};
use super::repository;

#[test]
fn the_debian_package_is_built_and_holds_what_it_should() {
    let package = Package::build();
    let [archive, root, scripts] = [&package.archive, &package.root, &package.scripts];

    // No more and no less than the manifest's assets; manual pages are compressed.
    let prepared = repository().join(PREPARED.trim_start_matches("../"));
    let mut expected: BTreeSet<PathBuf> = installed(&prepared)
        .into_keys()
        .map(|place| match place.starts_with("usr/share/man") {
            true => place.with_added_extension("gz"),
            false => place,
        })
        .collect();
    expected.extend(
        [
            "usr/bin/landfall",
            "usr/lib/systemd/system/landfall.service",
            "usr/share/doc/landfall/copyright",
        ]
        .map(PathBuf::from),
    );
    assert_eq!(files(root), expected);

    // It runs, and takes its own configuration.
    let program = root.join("usr/bin/landfall");
    let version = run(Command::new(&program).arg("--version"));
    assert_eq!(
        version.trim(),
        format!(
            "landfall {}",
            field(archive, "Version").split('-').next().unwrap()
        )
    );
    let configuration = root.join("etc/landfall/landfall.toml");
    run(Command::new(&program)
        .arg("check-config")
        .arg(configuration));
    assert!(field(archive, "Depends").contains("libc6"));

    // What an operator changed outlives an upgrade; systemd is told; nothing is started by itself.
    let kept = fs::read_to_string(scripts.join("conffiles")).unwrap();
    assert_eq!(kept.trim(), "/etc/landfall/landfall.toml");
    let script = |name| fs::read_to_string(scripts.join(name)).unwrap();
    assert!(script("postinst").contains("deb-systemd-invoke try-restart landfall.service"));
    assert!(!script("postinst").contains("deb-systemd-invoke start"));
    assert!(script("prerm").contains("deb-systemd-invoke stop landfall.service"));
    assert!(script("postrm").contains("deb-systemd-helper purge landfall.service"));
    for name in ["postinst", "prerm", "postrm"] {
        run(Command::new("sh").arg("-n").arg(scripts.join(name)));
    }
}

/// A package, and what is in it.
struct Package {
    archive: PathBuf,
    root: PathBuf,
    scripts: PathBuf,
    _folder: TempDir,
}

impl Package {
    fn build() -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_landfall"));
        run(Command::new(repository().join("deploy/debian/prepare"))
            .arg(program)
            .arg(repository().join(PREPARED.trim_start_matches("../"))));

        let folder = TempDir::new().unwrap();
        let archive = folder.path().join("landfall.deb");
        // Where cargo has put the program is what it calls the profile, but for `dev`.
        let built = program.parent().unwrap();
        let profile = match built.file_name().and_then(OsStr::to_str) {
            Some("debug") => "dev",
            Some(profile) => profile,
            None => panic!("{}", built.display()),
        };
        run(Command::new("cargo")
            .current_dir(repository())
            .env("CARGO_TARGET_DIR", built.parent().unwrap())
            .args([
                "deb",
                "--package",
                "landfall",
                "--no-build",
                "--no-strip",
                "--fast",
            ])
            .args(["--locked", "--offline", "--profile", profile, "--output"])
            .arg(&archive));

        let [root, scripts] = ["root", "scripts"].map(|name| folder.path().join(name));
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .arg(&archive)
            .arg(&root));
        run(Command::new("dpkg-deb")
            .arg("--control")
            .arg(&archive)
            .arg(&scripts));
        Self {
            archive,
            root,
            scripts,
            _folder: folder,
        }
    }
}

fn field(archive: &Path, name: &str) -> String {
    run(Command::new("dpkg-deb")
        .arg("--field")
        .arg(archive)
        .arg(name))
}

/// What it writes; it must succeed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let run = command.output().unwrap();
    assert!(run.status.success(), "{command:?}: {run:?}");
    String::from_utf8(run.stdout).unwrap()
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    files
}
