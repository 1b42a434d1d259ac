//! `health`: asks a running server how it does, for container health checks and scripts.

use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::{Url, redirect};
use serde_json::Value;

use super::{
    Failure, client,
    output::{self, Format},
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall health
  landfall health live --url http://127.0.0.1:9090
  landfall health ready -o json

Exit codes: 0 it is so, 1 it is not or nobody answers, 2 wrong usage.")]
pub(super) struct Options {
    /// What to ask for
    #[arg(value_enum, default_value_t = Question::Ready)]
    question: Question,
    /// The server's [ops] address
    #[arg(
        long,
        env = "LANDFALL_OPS_URL",
        default_value = "http://127.0.0.1:9090"
    )]
    url: Url,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Question {
    /// Does the process answer?
    Live,
    /// Can devices be served?
    Ready,
    /// Has it been ready since it was started?
    Startup,
}

impl Question {
    const fn segment(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Startup => "startup",
        }
    }
}

/// A health check is asked again soon.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    client::block_on(async {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(Failure::new)?;
        let mut url = options.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty()
                .extend(["health", options.question.segment()]);
        }
        let failed = |error: reqwest::Error| {
            Failure::new(format_args!("{}: {}", options.url, error.without_url()))
        };
        let response = http.get(url).send().await.map_err(failed)?;
        let healthy = response.status().is_success();
        let body = response.bytes().await.map_err(failed)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let status = answer.get("status").and_then(Value::as_str);
        let status = status.unwrap_or("no answer of Landfall's");
        match options.output {
            Format::Json if answer.is_object() => output::line(format_args!("{answer:#}"))?,
            Format::Text if healthy => output::line(status)?,
            Format::Json | Format::Text => {}
        }
        if healthy {
            return Ok(());
        }
        let reasons = answer.get("reasons").and_then(Value::as_array);
        let reasons = reasons.into_iter().flatten().filter_map(Value::as_str);
        let reasons: Vec<_> = reasons.collect();
        Err(Failure::new(match reasons.is_empty() {
            true => status.to_owned(),
            false => format!("{status}: {}", reasons.join("; ")),
        }))
    })
}
