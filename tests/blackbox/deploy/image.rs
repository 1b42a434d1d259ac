//! The container image, as far as it can be held without building it: what its Dockerfile says, and
//! the files that its last stage is made of.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use nix::unistd::geteuid;
use tempfile::TempDir;

use super::{check_usage, landfall, read, repository};
use crate::harness::Server;

/// Where the first stage puts together what the last one is made of.
const ROOT: &str = "/root-of-image";

/// The instructions of the Dockerfile, each in one line.
struct Dockerfile(Vec<(String, String)>);

impl Dockerfile {
    fn read() -> Self {
        let text = read("Dockerfile").replace("\\\n", " ");
        let lines = text.lines().map(str::trim);
        let instructions = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parts = instructions.map(|line| line.split_once(' ').unwrap());
        Self(
            parts
                .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
                .collect(),
        )
    }

    fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(other, _)| other == name);
        named.map(|(_, rest)| rest.as_str())
    }

    #[track_caller]
    fn last<'a>(&'a self, name: &'a str) -> &'a str {
        self.all(name)
            .next_back()
            .unwrap_or_else(|| panic!("no {name}"))
    }

    /// The words of a list, which is what no shell reads: the image has none.
    #[track_caller]
    fn words(&self, name: &str) -> Vec<String> {
        let rest = self.last(name);
        let list = rest.get(rest.find('[').unwrap_or_default()..).unwrap();
        serde_json::from_str(list).unwrap_or_else(|error| panic!("{name} {rest}: {error}"))
    }
}

#[test]
fn the_image_runs_the_program_as_nobody_and_knows_its_health() {
    let dockerfile = Dockerfile::read();
    let stages: Vec<_> = dockerfile.all("FROM").collect();
    assert_eq!(stages.len(), 2, "built in one stage, run in another");
    assert_eq!(stages[1], "scratch");
    assert_ne!(dockerfile.last("USER").split(':').next(), Some("0"));
    assert_eq!(dockerfile.words("ENTRYPOINT"), ["/usr/bin/landfall"]);
    let arguments = dockerfile.words("CMD");
    check_usage(&arguments.iter().map(String::as_str).collect::<Vec<_>>());

    // Its health check, against a server.
    let check = dockerfile.words("HEALTHCHECK");
    assert_eq!(check[0], "/usr/bin/landfall");
    let server = Server::builder().start();
    let here = format!("http://127.0.0.1:{}", server.ops_port());
    let check: Vec<_> = check[1..]
        .iter()
        .map(|word| word.replace("http://127.0.0.1:9090", &here))
        .collect();
    let check: Vec<_> = check.iter().map(String::as_str).collect();
    let folder = TempDir::new().unwrap();
    let run = landfall(&check, &BTreeMap::new(), folder.path());
    assert!(run.status.success(), "{run:?}");
    assert_eq!(String::from_utf8_lossy(&run.stdout), "live\n");
}

#[test]
fn the_image_is_built_of_what_there_is() {
    let dockerfile = Dockerfile::read();
    let stage = dockerfile.all("FROM").next().unwrap();
    let (_, stage) = stage.split_once(" AS ").expect("a name of the first stage");
    let copies: Vec<_> = dockerfile.all("COPY").collect();
    assert_eq!(copies, [". .", &format!("--from={stage} {ROOT} /")]);
    // The whole repository goes in, but what is ignored: none of that is needed to build.
    let root = repository();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let members = members.iter().map(|member| member.as_str().unwrap());
    let ignored = fs::read_to_string(root.join(".dockerignore")).unwrap();
    for needed in members.chain(["Cargo.lock"]) {
        assert!(root.join(needed).exists(), "{needed}");
        for ignored in ignored.lines().filter(|line| !line.is_empty()) {
            assert!(!Path::new(needed).starts_with(ignored), "{needed}");
        }
    }
}

/// Runs in a folder as if it were all there is, as nobody if that can be.
fn inside(root: &Path, user: &str, arguments: &[&str]) -> Output {
    let mut command = match geteuid().is_root() {
        true => {
            let mut command = Command::new("chroot");
            command.arg(format!("--userspec={user}"));
            command
        }
        // What is made here is its own user's, who is root in there.
        false => {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "chroot"]);
            command
        }
    };
    command.arg(root).arg("/usr/bin/landfall").args(arguments);
    let programs = "/usr/sbin:/usr/bin:/sbin:/bin";
    command.env_clear().env("PATH", programs).output().unwrap()
}

/// A library that it is linked to, or loads by itself to look names up, would be missed here.
#[test]
fn the_program_finds_all_that_it_needs_in_the_image() {
    let dockerfile = Dockerfile::read();
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    let program = root.join("usr/bin/landfall");
    fs::copy(env!("CARGO_BIN_EXE_landfall"), program).unwrap();

    // As the first stage does it, which has just built the program.
    let script = dockerfile.all("RUN").next_back().unwrap();
    assert!(script.contains(&format!("cd {ROOT};")), "{script}");
    let mut script = script.replace(ROOT, root.to_str().unwrap());
    if !geteuid().is_root() {
        script = script.replace("-o 65532 -g 65532", "");
    }
    let made = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    assert!(root.join("etc/ssl/certs/ca-certificates.crt").is_file());

    let user = dockerfile.last("USER");
    let version = inside(root, user, &["--version"]);
    assert!(version.status.success(), "{version:?}");
    // What a container's runtime puts there.
    fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    let server = Server::builder().start();
    let url = format!("http://localhost:{}", server.ops_port());
    let health = inside(root, user, &["health", "live", "--url", &url]);
    assert!(health.status.success(), "{health:?}");
    // It may write where its files go, and is nobody elsewhere.
    let configuration = "data_dir = \"/var/lib/landfall\"\n[[listeners]]\nbind = \"127.0.0.1:0\"\n";
    fs::write(root.join("etc/landfall/landfall.toml"), configuration).unwrap();
    let arguments = ["check-config", "/etc/landfall/landfall.toml"];
    let checked = inside(root, user, &arguments);
    assert!(checked.status.success(), "{checked:?}");
}
