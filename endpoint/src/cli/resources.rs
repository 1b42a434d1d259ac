//! `get` and `delete`.

use clap::{Args, Subcommand, ValueEnum};
use landfall_registry::document::to_yaml;
use reqwest::Method;
use serde_json::Value;

use super::{
    Client, Failure,
    client::{self, ServerOptions, registry_path},
    output,
    pages::Pages,
    table,
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall get apps
  landfall get devices my-app -l site=north
  landfall get device my-app sensor01 -o yaml     # can be edited and applied")]
pub(super) struct GetOptions {
    #[command(subcommand)]
    what: Get,
    /// How to print: a table, or documents that can be edited and applied
    #[arg(short, long, value_enum, default_value_t = Format::Table, global = true)]
    output: Format,
    /// Only those whose labels are like this: a=b, a!=b, 'a in (b, c)', a, !a, joined by commas
    #[arg(short = 'l', long, value_name = "SELECTOR", global = true)]
    labels: Option<String>,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Subcommand)]
enum Get {
    /// Applications: one, or all
    #[command(visible_aliases = ["apps", "application", "applications"])]
    App {
        /// Only this one
        name: Option<String>,
    },
    /// Devices of an application: one, or all
    #[command(visible_aliases = ["devices"])]
    Device {
        /// The application
        application: String,
        /// Only this one
        name: Option<String>,
    },
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall delete device my-app sensor01
  landfall delete app my-app     # its devices go with it")]
pub(super) struct DeleteOptions {
    #[command(subcommand)]
    what: Delete,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Subcommand)]
