//! `export`: the registry as YAML that `apply` and `import` take back.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use landfall_registry::document::to_yaml;
use serde_json::{Map, Value};

use super::{
    Client, Failure,
    client::{self, ServerOptions, registry_path},
    output,
    pages::Pages,
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall export --with-secrets --file backup.yaml     # restore it with: landfall import backup.yaml
  landfall export --app my-app | less

Without --with-secrets, secrets are references to those that are stored: such documents can be
applied to the same registry, and lose nothing there, but not to another one. API tokens are not
exported.")]
pub(super) struct Options {
    /// Only this application and its devices; can be given several times
    #[arg(long = "app", value_name = "APP")]
    applications: Vec<String>,
    /// Write hashes and keys, for a backup that restores fully; needs the role admin
    #[arg(long)]
    with_secrets: bool,
    /// The file to write, which must not exist yet; only its owner may read it. Left out: standard
    /// output
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let client = Client::new(options.server)?;
    let mut target = Target::open(options.file.as_deref())?;
    let query: &[_] = match options.with_secrets {
        true => &[("withSecrets", "true")],
        false => &[],
    };
    client::block_on(async {
        if options.applications.is_empty() {
            export_all(&client, query, &mut target).await?;
        }
        for name in &options.applications {
            let path = registry_path(name, None);
            let request = client.quick(reqwest::Method::GET, &path).query(query);
            let application = client.json(client.send(request).await?).await?;
            export(&client, &application, query, &mut target).await?;
        }
        target.finish()
    })
}

async fn export_all(
    client: &Client,
    query: &[(&str, &str)],
    target: &mut Target,
) -> Result<(), Failure> {
    let path = ["api", "registry", "v1alpha1", "apps"];
    let mut applications = Pages::new(client, &path, query);
    while let Some(page) = applications.next().await? {
        for application in &page {
            export(client, application, query, target).await?;
        }
    }
    Ok(())
}

/// Writes an application and all its devices.
async fn export(
    client: &Client,
    application: &Value,
    query: &[(&str, &str)],
    target: &mut Target,
) -> Result<(), Failure> {
    target.write(application)?;
    let name = application.pointer("/metadata/name");
    let name = name.and_then(Value::as_str).unwrap_or_default();
    let mut path = registry_path(name, None);
    path.push("devices");
    let mut devices = Pages::new(client, &path, query);
    while let Some(page) = devices.next().await? {
        for device in &page {
            target.write(device)?;
        }
    }
    Ok(())
}

/// Where documents go.
enum Target {
    StandardOutput,
    File { file: File, path: PathBuf },
}

impl Target {
    fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::StandardOutput);
        };
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| failed(path, &error))?;
        Ok(Self::File {
            file,
            path: path.to_owned(),
        })
    }

    fn write(&mut self, resource: &Value) -> Result<(), Failure> {
        let document = to_yaml(&[document(resource)])
            .map_err(|_| Failure::new("the answer cannot be written as YAML"))?;
        let text = format!("---\n{document}");
        match self {
            Self::StandardOutput => output::write(text),
            Self::File { file, path } => file
                .write_all(text.as_bytes())
                .map_err(|error| failed(path, &error)),
        }
    }

    /// What was written survives a power cut.
    fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Self::StandardOutput => Ok(()),
            Self::File { file, path } => file.sync_all().map_err(|error| failed(path, &error)),
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format_args!("{}: {error}", path.display()))
}

/// A resource without what belongs to this server: so it can be written to any, and twice.
fn document(resource: &Value) -> Value {
    let mut document = resource.clone();
    let metadata = document.get_mut("metadata").and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        let kept = ["name", "application", "labels", "annotations"];
        let kept: Map<_, _> = kept
            .into_iter()
            .filter_map(|key| metadata.remove_entry(key))
            .collect();
        *metadata = kept;
    }
    document
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_belongs_to_the_server_is_left_out() {
        let resource = json!({
            "metadata": {
                "name": "d", "application": "a", "uid": "u", "generation": 1, "labels": {"x": "1"},
                "resourceVersion": "7", "creationTimestamp": "t",
            },
            "spec": {"core": {"disabled": true}},
        });
        let expected = json!({
            "metadata": {"name": "d", "application": "a", "labels": {"x": "1"}},
            "spec": {"core": {"disabled": true}},
        });
        assert_eq!(document(&resource), expected);
    }
}
