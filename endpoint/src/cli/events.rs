//! `events`: prints an application's events, one line of JSON each.

use std::time::Duration;

use clap::Args;
use reqwest::{Method, StatusCode, header};
use serde_json::value::RawValue;

use super::{
    Client, Failure,
    client::{self, ServerOptions},
    output,
    sse::{self, Parser},
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall events my-app
  landfall events my-app --follow --after 1200")]
pub(super) struct Options {
    /// The application
    application: String,
    /// Go on with new events until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Start after this offset; left out, with the oldest retained event
    #[arg(long, value_name = "OFFSET")]
    after: Option<u64>,
    #[command(flatten)]
    server: ServerOptions,
}

/// Events asked for at a time.
const PAGE: &str = "1000";
/// Between two attempts to go on with a stream that broke off.
const RECONNECT: Duration = Duration::from_secs(1);

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let client = Client::new(options.server)?;
    let path = events_path(&options.application);
    client::block_on(async {
        if options.follow {
            follow(&client, &path, options.after).await
        } else {
            print_all(&client, &path, options.after).await
        }
    })
}

pub(crate) fn events_path(application: &str) -> [&str; 5] {
    ["api", "events", "v1alpha1", "apps", application]
}

/// Prints page after page until there is nothing more, then tells where to go on.
async fn print_all(client: &Client, path: &[&str], after: Option<u64>) -> Result<(), Failure> {
    let mut after = after;
    loop {
        let mut request = client.quick(Method::GET, path).query(&[("limit", PAGE)]);
        if let Some(after) = after {
            request = request.query(&[("after", after)]);
        }
        let response = client.send(request).await?;
        let next = response.headers().get("landfall-next-offset");
        let next: Option<u64> = next.and_then(|next| next.to_str().ok()?.parse().ok());
        let body = response
            .bytes()
            .await
            .map_err(|error| client.unreachable(&error))?;
        let events: Vec<&RawValue> = serde_json::from_slice(&body)
            .map_err(|error| Failure::new(format_args!("not a batch of events: {error}")))?;
        let (Some(next), false) = (next, events.is_empty()) else {
            if let Some(after) = after {
                eprintln!("go on with --after {after}");
            }
            return Ok(());
        };
        let mut lines = String::with_capacity(body.len());
        for event in events {
            lines.push_str(event.get());
            lines.push('\n');
        }
        output::write(lines)?;
        after = Some(next);
    }
}

/// Prints a stream, and goes on with it when it breaks off.
async fn follow(client: &Client, path: &[&str], after: Option<u64>) -> Result<(), Failure> {
    let mut after = after;
    let mut was_connected = false;
    loop {
        match follow_once(client, path, &mut after).await {
            Ok(()) => {
                was_connected = true;
                eprintln!("the stream ended; going on as soon as the server is there again");
            }
            Err(Broken::Fatal(failure)) => return Err(failure),
            // A server that was never reached is rather a wrong URL.
            Err(Broken::Connection(failure)) if !was_connected => return Err(failure),
            Err(Broken::Connection(_)) => {}
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

enum Broken {
    /// Another attempt may succeed.
    Connection(Failure),
    Fatal(Failure),
}

async fn follow_once(
    client: &Client,
    path: &[&str],
    after: &mut Option<u64>,
) -> Result<(), Broken> {
    let mut request = client
        .request(Method::GET, path)
        .header(header::ACCEPT, "text/event-stream");
    if let Some(after) = *after {
        request = request.query(&[("after", after)]);
    }
    let mut response = match client.try_send(request).await.map_err(Broken::Connection)? {
        Ok(response) => response,
        Err(refusal) if refusal.status >= StatusCode::INTERNAL_SERVER_ERROR => {
            return Err(Broken::Connection(refusal.into()));
        }
        Err(refusal) => return Err(Broken::Fatal(refusal.into())),
    };
    let mut parser = Parser::default();
    // A broken connection ends the stream just as its regular end does.
    while let Ok(Some(chunk)) = response.chunk().await {
        parser.push(&chunk).map_err(Broken::Fatal)?;
        while let Some(sse::Event { id, data }) = parser.next() {
            output::line(data).map_err(Broken::Fatal)?;
            *after = id.parse().ok().or(*after);
        }
    }
    Ok(())
}
