//! Commands as requests of NATS.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Spec;
use super::workers::Sender;
use crate::error::{Error, Result, ServerFault};

/// A little longer than the server waits for a device.
const PATIENCE: Duration = Duration::from_secs(10);

/// One for each worker, over one connection.
pub(super) fn senders(spec: &Spec) -> Result<Vec<Box<dyn Sender>>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Error::machine("start a runtime"))?;
    let runtime = Arc::new(runtime);
    let server = spec.server.clone().unwrap_or_default();
    let options = async_nats::ConnectOptions::new().request_timeout(Some(PATIENCE));
    let client = runtime.block_on(options.connect(server));
    let client = client.map_err(|fault| Error::Usage(format!("NATS: {fault}")))?;
    let sender = |_| {
        Box::new(Nats {
            runtime: Arc::clone(&runtime),
            client: client.clone(),
            subject: format!("{}.{}", spec.to, spec.application),
            payload: vec![b'x'; spec.payload.into()].into(),
        }) as Box<dyn Sender>
    };
    Ok((0..spec.workers).map(sender).collect())
}

struct Nats {
    runtime: Arc<Runtime>,
    client: async_nats::Client,
    /// Up to the application.
    subject: String,
    payload: bytes::Bytes,
}

impl Sender for Nats {
    fn send(&mut self, device: &str, _number: u64) -> Result<()> {
        let subject = format!("{}.{device}.load", self.subject);
        let asking = self.client.request(subject, self.payload.clone());
        let reply = self.runtime.block_on(asking);
        let reply = reply.map_err(|fault| Error::Usage(format!("NATS: {fault}")))?;
        let told = String::from_utf8_lossy(&reply.payload);
        match told.contains("\"acknowledged\"") {
            true => Ok(()),
            false => Err(ServerFault::NotAcknowledged(told.into_owned()).into()),
        }
    }
}
