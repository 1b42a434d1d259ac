//! The API's client.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use reqwest::{Certificate, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use rustls::CertificateError;
use serde_json::Value;

use super::Failure;

/// Where the server is, and how to prove the right to use it.
#[derive(Args, Clone)]
pub(super) struct ServerOptions {
    /// The server's API
    #[arg(
        long,
        env = "LANDFALL_URL",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    url: Url,
    /// The API's token
    #[arg(long, env = "LANDFALL_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
    /// Authorities to trust instead of the system's, in PEM, if the URL is https
    #[arg(long, value_name = "FILE", env = "LANDFALL_CA", global = true)]
    ca: Option<PathBuf>,
}

impl std::fmt::Debug for ServerOptions {
    /// Hides the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions")
            .field("url", &self.url.as_str())
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

/// A client of one server.
pub(crate) struct Client {
    http: reqwest::Client,
    url: Url,
    token: String,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of a whole request, except for streams and commands, which wait on purpose.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

impl Client {
    pub(super) fn new(server: ServerOptions) -> Result<Self, Failure> {
        let token = server.token.ok_or_else(|| {
            Failure::new(
                "no token: give --token, or set LANDFALL_TOKEN (the server's token_file holds it)",
            )
        })?;
        Self::with_token(server.url, token, server.ca.as_deref())
    }

    pub(crate) fn with_token(url: Url, token: String, ca: Option<&Path>) -> Result<Self, Failure> {
        if url.cannot_be_a_base() || !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::new(format_args!(
                "`{url}` is no http or https URL"
            )));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // A redirect could lead the token to another host.
            .redirect(redirect::Policy::none());
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        if let Some(file) = ca {
            builder = builder.tls_certs_only(authorities(file)?);
        }
        let http = builder
            .build()
            .map_err(|error| Failure::new(format_args!("no HTTP client: {error}")))?;
        Ok(Self { http, url, token })
    }

    /// A request for a path, given as segments that need no encoding, with the token.
    pub(crate) fn request(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// As [`Client::request`], for what is answered at once.
    pub(crate) fn quick(&self, method: Method, segments: &[&str]) -> RequestBuilder {
        self.request(method, segments).timeout(REQUEST_TIMEOUT)
    }

    /// Sends a request; any answer but a success is a failure.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        match self.try_send(request).await? {
            Ok(response) => Ok(response),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Sends a request; the inner error is the server's word.
    pub(crate) async fn try_send(
        &self,
        request: RequestBuilder,
    ) -> Result<Result<Response, Refusal>, Failure> {
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(Ok(response));
        }
        Ok(Err(Refusal::read(response).await))
    }

    /// Reads an answer's body as JSON.
    pub(crate) async fn json(&self, response: Response) -> Result<Value, Failure> {
        let body = response
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::new(format_args!(
                "{} does not answer as Landfall's API does: {error}",
                self.url
            ))
        })
    }

    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        // The innermost cause says most: "Connection refused".
        let mut cause: &(dyn Error + 'static) = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let what = if error.is_timeout() {
            "no answer in time".to_owned()
        } else {
            cause.to_string()
        };
        let start = match error.is_connect() {
            true => "cannot reach the API at ",
            false => "",
        };
        let hint = match is_of_unknown_authority(cause) {
            true => ": if its authority is a private one, name it with --ca or LANDFALL_CA",
            false if error.is_connect() => "; --url or LANDFALL_URL says where the API is",
            false => "",
        };
        Failure::new(format_args!("{start}{}: {what}{hint}", self.url))
    }
}

/// Whether a handshake failed because nobody who is trusted vouches for the server.
fn is_of_unknown_authority(mut cause: &(dyn Error + 'static)) -> bool {
    // What an error of the system wraps is not its source.
    while let Some(inside) = cause.downcast_ref().and_then(io::Error::get_ref) {
        cause = inside;
    }
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    cause.downcast_ref() == Some(&unknown)
}

/// The certificates of a PEM file.
fn authorities(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let failed = |reason: &dyn std::fmt::Display| {
        Failure::new(format_args!("--ca {}: {reason}", file.display()))
    };
    let pem = std::fs::read(file).map_err(|error| failed(&error))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(failed(&"no certificate in PEM")),
        Err(_) => Err(failed(&"broken PEM")),
    }
}

/// The server's "no".
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Refusal {
    async fn read(response: Response) -> Self {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message = match answer.get("message").and_then(Value::as_str) {
            Some(message) => message.to_owned(),
            None => format!("the server answers {status}"),
        };
        Self { status, message }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.message)
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("");
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Runs a client's work, on this thread.
pub(super) fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("cannot start the runtime: {error}")))?
        .block_on(work)
}

/// The path of the registry's API, below the server's URL.
pub(super) fn registry_path<'a>(application: &'a str, device: Option<&'a str>) -> Vec<&'a str> {
    let mut path = vec!["api", "registry", "v1alpha1", "apps", application];
    path.extend(device.iter().flat_map(|device| ["devices", *device]));
    path
}
