//! Another server, and where it is written down that it differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::script::{Script, Step};
use crate::tools::broker::Broker;

/// The differences: below each class, script and words.
const LIST: &str = include_str!("../../conformance/mosquitto.tsv");

/// `mosquitto` that lets everybody in, as far as it can.
pub(super) fn mosquitto() -> Broker {
    Broker::start("allow_anonymous true\nmax_packet_size 65536", &[])
}

/// Script and what mosquitto tells, of each line of the list. The page about it has every class with
/// its number of scripts.
pub(super) fn documented() -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = fs::read_to_string(path).expect("docs/conformance.md");
    let mut all = BTreeMap::new();
    for paragraph in LIST.split("\n\n").skip(1) {
        let (class, lines) = paragraph.split_once('\n').expect("a class and its scripts");
        let mut count = 0;
        for line in lines.lines() {
            let (name, told) = line
                .trim_start()
                .split_once('\t')
                .expect("script and words");
            let before = all.insert(name.to_owned(), told.to_owned());
            assert_eq!(before, None, "{name} is there twice");
            count += 1;
        }
        let row = page
            .lines()
            .find(|row| row.starts_with(&format!("| {class} | ")));
        let row = row.unwrap_or_else(|| panic!("the page does not have: {class}"));
        assert!(
            row.ends_with(&format!(" | {count} |")),
            "{count} scripts: {row}"
        );
    }
    all
}

/// Every difference is written down, and what is written down differs.
pub(super) fn compare(
    documented: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
    scripts: &[Script],
) {
    println!("{} of {} scripts differ", found.len(), scripts.len());
    let names: BTreeSet<&String> = documented.keys().chain(found.keys()).collect();
    let wrong: Vec<String> = names
        .into_iter()
        .filter(|name| documented.get(*name) != found.get(*name))
        .map(|name| match found.get(name) {
            None => format!("does not differ any more: {name}"),
            Some(told) => {
                let ours = scripts.iter().find(|script| script.name == *name);
                format!(
                    "{name}\t{told}\t(Landfall: {})",
                    ours.map(answers).unwrap_or_default()
                )
            }
        })
        .collect();
    assert!(wrong.is_empty(), "not as listed:\n{}", wrong.join("\n"));
}

/// What Landfall tells.
fn answers(script: &Script) -> String {
    let answers = script.steps.iter().filter_map(|step| match step {
        Step::Server(answer) => Some(answer.as_str()),
        Step::Client(_) => None,
    });
    answers.collect::<Vec<_>>().join(" | ")
}
