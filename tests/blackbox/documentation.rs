//! What the documentation says: its links lead somewhere, its lines work as they stand, and the
//! rules of the architecture hold.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::deploy::repository;
use crate::harness::log::Log;
use crate::harness::ports::Ports;
use crate::harness::process::Process;
use crate::harness::{secrets, wait};

/// The Markdown files of the repository's root and of `docs`.
fn pages() -> Vec<PathBuf> {
    let root = repository();
    let mut pages = Vec::new();
    for folder in [root.clone(), root.join("docs")] {
        let entries = fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        pages.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    assert!(pages.len() > 20);
    pages
}

/// A page without its blocks of code.
fn prose(text: &str) -> String {
    let parts = text.split("\n```").enumerate();
    let outside = parts.filter(|(index, _)| index % 2 == 0);
    outside.map(|(_, part)| part).collect::<Vec<_>>().join("\n")
}

/// The targets of `[text](target)`.
pub(crate) fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let targets = prose.split("](").skip(1).map(|rest| rest.split(')').next());
    targets.flatten().map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter_map(|line| {
        let text = line.trim_start_matches('#');
        (text.len() < line.len() && text.starts_with(' ')).then(|| text.trim())
    });
    let anchor = |heading: &str| -> String {
        let kept = heading.to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let there = target.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&target).unwrap()).contains(anchor));
            if !there {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_can_be_reached_from_the_index() {
    let docs = repository().join("docs");
    let index = fs::read_to_string(docs.join("README.md")).unwrap();
    let listed: BTreeSet<_> = links(&index).into_iter().collect();
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        if page.parent() == Some(&docs) && name != "README.md" {
            assert!(
                listed.contains(&name),
                "docs/README.md does not list {name}"
            );
        }
    }
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(links(&readme).contains(&"docs/README.md".to_owned()));
}

/// The blocks of code of a page, with their languages.
pub(crate) fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let blocks = text.split("\n```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').unwrap())
}

/// What stands in for the reader: a server goes to the background as to another terminal, and
/// everything is on ports that are free.
const READER: &str = r#"
await() { for _ in $(seq 1200); do "$@" && return; sleep 0.05; done; echo "in vain: $*" >&2; exit 1; }
started() { grep -q "$1" "$2" 2>/dev/null; }
starts=0
start() { starts=$((starts + 1)); log=server-$starts.log; }
landfall() {
  case "$1" in
    demo) shift; start; command landfall demo --mqtt-port $MQTT --http-port $API --ops-port $OPS \
        --tls-port $TLS --ws-port $WS --wss-port $WSS "$@" > guide.txt 2> $log &
      await started Ctrl-C guide.txt ;;
    serve) kill $(jobs -p) 2>/dev/null || true; wait
      start; command landfall "$@" > $log 2>&1 &
      await started 'serving metrics' $log ;;
    *) command landfall "$@" ;;
  esac
}
mosquitto_pub() { command mosquitto_pub -h 127.0.0.1 -p $MQTT "$@"; }
mosquitto_sub() {
  stdbuf -oL mosquitto_sub -d -h 127.0.0.1 -p $MQTT "$@" > subscriber.log 2>&1 &
  await started Subscribed subscriber.log
}
curl() { command curl --noproxy '*' "${@//127.0.0.1:8080/127.0.0.1:$API}"; }
export LANDFALL_URL=http://127.0.0.1:$API
# What was built is what is tested; and the tests are running.
cargo() { [ "$*" = "build --release" ] || [ "$*" != "run --release -- demo" ] || landfall demo; }
./tests/run() { [ -x "$REPOSITORY/tests/run" ]; }
"#;

/// The blocks of a page, as a reader goes through them: shell is run, YAML is `devices.yaml`. The
/// logs of the servers are searched for secrets.
fn follow(page: &str) -> String {
    let folder = TempDir::new().unwrap();
    let here = folder.path().canonicalize().unwrap();
    let ports = Ports::pick(3);
    let bin = here.join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_landfall"), bin.join("landfall")).unwrap();
    let local = |text: &str| {
        text.replace("/etc/landfall", here.to_str().unwrap())
            .replace("/var/lib/landfall", here.join("data").to_str().unwrap())
            .replace(
                "LANDFALL_URL=http://127.0.0.1:8080",
                "LANDFALL_URL=http://127.0.0.1:$API",
            )
    };
    let sample = fs::read_to_string(repository().join("deploy/landfall.toml")).unwrap();
    let sample = local(&sample)
        .replace("127.0.0.1:1883", &format!("127.0.0.1:{}", ports.mqtt))
        .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", ports.api))
        .replace("127.0.0.1:9090", &format!("127.0.0.1:{}", ports.ops));
    fs::write(here.join("landfall.toml"), sample).unwrap();

    let text = fs::read_to_string(repository().join(page)).unwrap();
    let mut script = READER.to_owned();
    let mut blocks = 0;
    for (language, body) in self::blocks(&text) {
        match language {
            "sh" => {
                script.push_str(&local(body));
                script.push('\n');
                blocks += 1;
            }
            "yaml" => fs::write(here.join("devices.yaml"), body).unwrap(),
            "json" | "text" => {}
            other => panic!("{page}: what is to be done with {other}?"),
        }
    }
    assert!(blocks > 2, "{page} has {blocks} blocks");
    script.push_str("\necho 'to the end'\n");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(&here)
        .env("PATH", path)
        .env("REPOSITORY", repository().canonicalize().unwrap())
        .env("MQTT", ports.mqtt.to_string())
        .env("API", ports.api.to_string())
        .env("OPS", ports.ops.to_string())
        .env("TLS", ports.more[0].to_string())
        .env("WS", ports.more[1].to_string())
        .env("WSS", ports.more[2].to_string())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut shell = Process::spawn(&mut command);
    let log = Log::default();
    log.follow(shell.child().stdout.take().unwrap());
    log.follow(shell.child().stderr.take().unwrap());
    let status = wait::until("the end of the page", || shell.ended());
    // The servers that it left in the background.
    let group = Pid::from_raw(i32::try_from(shell.id()).unwrap());
    let _ = killpg(group, Signal::SIGKILL);
    log.finish();
    let lines = log.lines();
    // What was said on the other stream may be read after it.
    let ended = lines.iter().any(|line| line == "to the end");
    let said = lines.join("\n");
    let server = server_logs(&here);
    assert!(
        status.success() && ended,
        "{page}:\n{said}\n--- servers\n{}",
        server.join("\n")
    );
    assert!(log_of(&here, 1).exists(), "{page} starts a server");
    let own = [
        "landfall-demo/token",
        "landfall-demo/psk01.key",
        "data/token",
    ];
    let own = own.map(|file| here.join(file));
    secrets::expect_none(&server, &own.each_ref().map(PathBuf::as_path));
    said
}

