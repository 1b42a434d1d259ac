//! The endpoints that applications name for their events: `spec.publish.endpoint`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use landfall_events::endpoint::Endpoint;
use landfall_events::sink::http::{Endpoints, LookUp};
use landfall_registry::{Application, Registry};

use crate::rules::endpoint_options;

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
