//! What the page says, against what is read.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::config::Config;

const LEAST: &str = "data_dir = 'data'\n[[listeners]]\nbind = '127.0.0.1:1883'\n";

/// The least that a section can be, behind the least configuration.
fn start(section: &str) -> &'static str {
    match section {
        "listeners" => "",
        "listeners.tls" => "[listeners.tls]\ncertificate = 'a.pem'\nkey = 'a.key'\n",
        "limits" => "[limits]\n",
        "api" => "[api]\n",
        "api.tls" => "[api.tls]\ncertificate = 'a.pem'\nkey = 'a.key'\n",
        "ops" => "[ops]\nbind = '127.0.0.1:9090'\n",
        "registry" => "[registry]\n",
        "sinks" => "[[sinks]]\nname = 'x'\ntype = 'log'\n",
        "sinks.log" => "[[sinks]]\nname = 'x'\ntype = 'log'\n",
        "sinks.file" => "[[sinks]]\nname = 'x'\ntype = 'file'\npath = 'events'\n",
        "sinks.kafka" => "[[sinks]]\nname = 'x'\ntype = 'kafka'\nbrokers = 'h:9092'\n",
        "sinks.nats" => "[[sinks]]\nname = 'x'\ntype = 'nats'\nservers = ['nats://h:4222']\n",
        "sinks.http" => "[[sinks]]\nname = 'x'\ntype = 'http'\nurl = 'http://h/'\n",
        "sinks.mqtt" => "[[sinks]]\nname = 'x'\ntype = 'mqtt'\nurl = 'mqtt://h'\n",
        "sinks.tls" => "[[sinks]]\nname = 'x'\ntype = 'http'\nurl = 'https://h/'\n[sinks.tls]\n",
        "command_sources" | "command_sources.nats" => {
            "[[command_sources]]\nname = 'x'\ntype = 'nats'\nservers = ['nats://h:4222']\n"
        }
        "command_sources.kafka" => {
            "[[command_sources]]\nname = 'x'\ntype = 'kafka'\nbrokers = 'h:9092'\n"
        }
        "command_sources.mqtt" => {
            "[[command_sources]]\nname = 'x'\ntype = 'mqtt'\nurl = 'mqtt://h'\n"
        }
        "cluster" => "[cluster]\nservers = ['nats://h:4222']\n",
        "telemetry" => "[telemetry]\notlp_endpoint = 'http://h/'\n",
        "log" => "[log]\n",
        other => panic!("{other}: how does it begin?"),
    }
}

/// A configuration with one more line in a section.
fn with(section: &str, line: &str) -> Result<Config, String> {
    let text = match section {
        "top level" => format!("{line}\n{LEAST}"),
        section => format!("{LEAST}{}{line}\n", start(section)),
    };
    let parsed = Config::parse(&text, Path::new("/etc/landfall.toml"), []);
    parsed.map_err(|error| error.to_string())
}

/// Sections of this build.
fn sections() -> impl Iterator<Item = &'static &'static Section> {
    let here = |section: &&&Section| cfg!(feature = "kafka") || !section.name.ends_with("kafka");
    SECTIONS.iter().filter(here)
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The keys that a section has, as whoever writes an unknown one is told.
fn known(section: &str) -> BTreeSet<String> {
    let told = with(section, "zzz = 1").unwrap_err();
    assert!(told.contains("`zzz`"), "{section}: {told}");
    let (_, expected) = told
        .split_once("expected")
        .unwrap_or_else(|| panic!("{told}"));
    // Behind the keys stands where they would be.
    let keys = expected.split(" in `").next().unwrap_or_default();
    quoted(keys).map(str::to_owned).collect()
}

impl Section {
    /// The keys that it has rows for; a table is named by its last part.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let names = self.keys.iter().flat_map(|key| quoted(key.names));
        names.map(|name| {
            name.trim_matches(['[', ']'])
                .rsplit('.')
                .next()
                .unwrap_or(name)
        })
    }

    /// Whether a key is named in it, be it in the text of another.
    fn mentions(&self, name: &str) -> bool {
        let texts = self.keys.iter().flat_map(|key| [key.names, key.meaning]);
        texts
            .chain([self.before])
            .any(|text| text.contains(&format!("`{name}`")) || text.contains(&format!(".{name}]`")))
    }
}

fn named(name: &str) -> &'static Section {
    let mut found = SECTIONS.iter().filter(|section| section.name == name);
    found.next().unwrap_or_else(|| panic!("no section {name}"))
}

#[test]
fn the_page_is_what_the_program_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == page(),
        "renew it: cargo run -p landfall -- config-reference > docs/configuration.md"
    );
}

/// Their keys are read with those of a type.
const OF_ALL_TYPES: [&str; 2] = ["sinks", "command_sources"];

#[test]
fn every_key_that_is_read_is_described() {
    for section in sections().filter(|section| !OF_ALL_TYPES.contains(&section.name)) {
        for key in known(section.name) {
            let is_section = SECTIONS.iter().any(|other| other.name == key);
            let parent = section.name.split('.').next().map(named);
            // What several types of sinks have is described with the first.
            let described = [Some(section), parent.as_ref(), Some(&named("sinks.log"))];
            let mut described = described.into_iter().flatten();
            assert!(
                section.name == "top level" && is_section
                    || section.name == "listeners" && key == "tls"
                    || described.any(|section| section.mentions(&key)),
                "{}: {key} is not described",
                section.name
            );
        }
    }
}

#[test]
fn every_key_that_is_described_is_read() {
    for section in sections().filter(|section| section.name != "sinks") {
        let known = known(section.name);
        for name in section.names() {
            let type_itself = section.name == "command_sources" && name == "type";
            assert!(
                known.contains(name) || type_itself,
                "{}: {name} is no key; there are {known:?}",
                section.name
            );
        }
    }
    // These are taken out before the keys of a type are read.
    let of_all = named("sinks").names().collect::<BTreeSet<_>>();
    let read = [
        "name",
        "type",
        "required",
        "fail_fast",
        "spill",
        "spill_bytes",
    ];
    assert_eq!(of_all, BTreeSet::from(read));
}

#[test]
fn a_default_that_is_written_out_changes_nothing() {
    let mut checked = 0;
    for section in sections() {
        for key in section.keys {
            let Given::Value(value) = key.default else {
                continue;
            };
            let name = quoted(key.names).next().unwrap();
            // A key of WebSocket alone.
            let context = match name {
                "path" => "transport = 'websocket'\n",
                _ => "",
            };
            let without = with(section.name, context).unwrap();
            let line = format!("{context}{name} = {value}");
            let written = with(section.name, &line);
            assert_eq!(written.as_ref(), Ok(&without), "{}: {line}", section.name);
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn a_section_is_found_by_its_name_as_it_is_written_in_the_file() {
    let kafka = section("sinks.kafka").unwrap();
    assert!(kafka.contains("| `brokers` | none |") && !kafka.contains("`subject`"));
    let sinks = section("[[sinks]]").unwrap();
    assert!(sinks.starts_with("## `[[sinks]]`") && sinks.contains(&kafka));
    assert!(!section("listeners").unwrap().contains("## `[limits]`"));
    assert_eq!(section("sink"), None);
    assert_eq!(section(""), None);
}
