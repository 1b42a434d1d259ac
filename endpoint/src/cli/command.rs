//! `command`: sends a command and tells what became of it.

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;
use reqwest::{Method, Response, header};
use serde_json::Value;

use super::{
    Client, Failure,
    client::{self, ServerOptions},
    output::{self, Format},
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall command my-app sensor01 reboot
  landfall command my-app sensor01 set --payload '{\"target\":23}' --content-type application/json
  landfall command my-app sensor01 get --response
  landfall command my-app sensor01 update --payload-file fw.bin --ttl 86400")]
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
    /// Wait for the device's answer, and print it as it is
    #[arg(long, conflicts_with = "ttl")]
    response: bool,
    /// Hold the command this long, until the device has taken it
    #[arg(long, value_name = "SECONDS")]
    ttl: Option<u32>,
    /// How long the message is of use; it is not delivered later
    #[arg(long, value_name = "SECONDS", conflicts_with = "ttl")]
    expiry: Option<u32>,
    /// A user property for MQTT 5 devices; may be given several times
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// How to print the outcome
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    server: ServerOptions,
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
        let response = send(&client, options, payload).await?;
        if options.response {
            let answer = response.bytes().await;
            let answer = answer
                .map_err(|error| Failure::new(format_args!("the answer broke off: {error}")))?;
            return output::write(&answer);
        }
        let outcome: Value = client.json(response).await?;
        match options.output {
            Format::Json => output::line(format_args!("{outcome:#}")),
            Format::Text => output::line(describe(&outcome)),
        }
    })
}

async fn send(client: &Client, options: &Options, payload: Vec<u8>) -> Result<Response, Failure> {
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
    if options.response {
        request = request.query(&[("response", "true")]);
    }
    for (name, seconds) in [("ttl", options.ttl), ("expiry", options.expiry)] {
        if let Some(seconds) = seconds {
            request = request.query(&[(name, seconds)]);
        }
    }
    for property in &options.properties {
        request = request.header("landfall-user-property", property);
    }
    if let Some(content_type) = &options.content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    client.send(request).await
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
        "held" => match outcome.get("held") {
            Some(held) => format!(
                "held as {} until {}",
                text(held, "id"),
                text(held, "expires")
            ),
            None => "held".to_owned(),
        },
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
        let held = json!({"outcome": "held", "deliveries": [],
            "held": {"id": "7", "expires": "2026-11-22T11:41:33Z"}});
        assert_eq!(describe(&held), "held as 7 until 2026-11-22T11:41:33Z");
    }
}
