//! The sink that posts events to an HTTP endpoint (CloudEvents HTTP binding 1.0.2).
//!
//! Accepted means answered with 2xx: what the endpoint promises with that is its own. Events of one
//! sender are posted one after the other; a request that is not answered is sent again, so that the
//! endpoint may see an event twice, with the same `id`.

mod answer;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Client, Identity, Method, RequestBuilder, redirect};
use url::Url;

use super::remote::{Courier, Outcome, Remote, RemoteError, RemoteOptions, SpillOptions, Ticket};
use crate::attribute::push_percent_encoded;
pub use crate::endpoint::HttpAuthorization;
use crate::endpoint::{Endpoint, no_answer};
use crate::http_binding;
use crate::record::Record;
use crate::sink::DEFAULT_QUEUE_BYTES;
use crate::template::Template;

/// How events stand in requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpMode {
    /// One event a request, attributes in `ce-` headers, the payload as body.
    #[default]
    Binary,
    /// One event a request, as one JSON document.
    Structured,
    /// Several events of one application a request, as a JSON array.
    Batch,
}

/// TLS beyond what `https` in the URL says. All certificates are PEM.
#[derive(Clone, Default)]
pub struct HttpTls {
    /// Certificates that the endpoint's may lead to, instead of the system's.
    pub trust: Option<Vec<u8>>,
    /// The sink's own certificate chain and its key, for endpoints that ask.
    pub identity: Option<Vec<u8>>,
    /// Accept a certificate for another host name. Danger: whoever has any trusted certificate can
    /// stand in between.
    pub any_host_name: bool,
}

/// How events are posted.
#[derive(Clone)]
pub struct HttpOptions {
    /// Where to: `http` or `https`, with fields of a [`Template`] in its path or query.
    pub url: HttpUrl,
    /// Default: binary.
    pub mode: HttpMode,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// Who the sink is.
    pub authorization: HttpAuthorization,
    /// TLS.
    pub tls: HttpTls,
    /// How long a request may take. Default 10 s.
    pub timeout: Duration,
    /// Requests of one application that may be under way at once; events of one sender always
    /// follow each other. Default 16.
    pub concurrency: u16,
    /// Events of one batch at most. Default 100.
    pub batch_events: usize,
    /// Their bytes at most, about. Default 1 MiB.
    pub batch_bytes: usize,
    /// Bound of the queue. Default [`DEFAULT_QUEUE_BYTES`].
    pub queue_bytes: usize,
    /// Where events go while the other system does not take them. Default: nowhere, they wait.
    pub spill: Option<SpillOptions>,
    /// Applications that have endpoints of their own. Default: none.
    pub endpoints: Option<Arc<dyn Endpoints>>,
}

/// An application's endpoint, or why nobody knows.
pub type LookUp<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Arc<Endpoint>>, String>> + Send + 'a>>;

/// Endpoints of single applications, in place of the sink's own URL, headers and authorization.
pub trait Endpoints: Send + Sync {
    /// The application's endpoint, as it is now; `None` if it has none. Asked before each delivery.
    ///
    /// The error says why nobody knows, for log and readiness.
    fn of<'a>(&'a self, application: &'a str) -> LookUp<'a>;
}

impl HttpOptions {
    /// The defaults.
    #[must_use]
    pub fn new(url: HttpUrl) -> Self {
        Self {
            url,
            mode: HttpMode::default(),
            headers: HeaderMap::new(),
            authorization: HttpAuthorization::default(),
            tls: HttpTls::default(),
            timeout: Duration::from_secs(10),
            concurrency: 16,
            batch_events: 100,
            batch_bytes: 1 << 20,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            spill: None,
            endpoints: None,
        }
    }
}

/// An endpoint's address, perhaps another one for each application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(Template);

impl HttpUrl {
    /// Reads an address.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without quoting it: a query may hold a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let template = Template::parse(text).map_err(|error| error.to_string())?;
        let host_part = text.split('{').next().unwrap_or_default();
        // A field in the host would let a device choose whom the server talks to.
        let authority = host_part.split_once("://").map(|(_, rest)| rest);
        if text.contains('{') && !authority.is_some_and(|rest| rest.contains('/')) {
            return Err("fields belong into the path or query, not into the host".to_owned());
        }
        let url = Url::parse(&template.example("x")).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err("must start with http:// or https:// and a host".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or password".to_owned());
        }
        Ok(Self(template))
    }

    /// As it looks with `x` for each field: its host and port are those of every address.
    #[must_use]
    pub fn example(&self) -> String {
        self.0.example("x")
    }

    fn of(&self, record: &Record<'_>) -> String {
        self.0.render(record, |out, value| {
            push_percent_encoded(out, value, crate::attribute::is_unreserved);
        })
    }
}