/// The lines of all servers that were started in a folder.
fn server_logs(folder: &Path) -> Vec<String> {
    let texts = (1..).map_while(|start| fs::read_to_string(log_of(folder, start)).ok());
    let texts: Vec<_> = texts.collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.map(str::to_owned).collect()
}

/// As [`READER`] names them.
fn log_of(folder: &Path, start: usize) -> PathBuf {
    folder.join(format!("server-{start}.log"))
}

#[test]
fn the_lines_of_the_readme_work() {
    let said = follow("README.md");
    assert!(said.contains("landfall.toml: valid"), "{said}");
    assert!(said.contains("\"celsius\": 21"), "{said}");
}

#[test]
fn the_lines_of_the_start_guide_work() {
    let said = follow("docs/getting-started.md");
    for expected in [
        "\"data\":{\"temp\":22.5}",
        "acknowledged",
        "device greenhouse/roof",
        "\"data\":{\"celsius\":19.5}",
        "\nroof ",
    ] {
        assert!(said.contains(expected), "no {expected} in\n{said}");
    }
}

/// The names and numbers of the reason codes, as the protocol's crate lists them.
fn reason_codes() -> Vec<(String, String)> {
    let list = repository().join("endpoint/protocol/src/reason.rs");
    let list = fs::read_to_string(list).unwrap();
    let rows = list.lines().filter_map(|line| {
        let (name, rest) = line.trim().split_once(" = 0x")?;
        let number = rest.get(..2)?;
        name.chars()
            .all(|c| c.is_ascii_uppercase() || c == '_')
            .then(|| (name.to_owned(), format!("0x{number}")))
    });
    rows.collect()
}

#[test]
fn every_reason_that_a_device_is_told_has_a_cure() {
    let root = repository();
    let page = fs::read_to_string(root.join("docs/troubleshooting.md")).unwrap();
    let codes = reason_codes();
    assert!(codes.len() > 30, "{codes:?}");
    let mut folders = vec![
        root.join("endpoint/src"),
        root.join("endpoint/protocol/src"),
    ];
    let mut source = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What may be decoded is more than what is told.
            if path.is_dir() && !path.ends_with("codec") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                source.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut told = 0;
    for (name, number) in codes {
        let failure = number.as_str() >= "0x80";
        if failure && source.contains(&format!("ReasonCode::{name}")) {
            assert!(
                page.contains(&number),
                "{name} ({number}) is told, and has no cure"
            );
            told += 1;
        }
    }
    assert!(told > 15, "{told}");
}

/// The names of a manifest's own crates that it depends on.
fn own_dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let manifest: toml::Table = toml::from_str(&text).unwrap();
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables
        .iter()
        .filter_map(|name| manifest.get(*name)?.as_table());
    let names = tables.flat_map(toml::Table::keys);
    names
        .filter(|name| name.starts_with("landfall"))
        .cloned()
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let root = repository();
    for crate_folder in [
        "endpoint/protocol",
        "endpoint/preamble",
        "registry",
        "events",
    ] {
        let own = own_dependencies(&root.join(crate_folder).join("Cargo.toml"));
        assert_eq!(own, BTreeSet::new(), "{crate_folder} knows another");
    }
    let all = ["events", "preamble", "protocol", "registry"].map(|name| format!("landfall-{name}"));
    let endpoint = own_dependencies(&root.join("endpoint/Cargo.toml"));
    assert_eq!(endpoint, BTreeSet::from(all));
}

#[test]
fn protocol_and_preamble_have_no_sockets_runtime_or_clock() {
    for crate_folder in ["endpoint/protocol", "endpoint/preamble"] {
        expect_no_surroundings(&repository().join(crate_folder));
    }
}

fn expect_no_surroundings(source: &Path) {
    let manifest = fs::read_to_string(source.join("Cargo.toml")).unwrap();
    let (_, dependencies) = manifest.split_once("\n[dependencies]").unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    for forbidden in ["tokio", "mio", "futures", "time"] {
        let forbids = !dependencies.contains(forbidden);
        assert!(forbids, "{}: {forbidden}", source.display());
    }
    let mut folders = vec![source.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let sockets = ["TcpStream", "TcpListener", "UdpSocket", "UnixStream"];
            let others = ["std::io", "std::time", "std::thread", "Instant::now"];
            for forbidden in sockets.into_iter().chain(others) {
                assert!(!text.contains(forbidden), "{}: {forbidden}", path.display());
            }
        }
    }
}
