//! Resource documents out of files: read, validated, and kept as the text's own values, which the
//! server reads again.

use std::{
    fmt, fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use landfall_registry::document::{Document, document_values, parse_documents};
use serde_json::{Value, json};

use super::Failure;

/// A valid document, where it stands, and what it names.
pub(super) struct Sourced {
    pub(super) target: Target,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// What a document is about. Applications come before devices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Application(String),
    Device { application: String, name: String },
}

/// A file, and the number of a document in it, from 1.
#[derive(Clone, Debug)]
pub(super) struct Place {
    file: PathBuf,
    number: usize,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(name) => write!(f, "application {name}"),
            Self::Device { application, name } => write!(f, "device {application}/{name}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, document {}", shown(&self.file), self.number)
    }
}

impl Target {
    /// What became of it, for programs.
    pub(super) fn as_json(&self, result: &str) -> Value {
        match self {
            Self::Application(name) => json!({ "application": name, "result": result }),
            Self::Device { application, name } => {
                json!({ "application": application, "device": name, "result": result })
            }
        }
    }

    fn of(document: &Document) -> Self {
        match document {
            Document::Application(_) => Self::Application(document.name().to_owned()),
            Document::Device(device) => Self::Device {
                application: device.application.clone(),
                name: document.name().to_owned(),
            },
        }
    }
}

/// Reads all files, `-` being standard input, and all `.yaml`, `.yml` and `.json` files of folders.
/// The documents come applications first, otherwise as they stand.
///
/// # Errors
///
/// Every invalid document, with file, number and field; or two that name the same thing.
pub(super) fn read_all(paths: &[PathBuf]) -> Result<Vec<Sourced>, Failure> {
    let mut documents = Vec::new();
    let mut problems = Vec::new();
    for path in paths {
        for file in files_of(path)? {
            match read_file(&file)? {
                Ok(read) => documents.extend(read),
                Err(problem) => problems.push(problem),
            }
        }
    }
    if !problems.is_empty() {
        return Err(Failure::new(format_args!(
            "nothing was changed:\n{}",
            problems.join("\n")
        )));
    }
    documents.sort_by_key(|document| matches!(document.target, Target::Device { .. }));
    refuse_duplicates(&documents)?;
    Ok(documents)
}

fn files_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path == Path::new("-") || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error| Failure::new(format_args!("{}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Failure::new(format_args!(
            "{}: no .yaml, .yml or .json file in this folder",
            path.display()
        )));
    }
    files.sort();
    Ok(files)
}

/// The documents of one file; the inner error lists the invalid ones.
fn read_file(file: &Path) -> Result<Result<Vec<Sourced>, String>, Failure> {
    let text =
        read_text(file).map_err(|error| Failure::new(format_args!("{}: {error}", shown(file))))?;
    let read = document_values(&text).and_then(|values| Ok((values, parse_documents(&text)?)));
    let (values, documents) = match read {
        Ok(read) => read,
        Err(invalid) => {
            let prefixed = |line: &str| format!("{}: {line}", shown(file));
            let lines: Vec<_> = invalid.to_string().lines().map(prefixed).collect();
            return Ok(Err(lines.join("\n")));
        }
    };
    let sourced = documents
        .iter()
        .zip(values)
        .map(|((index, document), value)| Sourced {
            target: Target::of(document),
            value,
            place: Place {
                file: file.to_owned(),
                number: index + 1,
            },
        });
    Ok(Ok(sourced.collect()))
}

/// A file's name, for people.
fn shown(file: &Path) -> String {
    match file == Path::new("-") {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    }
}

fn read_text(file: &Path) -> std::io::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(file)
}

fn refuse_duplicates(documents: &[Sourced]) -> Result<(), Failure> {
    let mut sorted: Vec<_> = documents.iter().collect();
    sorted.sort_by(|a, b| a.target.cmp(&b.target));
    for pair in sorted.windows(2) {
        if let [first, second] = pair
            && first.target == second.target
        {
            return Err(Failure::new(format_args!(
                "nothing was changed: {} stands twice: in {} and in {}",
                first.target, first.place, second.place
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Vec<Sourced>, Failure> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        read_all(&[folder.path().to_owned()])
    }

    fn refusal(files: &[(&str, &str)]) -> String {
        read(files).err().unwrap().to_string()
    }

    #[test]
    fn what_came_by_standard_input_is_called_so() {
        let place = |file: &str| Place {
            file: file.into(),
            number: 2,
        };
        assert_eq!(place("-").to_string(), "standard input, document 2");
        assert_eq!(place("a.yaml").to_string(), "a.yaml, document 2");
    }

    #[test]
    fn reads_yaml_and_json_of_a_folder_with_applications_first() {
        let documents = read(&[
            (
                "a.yaml",
                "metadata: { name: d1, application: app }\n---\nmetadata: { name: app }\n",
            ),
            (
                "b.json",
                r#"[{"metadata":{"name":"d2","application":"app"}}]"#,
            ),
            (
                "c.yml",
                "items:\n- metadata: { name: d3, application: app }\n",
            ),
            ("notes.txt", "not a document"),
        ])
        .unwrap();
        let targets: Vec<_> = documents.iter().map(|d| d.target.to_string()).collect();
        assert_eq!(
            targets,
            [
                "application app",
                "device app/d1",
                "device app/d2",
                "device app/d3"
            ]
        );
        assert_eq!(documents[3].value["metadata"]["name"], "d3");
    }

    #[test]
    fn names_file_document_and_field_of_every_invalid_document() {
        let message = refusal(&[
            (
                "a.yaml",
                "metadata: { name: app }\n---\nmetadata: { name: a/b, application: app }\n",
            ),
            (
                "b.yaml",
                "metadata: { name: x }\nspec: { core: { disabld: true } }\n",
            ),
        ]);
        assert!(message.starts_with("nothing was changed:"), "{message}");
        assert!(message.contains("a.yaml: document 2"), "{message}");
        assert!(message.contains("metadata.name"), "{message}");
        assert!(message.contains("b.yaml: document 1"), "{message}");
        assert!(message.contains("spec.core.disabld"), "{message}");
    }

    #[test]
    fn refuses_a_resource_that_stands_twice() {
        let message = refusal(&[
            ("a.yaml", "metadata: { name: d, application: app }\n"),
            ("b.yaml", "metadata: { name: d, application: app }\n"),
        ]);
        assert!(message.contains("device app/d stands twice"), "{message}");
        assert!(message.contains("a.yaml, document 1"), "{message}");
        assert!(message.contains("b.yaml, document 1"), "{message}");
    }

    #[test]
    fn a_folder_without_documents_and_a_missing_file_are_named() {
        assert!(refusal(&[("notes.txt", "x")]).contains("no .yaml, .yml or .json file"));
        let missing = read_all(&[PathBuf::from("/nonexistent.yaml")])
            .err()
            .unwrap();
        assert!(missing.to_string().starts_with("/nonexistent.yaml: "));
    }
}
