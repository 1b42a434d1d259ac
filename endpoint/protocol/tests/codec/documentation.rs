//! The codec's tables in `docs/protocol.md` name files, functions and cases: all of them exist, and
//! no clause that a check or a case names is missing.

use std::{collections::BTreeSet, fs, path::Path};

use crate::case::paragraphs;

/// Conformance statements named in a text, `[MQTT-x.y.z-n]`.
fn clauses(text: &str) -> BTreeSet<&str> {
    text.split('[')
        .filter_map(|rest| rest.split_once(']'))
        .map(|(clause, _)| clause)
        .filter(|clause| clause.starts_with("MQTT-"))
        .collect()
}

/// The content of every file below a folder of the crate that has this ending.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.to_str().unwrap().strip_suffix(ending) {
                let name = Path::new(name).strip_prefix(&folder).unwrap();
                let name = name.to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

/// The cells of each row in the tables of the codec's section.
fn rows(section: &str) -> Vec<Vec<String>> {
    section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| clause"))
        .filter(|line| !line.starts_with("| ---"))
        .map(|line| {
            let line = line.replace("\\|", "¦");
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}

fn section() -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/protocol.md");
    let document = fs::read_to_string(document).unwrap();
    let (_, section) = document.split_once("\n## Codec\n").expect("the section");
    section.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn every_function_and_case_of_the_table_exists() {
    let sources = files("src", ".rs");
    let data = files("tests/data/codec", ".txt");
    let rows = rows(&section());
    assert!(rows.len() > 60, "only {} rows", rows.len());
    for row in rows {
        let [clause, _, places, cases] = row.as_slice() else {
            panic!("not four cells: {row:?}");
        };
        for place in places.split("; ") {
            let (file, function) = place.split_once(": ").expect("file: function");
            let file = file.trim_matches('`').strip_suffix(".rs").expect("a file");
            let function = function.trim_matches('`');
            let (_, source) = sources
                .iter()
                .find(|(name, _)| name == file)
                .unwrap_or_else(|| panic!("{clause}: no file {file}"));
            let declared = [format!("fn {function}("), format!("fn {function}<")];
            assert!(
                declared.iter().any(|line| source.contains(line)),
                "{clause}: no function {function} in {file}"
            );
        }
        for case in cases.split("; ") {
            let (file, name) = case.split_once(": ").unwrap_or((case, ""));
            let (_, text) = data
                .iter()
                .find(|(found, _)| found == file)
                .unwrap_or_else(|| panic!("{clause}: no file {file}"));
            assert!(
                paragraphs(text)
                    .iter()
                    .any(|case| case.name.ends_with(name)),
                "{clause}: no case {name:?} in {file}"
            );
        }
    }
}

#[test]
fn no_clause_of_a_check_or_case_is_missing_from_the_table() {
    let section = section();
    // A statement of 3.1.1 stands in the table without brackets.
    let documented: BTreeSet<&str> = section
        .split(|c: char| !c.is_ascii_digit() && c != '.' && c != '-')
        .map(|number| number.trim_start_matches('-'))
        .collect();
    let mut named = files("src/codec", ".rs");
    named.extend(files("src", "topic.rs"));
    named.extend(files("tests/data/codec", ".txt"));
    for (file, text) in &named {
        for clause in clauses(text) {
            let number = clause.trim_start_matches("MQTT-");
            assert!(documented.contains(number), "{file} names {clause}");
        }
    }
}
