//! What each key of the configuration means, for people: `docs/configuration.md` is what
//! [`page`] says, and `landfall config-reference` prints it.
//!
//! The sections are data, beside the types that they describe. Tests hold them to the types: each
//! key of a section is one that is read, each key that is read is described, and each default is
//! what holds when the key is left out.

mod command_sources;
mod listeners;
mod server;
mod sinks;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

/// One table of the page.
#[derive(Debug)]
struct Section {
    /// The path of its keys, as `sinks.kafka`.
    name: &'static str,
    /// Heading and text before its table, in Markdown.
    before: &'static str,
    /// The rows of its table.
    keys: &'static [Key],
    /// Text behind its table; may be empty.
    after: &'static str,
}

/// A key, or several that belong together.
#[derive(Debug)]
struct Key {
    /// Each in backticks.
    names: &'static str,
    /// What holds without it.
    default: Given,
    /// Meaning, unit, bounds, danger; in Markdown.
    meaning: &'static str,
}

/// What holds when a key is left out.
#[derive(Debug)]
enum Given {
    /// Nothing: it has to be given, or is not there.
    Nothing,
    /// This value, as it is written in the file.
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
}

/// Whoever speaks to NATS (a sink, a command source, the fleet) logs in by the same keys.
const NATS_CREDENTIALS: Key = Key {
    names: "`credentials_file`",
    default: Given::Nothing,
    meaning: "A credentials file (JWT and seed). Or `token` or `token_file`; or `user` with \
     `password` or `password_file`.",
};

/// In the order of the page.
const SECTIONS: &[&Section] = &[
    &server::TOP_LEVEL,
    &listeners::LISTENERS,
    &listeners::LISTENERS_TLS,
    &listeners::LIMITS,
    &server::API,
    &server::API_TLS,
    &server::OPS,
    &server::REGISTRY,
    &sinks::SINKS,
    &sinks::SINKS_LOG,
    &sinks::SINKS_FILE,
    &sinks::SINKS_KAFKA,
    &sinks::SINKS_NATS,
    &sinks::SINKS_HTTP,
    &sinks::SINKS_MQTT,
    &sinks::SINKS_TLS,
    &command_sources::COMMAND_SOURCES,
    &command_sources::COMMAND_SOURCES_NATS,
    &command_sources::COMMAND_SOURCES_KAFKA,
    &command_sources::COMMAND_SOURCES_MQTT,
    &server::CLUSTER,
    &server::TELEMETRY,
    &server::LOG,
];

/// What holds for all sections.
const HEAD: &str = "# Configuration\n\
 \n\
 `landfall serve --config FILE` reads one TOML file, once, at start. \
 [deploy/landfall.toml](../deploy/landfall.toml) is a sample for one server. `landfall \
 check-config FILE` reads a file, with the environment laid over it, says what is wrong or \
 seldom meant, and ends. `landfall config-reference` prints this page, `landfall \
 config-reference sinks.kafka` a part of it.\n\
 \n\
 ## Rules\n\
 \n\
 - **Unknown keys are refused**, by name, with file, line and column. So are values that cannot \
 be.\n\
 - **Durations** are strings with a unit: a whole number and `ms`, `s`, `m`, `h` or `d` \
 (`\"30s\"`). **Sizes** likewise: `B`, `KiB`, `MiB`, `GiB`, `TiB`, or the decimal `kB`, `MB`, \
 `GB` (`\"64KiB\"`). A bare number is refused, because its reader would have to guess the unit.\n\
 - **Relative paths** start at the folder of the configuration file.\n\
 - **Addresses** are an IP address and a port, never a host name. Port 0 takes a free one; the \
 log says which.\n\
 - **The environment overrides the file.** `LANDFALL__SECTION__KEY` sets `key` of `[section]`, \
 `LANDFALL__INSTANCE` a key without section. In lists a number picks an entry, counted from 0, \
 and the number after the last one adds an entry: `LANDFALL__SINKS__0__TYPE=log`. A value is a \
 boolean (`true`), an integer, a TOML string in quotes, or else the text as it stands; text \
 that looks like a number needs the quotes: `LANDFALL__INSTANCE='\"42\"'`. A variable that \
 names no key is refused like an unknown key, by its name.";

/// The whole page, in Markdown.
pub fn page() -> String {
    let mut page = format!("{HEAD}\n");
    for section in SECTIONS {
        section.write(&mut page);
    }
    page
}

/// The sections of this name and below it: of `sinks` those of all its types. `None`: there are none.
pub fn section(name: &str) -> Option<String> {
    let name = name.trim_matches(['[', ']']);
    let is_below = |other: &str| {
        let rest = other.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut found = String::new();
    for section in SECTIONS.iter().filter(|section| is_below(section.name)) {
        section.write(&mut found);
    }
    let found = found.trim_start();
    (!found.is_empty()).then(|| found.to_owned())
}

/// The names of all sections.
pub fn names() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|section| section.name)
}

impl Section {
    fn write(&self, page: &mut String) {
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "\n{}\n\n| key | default | meaning |\n| --- | --- | --- |\n",
            self.before
        );
        for key in self.keys {
            let _ = match &key.default {
                Given::Nothing => writeln!(page, "| {} | none | {} |", key.names, key.meaning),
                Given::Value(value) => {
                    writeln!(page, "| {} | `{value}` | {} |", key.names, key.meaning)
                }
                Given::Words(words) => {
                    writeln!(page, "| {} | {words} | {} |", key.names, key.meaning)
                }
            };
        }
        if !self.after.is_empty() {
            let _ = writeln!(page, "\n{}", self.after);
        }
    }
}
