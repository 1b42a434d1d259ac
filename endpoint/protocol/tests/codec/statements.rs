//! `docs/conformance.md` has every conformance statement of both standards, and everything that it
//! refers to exists.

use std::{collections::BTreeSet, fs, path::Path};

/// The numbers, as the standards' appendices list them.
const STATEMENTS: &str = include_str!("../data/statements.txt");

fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(path: &str) -> String {
    let path = project().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Part of a document from a heading to the next of its kind.
fn section(document: &str, heading: &str) -> String {
    let (_, rest) = document
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no section {heading}"));
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The numbers of one standard.
fn numbers(version: &str) -> BTreeSet<String> {
    let list = STATEMENTS
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{version}:")));
    let list = list.expect("a list of this version").split_whitespace();
    list.map(str::to_owned).collect()
}

struct Row {
    /// Numbers of MQTT 5 and of 3.1.1.
    statements: [Vec<String>; 2],
    shown_by: String,
}

fn rows() -> Vec<Row> {
    let table = section(&read("docs/conformance.md"), "Statements");
    let rows = table.lines().filter(|line| line.starts_with("| "));
    rows.filter(|line| !line.starts_with("| MQTT 5 |") && !line.starts_with("| ---"))
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            let [five, three, _, shown_by] = cells.as_slice() else {
                panic!("not four cells: {line}");
            };
            let numbers = |cell: &str| {
                let all = cell.split("[MQTT-").skip(1);
                all.filter_map(|rest| rest.split_once(']'))
                    .map(|(number, _)| number.to_owned())
                    .collect()
            };
            Row {
                statements: [numbers(five), numbers(three)],
                shown_by: shown_by.trim_end_matches(" |").to_owned(),
            }
        })
        .collect()
}

/// First lines of the paragraphs of all data files of a folder.
fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(project().join(folder)).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.extension().is_some_and(|end| end == "txt"));
    let mut names = Vec::new();
    for text in texts.map(|path| fs::read_to_string(path).unwrap()) {
        let mut before = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if before.trim().is_empty() && !line.trim().is_empty() {
                names.push(line.trim().to_owned());
            }
            before = line;
        }
    }
    names
}

/// The names of all functions of the project's tests and sources.
fn functions() -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    let mut folders: Vec<_> = ["endpoint", "tests", "registry", "events"]
        .map(|folder| project().join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let named = text.split("fn ").skip(1);
                let named = named.filter_map(|rest| rest.split(['(', '<']).next());
                functions.extend(named.map(str::to_owned));
            }
        }
    }
    functions
}

/// Whether a text has this number, and not only as a part of another one.
fn has(text: &str, number: &str) -> bool {
    text.match_indices(number).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + number.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_digit() || c == '.')
            && !after.is_some_and(|c| c.is_ascii_digit())
    })
}

#[test]
fn the_page_has_every_statement_of_both_standards_once() {
    let rows = rows();
    for (index, version) in ["5", "3.1.1"].into_iter().enumerate() {
        let listed: Vec<&String> = rows.iter().flat_map(|row| &row.statements[index]).collect();
        let unique: BTreeSet<String> = listed.iter().map(|&number| number.clone()).collect();
        assert_eq!(unique.len(), listed.len(), "{version}: one is there twice");
        assert_eq!(unique, numbers(version), "MQTT {version}");
    }
}

#[test]
fn everything_that_shows_a_statement_exists() {
    let protocol = read("docs/protocol.md");
    let codec = [
        names("endpoint/protocol/tests/data/codec"),
        vec![section(&protocol, "Codec")],
    ];
    let scripts = names("endpoint/protocol/tests/data/session");
    let session = [scripts.clone(), vec![section(&protocol, "The session")]];
    let wire = names("tests/conformance");
    let functions = functions();
    let mut wrong = Vec::new();
    for row in rows() {
        let numbered = |texts: &[String]| {
            let numbers = row.statements.iter().flatten();
            let found = |number: &String| texts.iter().any(|text| has(text, number));
            numbers.into_iter().any(found)
        };
        // Why it does not bind comes first, then maybe what shows so.
        let shown = match row.shown_by.strip_prefix("not bound: ") {
            Some(reason) => reason.rsplit_once(": ").map_or("", |(_, shown)| shown),
            None => &row.shown_by,
        };
        for reference in shown.split("; ").filter(|reference| !reference.is_empty()) {
            let quoted = |mark: char| reference.strip_prefix(mark)?.strip_suffix(mark);
            let exists = match reference {
                "codec" => numbered(&codec.concat()),
                "session" => numbered(&session.concat()),
                "wire" => numbered(&wire),
                _ => match (quoted('"'), quoted('`')) {
                    (Some(name), _) => is_script(name, &scripts) || is_script(name, &wire),
                    (_, Some(name)) => functions.contains(name),
                    _ => false,
                },
            };
            if !exists {
                wrong.push(format!("{:?}: {reference}", row.statements));
            }
        }
        let bound = !row.shown_by.starts_with("not bound: ");
        assert!(!bound || !shown.is_empty(), "{:?}: nothing", row.statements);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a page names as tests and scripts is there. Tests are told from other names in the same type by
/// their length.
#[test]
fn tests_that_the_pages_name_exist() {
    let functions = functions();
    let scripts = names("endpoint/protocol/tests/data/session");
    let wire = names("tests/conformance");
    let mut wrong = Vec::new();
    for page in [
        "docs/conformance.md",
        "docs/robustness.md",
        "docs/security.md",
    ] {
        let text = read(page);
        let marked = text.split('`').skip(1).step_by(2);
        let is_test = |name: &&str| {
            name.matches('_').count() > 2
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        for name in marked.filter(is_test) {
            if !functions.contains(name) {
                wrong.push(format!("{page}: `{name}`"));
            }
        }
    }
    let ideas = section(&read("docs/conformance.md"), "Ideas of other suites");
    for name in ideas.split('"').skip(1).step_by(2) {
        if !is_script(name, &scripts) && !is_script(name, &wire) {
            wrong.push(format!("docs/conformance.md: {name:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether there is a script of this name; the clause stands before it.
fn is_script(name: &str, scripts: &[String]) -> bool {
    scripts.iter().any(|script| {
        let before = script.strip_suffix(name);
        before.is_some_and(|before| before.is_empty() || before.ends_with(' '))
    })
}

#[test]
fn a_number_is_found_only_as_a_whole() {
    assert!(has("[MQTT-3.1.2-2] a", "3.1.2-2"));
    assert!(!has("[MQTT-3.1.2-22] a", "3.1.2-2"));
    assert!(!has("[MQTT-13.1.2-2] a", "3.1.2-2"));
    assert!(is_script("b c", &["[X] b c".to_owned()]));
    assert!(!is_script("b c", &["[X] ab c".to_owned()]));
}
