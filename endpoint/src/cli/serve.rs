//! `serve` and `check-config`.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    config::Config,
    listener::{Entrance, tls::HttpTls},
    server::Server,
};

use super::{Failure, notify::Notifier, output, start_logging};

/// Descriptors that are no device connections: files, listeners, HTTP.
pub(super) const OTHER_DESCRIPTORS: u64 = 1_000;

pub(super) fn run(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path).map_err(Failure::new)?;
    start_logging(&config.log)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    raise_descriptor_limit(config.limits.connections.get());
    runtime()?.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let server = Server::start(config).await.map_err(Failure::new)?;
    let addresses = server.addresses();
    for (address, listener) in addresses
        .listeners
        .iter()
        .zip(&server.shared().config.listeners)
    {
        let (transport, tls) = (&listener.transport, listener.tls.is_some());
        tracing::info!(%address, %transport, tls, "serving MQTT");
    }
    let tls = server.shared().config.api.tls.is_some();
    tracing::info!(address = %addresses.api, tls, "serving the API");
    if let Some(address) = addresses.ops {
        tracing::info!(%address, "serving metrics and health");
    }
    reload_on_hangup(&server)?;
    let limits = &server.shared().config.limits;
    let patience = limits.drain_spread + limits.drain_timeout * 2;
    let notifier = Notifier::from_environment();
    notifier.ready("Serving");
    let stop = async {
        stop.await;
        notifier.stopping(patience);
    };
    tokio::select! {
        () = server.run(stop) => {}
        () = notifier.keep_alive() => {}
    }
    Ok(())
}

/// SIGHUP has certificates and keys loaded again.
fn reload_on_hangup(server: &Server) -> Result<(), Failure> {
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| Failure::new(format_args!("cannot take signals: {error}")))?;
    let shared = Arc::clone(server.shared());
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            shared.reload();
        }
    });
    Ok(())
}

pub(super) fn check(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path).map_err(Failure::new)?;
    for warning in config.warnings() {
        eprintln!("warning: {warning}");
    }
    for listener in &config.listeners {
        Entrance::new(listener, &config.limits)
            .map_err(|error| Failure::new(format_args!("listener {}: {error}", listener.bind)))?;
    }
    if let Some(files) = &config.api.tls {
        HttpTls::load(files, config.limits.handshake_timeout)
            .map_err(|error| Failure::new(format_args!("[api.tls]: {error}")))?;
    }
    output::line(format_args!("{}: valid", path.display()))
}

/// A thread for blocking work ends after so long without any. Work that comes again and again (looks at
/// certificates, held commands) goes from one idle thread to the next: with tokio's ten seconds it would
/// keep as many threads as it comes in that time.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// The server's runtime: one worker per CPU.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .build()
        .map_err(|error| Failure::new(format_args!("cannot start the runtime: {error}")))
}

/// Takes all the file descriptors that the system allows, and says if they are too few.
pub(crate) fn raise_descriptor_limit(connections: usize) {
    let needed = connections as u64 + OTHER_DESCRIPTORS;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < needed => tracing::warn!(
            limit,
            needed,
            "too few file descriptors for limits.connections: raise the hard limit (ulimit -Hn, \
             LimitNOFILE)"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "cannot raise the limit of file descriptors"),
    }
}

/// Waits for SIGINT or SIGTERM. A second one ends the process at once.
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| Failure::new(format_args!("cannot take signals: {error}")))
    };
    let mut signals = Signals {
        interrupt: listen(SignalKind::interrupt())?,
        terminate: listen(SignalKind::terminate())?,
    };
    Ok(async move {
        signals.next().await;
        tokio::spawn(async move {
            signals.next().await;
            tracing::warn!("ended by a second signal, before everything was drained");
            std::process::exit(1);
        });
    })
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
