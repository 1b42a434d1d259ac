//! Commands over the HTTP API: each worker has a connection that it keeps.

use super::{Sender, Spec};
use crate::error::{Error, Result, ServerFault};
use crate::http::Client;

/// One for each worker, spread over the instances.
pub(super) fn senders(spec: &Spec) -> Result<Vec<Box<dyn Sender>>> {
    let file = spec
        .token_file
        .as_deref()
        .unwrap_or(std::path::Path::new("token"));
    let token = std::fs::read_to_string(file).map_err(Error::machine("read the API token"))?;
    let apis = spec.api.iter().cycle().take(spec.workers.into());
    let sender = |api: &std::net::SocketAddr| {
        let sender = Http {
            client: Client::connect(*api, token.trim())?,
            application: spec.application.clone(),
            payload: vec![b'x'; spec.payload.into()],
        };
        Ok(Box::new(sender) as Box<dyn Sender>)
    };
    apis.map(sender).collect()
}

struct Http {
    client: Client,
    application: String,
    payload: Vec<u8>,
}

impl Sender for Http {
    fn send(&mut self, device: &str, _number: u64) -> Result<()> {
        let path = format!(
            "/api/command/v1alpha1/apps/{}/devices/{device}?command=load&timeout=10",
            self.application
        );
        let answer = self
            .client
            .post(&path, "application/octet-stream", &self.payload)?;
        match answer.contains("\"acknowledged\"") {
            true => Ok(()),
            false => Err(ServerFault::NotAcknowledged(answer).into()),
        }
    }
}
