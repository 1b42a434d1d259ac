//! `token`: tokens of the API, each for what its holder has to do.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use landfall_events::event::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Client, Failure,
    client::{self, ServerOptions},
    output::{self, Format},
    table,
};
use crate::config::value::parse_duration;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall token create ci --role registry --app my-app
  export READER=$(landfall token create reader --role events --expires-in 90d)
  landfall token list -o json
  landfall token revoke ci")]
pub(super) struct Options {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a token and print it: nobody can see it again
    Create(Create),
    /// List tokens: names, roles, applications, but not the tokens themselves
    List {
        /// How to print
        #[arg(short, long, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
    /// Revoke a token: it is refused within a second, and streams opened with it end
    Revoke {
        /// The token's name
        name: String,
    },
}

#[derive(Args, Debug)]
struct Create {
    /// The token's name: up to 63 letters, digits, - _ .
    name: String,
    /// What it is for; can be given several times
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<RoleName>,
    /// Limits it to this application; can be given several times
    #[arg(long = "app", value_name = "APP")]
    applications: Vec<String>,
    /// When it ends: RFC 3339, as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "expires_in")]
    expires: Option<String>,
    /// After how long it ends, as 90d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires_in: Option<Duration>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleName {
    /// Everything, tokens and secrets included
    Admin,
    /// Applications and devices, to read and to write
    Registry,
    /// Sending commands
    Command,
    /// Reading events
    Events,
}

const PATH: [&str; 4] = ["api", "tokens", "v1alpha1", "tokens"];

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let client = Client::new(options.server)?;
    client::block_on(async {
        match options.action {
            Action::Create(wanted) => create(&client, &wanted).await,
            Action::List { output } => list(&client, output).await,
            Action::Revoke { name } => {
                let path = [PATH.as_slice(), &[name.as_str()]].concat();
                client.send(client.quick(Method::DELETE, &path)).await?;
                output::line(format_args!("token {name} revoked"))
            }
        }
    })
}

async fn create(client: &Client, wanted: &Create) -> Result<(), Failure> {
    let request = client.quick(Method::POST, &PATH).json(&document(wanted));
    let created = client.json(client.send(request).await?).await?;
    let secret = created.get("secret").and_then(Value::as_str);
    let secret = secret.ok_or_else(|| Failure::new("the server does not show the new token"))?;
    eprintln!(
        "token {} created; this is the only time it is shown",
        wanted.name
    );
    output::line(secret)
}

fn document(wanted: &Create) -> Value {
    let roles = wanted.roles.iter().filter_map(ValueEnum::to_possible_value);
    let roles: Vec<_> = roles.map(|role| role.get_name().to_owned()).collect();
    let mut document = json!({ "name": wanted.name, "roles": roles });
    let mut set = |key: &str, value: Value| {
        if let Some(document) = document.as_object_mut() {
            document.insert(key.to_owned(), value);
        }
    };
    if !wanted.applications.is_empty() {
        set("applications", json!(wanted.applications));
    }
    let in_time = wanted.expires_in.map(|wait| {
        let end = Timestamp::from(SystemTime::now() + wait).rfc3339();
        String::from_utf8_lossy(&end).into_owned()
    });
    if let Some(expires) = wanted.expires.clone().or(in_time) {
        set("expires", expires.into());
    }
    document
}

async fn list(client: &Client, format: Format) -> Result<(), Failure> {
    let response = client.send(client.quick(Method::GET, &PATH)).await?;
    let tokens = client.json(response).await?;
    if format == Format::Json {
        return output::line(format_args!("{tokens:#}"));
    }
    let headings = ["NAME", "ROLES", "APPLICATIONS", "EXPIRES", "CREATED"];
    let rows = tokens.as_array().into_iter().flatten().map(row);
    let rows: Vec<_> = std::iter::once(headings.map(str::to_owned).to_vec())
        .chain(rows)
        .collect();
    output::write(table::render(&rows))
}

fn row(token: &Value) -> Vec<String> {
    let text = |key: &str, absent: &str| {
        let value = token.get(key).and_then(Value::as_str);
        value.unwrap_or(absent).to_owned()
    };
    let joined = |key: &str, absent: &str| {
        let values = token.get(key).and_then(Value::as_array);
        let Some(values) = values else {
            return absent.to_owned();
        };
        let values: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        values.join(", ")
    };
    vec![
        text("name", "?"),
        joined("roles", "?"),
        joined("applications", "(all)"),
        text("expires", "(never)"),
        text("creationTimestamp", "?"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_with_what_it_is_limited_to() {
        let token = json!({
            "name": "ci", "roles": ["registry", "events"], "applications": ["a", "b"],
            "expires": "2030-01-01T00:00:00Z", "creationTimestamp": "2026-01-01T00:00:00Z",
        });
        let expected = [
            "ci",
            "registry, events",
            "a, b",
            "2030-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z",
        ];
        assert_eq!(row(&token), expected);
        let token = json!({"name": "x", "roles": ["admin"], "creationTimestamp": "t"});
        assert_eq!(row(&token), ["x", "admin", "(all)", "(never)", "t"]);
    }
}