enum Delete {
    /// An application
    #[command(visible_alias = "application")]
    App {
        /// Its name
        name: String,
    },
    /// A device
    Device {
        /// The application
        application: String,
        /// Its name
        name: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Yaml,
}

pub(super) fn get(options: GetOptions) -> Result<(), Failure> {
    let client = Client::new(options.server)?;
    let (path, headings, row): (_, _, fn(&Value) -> Vec<String>) = match &options.what {
        Get::App { name } => (app_path(name.as_deref()), APP_HEADINGS.as_slice(), app_row),
        Get::Device { application, name } => (
            device_path(application, name.as_deref()),
            DEVICE_HEADINGS.as_slice(),
            device_row,
        ),
    };
    let of_one = match &options.what {
        Get::App { name } | Get::Device { name, .. } => name.is_some(),
    };
    let labels = options.labels.as_deref();
    let query: Vec<_> = labels
        .map(|labels| ("labels", labels))
        .into_iter()
        .collect();
    client::block_on(async {
        if options.output == Format::Json && of_one {
            let response = client.send(client.quick(Method::GET, &path)).await?;
            return output::line(format_args!("{:#}", client.json(response).await?));
        }
        let resources = if of_one {
            let response = client.send(client.quick(Method::GET, &path)).await?;
            vec![client.json(response).await?]
        } else {
            list(&client, &path, &query).await?
        };
        match options.output {
            Format::Json => output::line(format_args!("{:#}", Value::Array(resources))),
            Format::Yaml => output::write(yaml(&resources)?),
            Format::Table => {
                let headings = headings.iter().map(ToString::to_string).collect();
                let rows = resources.iter().map(row);
                let rows: Vec<_> = std::iter::once(headings).chain(rows).collect();
                output::write(table::render(&rows))
            }
        }
    })
}

fn app_path(name: Option<&str>) -> Vec<&str> {
    match name {
        Some(name) => registry_path(name, None),
        None => vec!["api", "registry", "v1alpha1", "apps"],
    }
}

fn device_path<'a>(application: &'a str, name: Option<&'a str>) -> Vec<&'a str> {
    let mut path = registry_path(application, None);
    path.push("devices");
    path.extend(name);
    path
}

/// All pages of a list.
async fn list(
    client: &Client,
    path: &[&str],
    query: &[(&str, &str)],
) -> Result<Vec<Value>, Failure> {
    let mut pages = Pages::new(client, path, query);
    let mut all = Vec::new();
    while let Some(page) = pages.next().await? {
        all.extend(page);
    }
    Ok(all)
}

fn yaml(resources: &[Value]) -> Result<String, Failure> {
    if resources.is_empty() {
        return Ok(String::new());
    }
    to_yaml(resources).map_err(|_| Failure::new("the answer cannot be written as YAML"))
}

const APP_HEADINGS: [&str; 3] = ["NAME", "STATE", "CREATED"];
const DEVICE_HEADINGS: [&str; 5] = ["NAME", "STATE", "CREDENTIALS", "GATEWAYS", "CREATED"];

fn app_row(resource: &Value) -> Vec<String> {
    vec![
        text(resource, "/metadata/name"),
        state(resource),
        text(resource, "/metadata/creationTimestamp"),
    ]
}

fn device_row(resource: &Value) -> Vec<String> {
    vec![
        text(resource, "/metadata/name"),
        state(resource),
        credentials(resource),
        gateways(resource),
        text(resource, "/metadata/creationTimestamp"),
    ]
}

fn text(resource: &Value, pointer: &str) -> String {
    let value = resource.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or("-").to_owned()
}

fn state(resource: &Value) -> String {
    let disabled = resource.pointer("/spec/core/disabled") == Some(&Value::Bool(true));
    let state = if disabled { "disabled" } else { "enabled" };
    state.to_owned()
}

/// The kinds of a device's credentials, as `pass, psk`.
fn credentials(resource: &Value) -> String {
    let list = resource.pointer("/spec/authentication/credentials");
    let kinds = list.and_then(Value::as_array).into_iter().flatten();
    let kinds = kinds
        .filter_map(Value::as_object)
        .flat_map(|kind| kind.keys());
    joined(kinds.map(String::as_str))
}

fn gateways(resource: &Value) -> String {
    let names = resource.pointer("/spec/gatewaySelector/matchNames");
    let names = names.and_then(Value::as_array).into_iter().flatten();
    let labels = resource.pointer("/spec/gatewaySelector/matchLabels");
    let by_label = labels.is_some_and(|labels| labels.as_object().is_some_and(|l| !l.is_empty()));
    joined(
        names
            .filter_map(Value::as_str)
            .chain(by_label.then_some("(by label)")),
    )
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let joined = parts.collect::<Vec<_>>().join(", ");
    if joined.is_empty() {
        "-".to_owned()
    } else {
        joined
    }
}

pub(super) fn delete(options: DeleteOptions) -> Result<(), Failure> {
    let client = Client::new(options.server)?;
    let (path, what) = match &options.what {
        Delete::App { name } => (registry_path(name, None), format!("application {name}")),
        Delete::Device { application, name } => (
            registry_path(application, Some(name)),
            format!("device {application}/{name}"),
        ),
    };
    client::block_on(async {
        client.send(client.quick(Method::DELETE, &path)).await?;
        output::line(format_args!("{what} deleted"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_is_shown_with_its_credentials_and_gateways() {
        let device = json!({
            "metadata": {"name": "d", "creationTimestamp": "2026-01-02T03:04:05Z"},
            "spec": {
                "core": {"disabled": true},
                "authentication": {"credentials": [{"pass": {"secretRef": "1"}}, {"psk": {}}]},
                "gatewaySelector": {"matchNames": ["g1", "g2"], "matchLabels": {"site": "a"}},
            },
        });
        let expected = [
            "d",
            "disabled",
            "pass, psk",
            "g1, g2, (by label)",
            "2026-01-02T03:04:05Z",
        ];
        assert_eq!(device_row(&device), expected);
        let plain = json!({"metadata": {"name": "d"}, "spec": {}});
        assert_eq!(device_row(&plain), ["d", "enabled", "-", "-", "-"]);
    }
}
