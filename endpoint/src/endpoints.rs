//! The endpoints that applications name for their events: `spec.publish.endpoint`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use landfall_events::endpoint::{Endpoint, EndpointOptions, HttpAuthorization};
use landfall_events::sink::http::{Endpoints, LookUp};
use landfall_registry::document::{Authorization, ExternalEndpoint};
use landfall_registry::secret::Held;
use landfall_registry::{Application, Registry};

/// Endpoints that are kept ready; beyond that, all are made anew when they are needed.
const MOST: usize = 10_000;

/// Endpoints out of the registry, each made ready once per change of its application.
pub struct ApplicationEndpoints {
    registry: Registry,
    ready: Mutex<HashMap<Box<str>, Entry>>,
}

/// The endpoint of one generation of an application.
struct Entry {
    generation: u64,
    endpoint: Result<Arc<Endpoint>, String>,
}

impl ApplicationEndpoints {
    /// Those of the registry's applications.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            ready: Mutex::default(),
        }
    }

    fn ready(&self, application: &Application) -> Result<Option<Arc<Endpoint>>, String> {
        let Some(document) = application.endpoint() else {
            return Ok(None);
        };
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ready.get(application.uid());
        if let Some(entry) = known.filter(|entry| entry.generation == application.generation()) {
            return entry.endpoint.clone().map(Some);
        }
        if ready.len() >= MOST {
            ready.clear();
        }
        let endpoint = Endpoint::new(endpoint_options(document));
        let endpoint = endpoint.map(Arc::new).map_err(|error| error.to_string());
        let entry = Entry {
            generation: application.generation(),
            endpoint: endpoint.clone(),
        };
        ready.insert(application.uid().into(), entry);
        endpoint.map(Some)
    }
}

impl Endpoints for ApplicationEndpoints {
    fn of<'a>(&'a self, application: &'a str) -> LookUp<'a> {
        Box::pin(async move {
            match self.registry.application(application).await {
                Ok(Some(application)) => self.ready(&application),
                // Deleted while its last events wait: they go where those without an endpoint go.
                Ok(None) => Ok(None),
                Err(error) => Err(format!("the application's endpoint is not known: {error}")),
            }
        })
    }
}

/// How an endpoint of a document is called.
pub fn endpoint_options(endpoint: &ExternalEndpoint<Held>) -> EndpointOptions {
    let text = |secret: &Held| secret.text().unwrap_or_default().to_owned();
    let tls = endpoint.tls.as_ref();
    let headers = endpoint.headers.iter();
    EndpointOptions {
        url: endpoint.url.clone(),
        method: endpoint.method.clone(),
        headers: headers
            .map(|header| (header.name.clone(), text(&header.value)))
            .collect(),
        authorization: match &endpoint.auth {
            Authorization::None => HttpAuthorization::None,
            Authorization::Basic { username, password } => HttpAuthorization::Basic {
                username: username.clone(),
                password: password.as_ref().map(text).unwrap_or_default(),
            },
            Authorization::Bearer { token } => HttpAuthorization::Bearer(text(token)),
        },
        insecure: tls.is_some_and(|tls| tls.insecure),
        trust: tls
            .and_then(|tls| tls.certificate.as_ref())
            .map(|pem| pem.clone().into_bytes()),
        timeout: endpoint.timeout,
    }
}
