//! `events`: prints events of an application, or of one of its devices, one line of JSON each.

use std::time::Duration;

use bytes::Bytes;
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
  landfall events my-app --follow --after 1200
  landfall events my-app --device sensor01 --last 20")]
pub(super) struct Options {
    /// The application
    application: String,
    /// Go on with new events until interrupted
    #[arg(long, short)]
    follow: bool,
    /// Start after this offset; left out, with the oldest retained event
    #[arg(long, value_name = "OFFSET", conflicts_with = "last")]
    after: Option<u64>,
    /// Only events of this device; without --follow the newest 100, or as many as --last says
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Start with the newest events, this many
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    last: Option<u64>,
    #[command(flatten)]
    server: ServerOptions,
}

/// Events asked for at a time.
const PAGE: u64 = 1_000;
/// Of a device, unless more or fewer are asked for.
const LAST_OF_DEVICE: u64 = 100;
/// Between two attempts to go on with a stream that broke off.
const RECONNECT: Duration = Duration::from_secs(1);

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let Options {
        application,
        follow: goes_on,
        after,
        device,
        last,
        server,
    } = options;
    let path = events_path(&application);
    let client = Client::new(server)?;
    client::block_on(async {
        match (goes_on, device) {
            (true, device) => {
                let mut start: Vec<(&str, String)> = Vec::new();
                start.extend(device.map(|device| ("device", device)));
                start.extend(last.map(|last| ("last", last.to_string())));
                follow(&client, &path, &start, after).await
            }
            (false, Some(_)) if after.is_some() => Err(Failure::new(
                "--after goes with --device only together with --follow",
            )),
            (false, Some(device)) => {
                let last = last.unwrap_or(LAST_OF_DEVICE);
                print_last_of(&client, &path, &device, last).await
            }
            (false, None) => {
                let start = match (after, last) {
                    (Some(after), _) => Some(("after", after)),
                    (None, last) => last.map(|last| ("last", last)),
                };
                print_all(&client, &path, start).await
            }
        }
    })
}

pub(crate) fn events_path(application: &str) -> [&str; 5] {
    ["api", "events", "v1alpha1", "apps", application]
}

/// A batch of events, and where its neighbours are.
struct Page {
    body: Bytes,
    next: Option<u64>,
    previous: Option<u64>,
}

impl Page {
    async fn get(
        client: &Client,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Self, Failure> {
        let request = client.quick(Method::GET, path).query(query);
        let response = client.send(request).await?;
        let offset = |name: &str| {
            let value = response.headers().get(name);
            value.and_then(|value| value.to_str().ok()?.parse().ok())
        };
        let next = offset("landfall-next-offset");
        let previous = offset("landfall-previous-offset");
        let body = response.bytes().await;
        Ok(Self {
            body: body.map_err(|error| client.unreachable(&error))?,
            next,
            previous,
        })
    }

    fn events(&self) -> Result<Vec<&RawValue>, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::new(format_args!("not a batch of events: {error}")))
    }
}

fn print(events: &[&RawValue]) -> Result<(), Failure> {
    let size = events.iter().map(|event| event.get().len() + 1).sum();
    let mut lines = String::with_capacity(size);
    for event in events {
        lines.push_str(event.get());
        lines.push('\n');
    }
    output::write(lines)
}

/// Prints page after page until there is nothing more, then tells where to go on.
async fn print_all(
    client: &Client,
    path: &[&str],
    start: Option<(&str, u64)>,
) -> Result<(), Failure> {
    let mut start = start;
    loop {
        let mut query = vec![("limit", PAGE.to_string())];
        query.extend(start.map(|(name, value)| (name, value.to_string())));
        let page = Page::get(client, path, &query).await?;
        let events = page.events()?;
        let (Some(next), false) = (page.next, events.is_empty()) else {
            if let Some(("after", after)) = start {
                eprintln!("go on with --after {after}");
            }
            return Ok(());
        };
        print(&events)?;
        start = Some(("after", next));
    }
}

/// Prints the newest events of a device, oldest first, then tells where to go on. The log is looked
/// through from its end.
async fn print_last_of(
    client: &Client,
    path: &[&str],
    device: &str,
    last: u64,
) -> Result<(), Failure> {
    let mut pages: Vec<Page> = Vec::new();
    let mut missing = last;
    while missing > 0 {
        let mut query = vec![
            ("device", device.to_owned()),
            ("limit", missing.min(PAGE).to_string()),
        ];
        match pages.last() {
            Some(Page {
                previous: Some(previous),
                ..
            }) => query.push(("before", previous.to_string())),
            Some(_) => break,
            None => {}
        }
        let page = Page::get(client, path, &query).await?;
        missing = missing.saturating_sub(page.events()?.len() as u64);
        pages.push(page);
    }
    for page in pages.iter().rev() {
        print(&page.events()?)?;
    }
    if let Some(next) = pages.first().and_then(|page| page.next) {
        eprintln!("go on with --follow --after {next}");
    }
    Ok(())
}

/// Prints a stream from where it is to `start`, or behind an offset, and goes on with it when it
/// breaks off.
async fn follow(
    client: &Client,
    path: &[&str],
    start: &[(&str, String)],
    after: Option<u64>,
) -> Result<(), Failure> {
    let mut after = after;
    let mut was_connected = false;
    loop {
        match follow_once(client, path, start, &mut after).await {
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
    start: &[(&str, String)],
    after: &mut Option<u64>,
) -> Result<(), Broken> {
    let mut request = client
        .request(Method::GET, path)
        .header(header::ACCEPT, "text/event-stream")
        .query(start);
    if let Some(after) = *after {
        // Counts more than `last`.
        request = request.header("last-event-id", after);
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
