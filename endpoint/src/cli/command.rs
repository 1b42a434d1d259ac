//! `command`: sends a command and tells what became of it.

use std::{fs, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use reqwest::{Method, header};
use serde_json::Value;

use super::{
    Client, Failure,
    client::{self, ServerOptions},
    output,
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall command my-app sensor01 reboot
  landfall command my-app sensor01 set --payload '{\"target\":23}' --content-type application/json")]
pub(super) struct Options {
    /// The application
    application: String,
    /// The device
    device: String,
    /// The command's name
    name: String,
    /// The payload
    #[arg(long, value_name = "TEXT", conflicts_with = "payload_file")]
    payload: Option<String>,
    /// A file whose bytes are the payload
    #[arg(long, value_name = "FILE")]
    payload_file: Option<PathBuf>,
    /// The payload's media type, which MQTT 5 devices are told
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// How long to wait for the outcome, 0 to 60; 0: do not wait
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    timeout: f64,
    /// How to print the outcome
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What the network may take, beside what the command is waited for.
const GRACE: Duration = Duration::from_secs(15);

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let payload = match &options.payload_file {
        Some(file) => fs::read(file)
            .map_err(|error| Failure::new(format_args!("{}: {error}", file.display())))?,
        None => options.payload.clone().unwrap_or_default().into_bytes(),
    };
    let client = Client::new(options.server.clone())?;
    client::block_on(async {
        let outcome = send(&client, options, payload).await?;
        match options.output {
            Format::Json => output::line(format_args!("{outcome:#}")),
            Format::Text => output::line(describe(&outcome)),
        }
    })
}

async fn send(client: &Client, options: &Options, payload: Vec<u8>) -> Result<Value, Failure> {
    let path = [
        "api",
        "command",
        "v1alpha1",
        "apps",
        &options.application,
        "devices",
        &options.device,
    ];
    // What is no duration is the server's to refuse.
    let wait = Duration::try_from_secs_f64(options.timeout).unwrap_or_default();
    let mut request = client
        .request(Method::POST, &path)
        .query(&[
            ("command", &options.name),
            ("timeout", &options.timeout.to_string()),
        ])
        .timeout(wait.saturating_add(GRACE))
        .body(payload);
    if let Some(content_type) = &options.content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    let response = client.send(request).await?;
    client.json(response).await
}

/// One line for the outcome, and one for each delivery.
fn describe(outcome: &Value) -> String {
    let text = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    let what = match text(outcome, "outcome").as_str() {
        "handedOver" => "handed over".to_owned(),
        other => other.to_owned(),
    };
    let deliveries = outcome.get("deliveries").and_then(Value::as_array);
    let lines = deliveries.into_iter().flatten().map(|delivery| {
        let number = |key: &str| {
            delivery
                .get(key)
                .and_then(Value::as_f64)
                .unwrap_or_default()
        };
        format!(
            "\n  {} via {}, QoS {}, {:.1} ms",
            text(delivery, "device"),
            text(delivery, "via"),
            number("qos"),
            number("latencyMs")
        )
    });
    std::iter::once(what).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_the_outcome_and_every_delivery() {
        let outcome = json!({"outcome": "acknowledged", "deliveries": [
            {"device": "sensor02", "via": "gateway01", "qos": 1, "instance": "a", "latencyMs": 1.25},
        ]});
        assert_eq!(
            describe(&outcome),
            "acknowledged\n  sensor02 via gateway01, QoS 1, 1.2 ms"
        );
        assert_eq!(
            describe(&json!({"outcome": "handedOver", "deliveries": []})),
            "handed over"
        );
    }
}