/// Why the sink cannot be started; the operator can mend each.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The trusted certificates cannot be read.
    #[error("the trusted certificates are not PEM: {0}")]
    Trust(reqwest::Error),
    /// The client certificate or its key cannot be read.
    #[error("the client certificate and its key are not PEM: {0}")]
    Identity(reqwest::Error),
    /// The client cannot be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(reqwest::Error),
    /// Its thread or its spill.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// Starts a sink of the given name.
///
/// # Errors
///
/// [`HttpError`].
pub fn start(name: &str, options: HttpOptions) -> Result<Remote, HttpError> {
    let client = client(&options)?;
    let remote = RemoteOptions {
        queue_bytes: options.queue_bytes,
        lanes: options.concurrency.max(1),
        spill: options.spill.clone(),
    };
    let courier = move || HttpCourier { client, options };
    Ok(Remote::start(name, remote, courier)?)
}

fn client(options: &HttpOptions) -> Result<Client, HttpError> {
    let mut builder = Client::builder()
        .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
        .timeout(options.timeout)
        // An address that has moved is the operator's to follow: what goes where must not change
        // by itself, and credentials with it.
        .redirect(redirect::Policy::none())
        .tls_danger_accept_invalid_hostnames(options.tls.any_host_name);
    if let Some(pem) = &options.tls.trust {
        let trusted = Certificate::from_pem_bundle(pem).map_err(HttpError::Trust)?;
        builder = builder.tls_certs_only(trusted);
    }
    if let Some(pem) = &options.tls.identity {
        builder = builder.identity(Identity::from_pem(pem).map_err(HttpError::Identity)?);
    }
    builder.build().map_err(HttpError::Client)
}

struct HttpCourier {
    client: Client,
    options: HttpOptions,
}

impl Courier for HttpCourier {
    fn lanes(&self) -> u16 {
        self.options.concurrency.max(1)
    }

    /// Requests of one lane follow each other: nothing else keeps their order.
    fn window(&self) -> usize {
        1
    }

    fn most(&self) -> (usize, usize) {
        match self.options.mode {
            HttpMode::Batch => (self.options.batch_events, self.options.batch_bytes),
            HttpMode::Binary | HttpMode::Structured => (1, usize::MAX),
        }
    }

    /// Whatever is answered: there is somebody.
    async fn probe(&mut self) -> Result<(), String> {
        let request = self
            .client
            .request(Method::OPTIONS, self.options.url.example());
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(no_answer(&error)),
        }
    }

    async fn send(&mut self, application: &str, events: Vec<Bytes>, ticket: Ticket) {
        let endpoint = match &self.options.endpoints {
            None => None,
            Some(endpoints) => match endpoints.of(application).await {
                Ok(endpoint) => endpoint,
                Err(reason) => return ticket.answer(Outcome::retry(reason)),
            },
        };
        let Some(request) = self.request(&events, endpoint.as_deref()) else {
            return ticket.answer(Outcome::unreadable());
        };
        tokio::spawn(async move {
            let outcome = match request.send().await {
                Ok(response) => answer::outcome(response).await,
                Err(error) => answer::failure(&error),
            };
            ticket.answer(outcome);
        });
    }
}

impl HttpCourier {
    fn request(&self, events: &[Bytes], endpoint: Option<&Endpoint>) -> Option<RequestBuilder> {
        let records: Option<Vec<Record<'_>>> = events.iter().map(|e| Record::read(e)).collect();
        let records = records?;
        let first = records.first()?;
        let (headers, body) = match self.options.mode {
            HttpMode::Binary => http_binding::binary(first),
            HttpMode::Structured => http_binding::structured(first),
            HttpMode::Batch => http_binding::batch(&records),
        };
        if let Some(endpoint) = endpoint {
            return Some(endpoint.request(headers, body));
        }
        let request = self
            .client
            .post(self.options.url.of(first))
            .headers(self.options.headers.clone())
            .headers(headers)
            .body(body);
        Some(self.options.authorization.add_to(request))
    }
}
