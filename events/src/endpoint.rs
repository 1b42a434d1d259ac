//! HTTP endpoints that an application names: who they are, and how they are called.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Method, RequestBuilder, redirect};
use url::Url;

/// How the server shows an endpoint who it is.
#[derive(Clone, Default)]
pub enum HttpAuthorization {
    /// Not at all, or by its client certificate.
    #[default]
    None,
    /// RFC 6750.
    Bearer(String),
    /// RFC 7617.
    Basic {
        /// User name; no colon.
        username: String,
        /// Password.
        password: String,
    },
}

impl HttpAuthorization {
    pub(crate) fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Basic { username, password } => request.basic_auth(username, Some(password)),
        }
    }
}

/// Shows no secret.
impl fmt::Debug for HttpAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::Basic { .. } => "Basic(…)",
        })
    }
}

/// How long a call may take unless said otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How an endpoint is called.
#[derive(Clone)]
pub struct EndpointOptions {
    /// `http` or `https`, without user information.
    pub url: String,
    /// HTTP method in upper case; POST, if `None`.
    pub method: Option<String>,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// How the server shows who it is.
    pub authorization: HttpAuthorization,
    /// Accept any certificate. Danger: whoever is on the way can read and change everything.
    pub insecure: bool,
    /// The only certificates that the endpoint's may lead to, PEM; the system's, if `None`.
    pub trust: Option<Vec<u8>>,
    /// How long a call may take; 10 s, if `None`.
    pub timeout: Option<Duration>,
}

impl EndpointOptions {
    /// The defaults.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: None,
            headers: Vec::new(),
            authorization: HttpAuthorization::None,
            insecure: false,
            trust: None,
            timeout: None,
        }
    }
}

/// An HTTP endpoint, ready to be called. Connections are kept and used again.
pub struct Endpoint {
    client: Client,
    url: Url,
    method: Method,
    headers: HeaderMap,
    authorization: HttpAuthorization,
}

/// Why an endpoint cannot be called; whoever named it can mend each. Shows no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The address.
    #[error("the endpoint's URL cannot be read")]
    Url,
    /// The method.
    #[error("the endpoint's method is none of HTTP")]
    Method,
    /// A header, the token or the password.
    #[error(
        "a header of the endpoint cannot be sent: its name or value has characters that no header has"
    )]
    Header,
    /// The trusted certificate.
    #[error("the endpoint's certificate is not PEM")]
    Trust,
    /// The HTTP client.
    #[error("the HTTP client cannot be made")]
    Client,
}

impl Endpoint {
    /// Makes it ready. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`EndpointError`].
    pub fn new(options: EndpointOptions) -> Result<Self, EndpointError> {
        let url = Url::parse(&options.url).map_err(|_| EndpointError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(EndpointError::Url);
        }
        let method = options.method.as_deref().unwrap_or("POST");
        let mut client = Client::builder()
            .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
            .timeout(options.timeout.unwrap_or(TIMEOUT))
            // What goes where must not change by itself, and credentials with it.
            .redirect(redirect::Policy::none())
            .tls_danger_accept_invalid_certs(options.insecure);
        if let Some(pem) = &options.trust {
            let trusted = Certificate::from_pem_bundle(pem).map_err(|_| EndpointError::Trust)?;
            client = client.tls_certs_only(trusted);
        }
        Ok(Self {
            client: client.build().map_err(|_| EndpointError::Client)?,
            url,
            method: Method::from_bytes(method.as_bytes()).map_err(|_| EndpointError::Method)?,
            headers: headers(&options.headers)?,
            authorization: options.authorization,
        })
    }

    /// A request of the endpoint's own method, address, headers and authorization. Its own headers
    /// come first: they cannot be written over.
    pub(crate) fn request(&self, headers: HeaderMap, body: Vec<u8>) -> RequestBuilder {
        let request = self
            .client
            .request(self.method.clone(), self.url.clone())
            .headers(headers)
            .headers(self.headers.clone())
            .body(body);
        self.authorization.add_to(request)
    }
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, EndpointError> {
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let name = HeaderName::try_from(name).map_err(|_| EndpointError::Header)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| EndpointError::Header)?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Shows no secret: a query may hold a key, too.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.url.host_str())
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Why there is no answer. Leaves the address out: its query may hold a key.
pub(crate) fn no_answer(error: &reqwest::Error) -> String {
    if error.is_builder() {
        return "the request cannot be made".to_owned();
    }
    if error.is_timeout() {
        return "the endpoint did not answer in time".to_owned();
    }
    // The cause at the bottom says what happened; those above it repeat where.
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let what = if error.is_connect() {
        "no connection to the endpoint"
    } else {
        "no answer from the endpoint"
    };
    format!("{what}: {cause}")
}
