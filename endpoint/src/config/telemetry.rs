//! `[telemetry]`: traces.

use serde::{Deserialize, Deserializer, de::Error};
use url::Url;

/// Where traces go. Without the section there are none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// The address that an OpenTelemetry collector takes traces at: OTLP over HTTP, in JSON, as
    /// `http://127.0.0.1:4318/v1/traces`. No default. A publish with a sampled `traceparent`
    /// becomes a span there. Danger: names of applications, devices and channels are in it.
    #[serde(deserialize_with = "address")]
    pub otlp_endpoint: String,
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = "otlp_endpoint is an http or https URL, as \"http://127.0.0.1:4318/v1/traces\"";
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(text),
        _ => Err(D::Error::custom(wrong)),
    }
}
