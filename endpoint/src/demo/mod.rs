//! `landfall demo`: the whole server on loopback, with devices, a first event, and what to type
//! next.
//!
//! - `settings`: the embedded configuration;
//! - `seed`: application, devices and the pre-shared key;
//! - `device`: a real MQTT client that publishes one message;
//! - `pki`: a development CA, and what it signs;
//! - `guide`: what is printed.

mod device;
mod guide;
mod pki;
mod seed;
mod settings;
mod token;

use std::{net::SocketAddr, sync::Arc};

use reqwest::{Method, Url};
use serde_json::Value;

use crate::{
    cli::{self, Client, Failure},
    listener::Bound,
    server::{Server, Shared},
};

pub(crate) use settings::Options;

/// The demo's application.
const APPLICATION: &str = "demo";
/// The device that publishes the first event, and its password.
const DEVICE: &str = "sensor01";
const PASSWORD: &str = "sensor01-secret";
const CHANNEL: &str = "temp";
const PAYLOAD: &str = r#"{"temp":21.5}"#;

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let config = options.config()?;
    cli::start_logging(&config.log)?;
    cli::raise_descriptor_limit(config.limits.connections.get());
    cli::runtime()?.block_on(async {
        let stop = cli::stop_signal()?;
        // A demo that cannot start leaves no trace.
        options.check_ports(&config)?;
        let ca = pki::make(&config.data_dir)?;
        let server = Server::start(config)
            .await
            .map_err(|error| options.explain(&error))?;
        let shared = Arc::clone(server.shared());
        seed::seed(&shared.registry, &options.data_dir, ca.as_deref()).await?;
        token::make(&shared.registry, &options.data_dir).await?;
        let places = Places::of(&server)?;
        let serving = tokio::spawn(server.run(stop));
        let event = first_event(&shared, &places).await?;
        cli::write(guide::text(options, &places, &event))?;
        serving
            .await
            .map_err(|error| Failure::new(format_args!("the server failed: {error}")))
    })
}

/// Where the demo's parts really listen.
struct Places {
    mqtt: SocketAddr,
    tls: SocketAddr,
    ws: SocketAddr,
    wss: SocketAddr,
    api: SocketAddr,
    ops: SocketAddr,
}

impl Places {
    fn of(server: &Server) -> Result<Self, Failure> {
        let addresses = server.addresses();
        let listeners: Vec<_> = addresses.listeners.iter().filter_map(Bound::tcp).collect();
        match (listeners.as_slice(), addresses.ops) {
            ([mqtt, tls, ws, wss], Some(ops)) => Ok(Self {
                mqtt: *mqtt,
                tls: *tls,
                ws: *ws,
                wss: *wss,
                api: addresses.api,
                ops,
            }),
            _ => Err(Failure::new("the demo's listeners were not bound")),
        }
    }
}

/// Publishes as a device and reads the event back as an application does.
async fn first_event(shared: &Arc<Shared>, places: &Places) -> Result<Value, Failure> {
    let before = newest_offset(shared).await?;
    device::publish(
        places.mqtt,
        &format!("{DEVICE}@{APPLICATION}"),
        PASSWORD,
        CHANNEL,
        PAYLOAD,
    )
    .await
    .map_err(|error| Failure::new(format_args!("publishing to {}: {error}", places.mqtt)))?;
    let url = Url::parse(&format!("http://{}", places.api)).map_err(Failure::new)?;
    let client = Client::with_token(url, shared.token.reveal().to_owned(), None)?;
    let request = client
        .quick(Method::GET, &cli::events_path(APPLICATION))
        .query(&[("after", before)]);
    let events = client.json(client.send(request).await?).await?;
    let published = |event: &&Value| {
        event.get("subject").and_then(Value::as_str) == Some(CHANNEL)
            && event.get("device").and_then(Value::as_str) == Some(DEVICE)
    };
    let events = events.as_array().into_iter().flatten();
    events
        .rev()
        .find(published)
        .cloned()
        .ok_or_else(|| Failure::new("the published event is not in the event log"))
}

/// Where this run's events begin.
async fn newest_offset(shared: &Arc<Shared>) -> Result<u64, Failure> {
    let reader = shared
        .sinks
        .log_reader()
        .cloned()
        .ok_or_else(|| Failure::new("the demo has no event log"))?;
    let latest = tokio::task::spawn_blocking(move || reader.latest(APPLICATION)).await;
    latest.map_err(Failure::new)?.map_err(Failure::new)
}
