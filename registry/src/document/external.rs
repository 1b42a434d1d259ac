//! An HTTP endpoint that the server calls, with Drogue Cloud's `ExternalEndpoint` structure.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::certificate;
use super::duration;
use super::reader::{At, Fields, boolean, list, quote, string};
use crate::secret::{ReadSecret, SecretKind, Slot};

const MAX_HEADERS: usize = 32;
const MAX_URL: usize = 2048;
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// An HTTP endpoint; `S` is the state of the secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExternalEndpoint<S> {
    /// `http://` or `https://`, without user information.
    pub url: String,
    /// HTTP method in upper case; the caller's default, if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Changes to the default of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// How the server proves who it is.
    #[serde(skip_serializing_if = "Authorization::is_none")]
    pub auth: Authorization<S>,
    /// Headers to add, at most 32. Their values are often API keys, so each is a secret.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header<S>>,
    /// How long a call may take, up to 60 s; the caller's default, if `None`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "humantime")]
    pub timeout: Option<Duration>,
}

/// How a TLS connection is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// Accepts any certificate of the endpoint. Dangerous: whoever is on the way can read and
    /// change everything, credentials included.
    pub insecure: bool,
    /// The only trust anchor, as PEM; the system's, if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// How the server proves to an endpoint who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Authorization<S> {
    /// Not at all.
    None,
    /// RFC 7617.
    Basic {
        /// No colon.
        username: String,
        /// May be absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        password: Option<S>,
    },
    /// RFC 6750.
    Bearer {
        /// The token.
        token: S,
    },
}

impl<S> Authorization<S> {
    fn is_none(&self) -> bool {
        matches!(self, Authorization::None)
    }
}

/// A header to add to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Header<S> {
    /// A token of RFC 9110 section 5.6.2.
    pub name: String,
    /// Its value.
    pub value: S,
}

impl<S> ExternalEndpoint<S> {
    pub(crate) fn map_secrets<T>(
        self,
        path: &str,
        f: &mut dyn FnMut(&Slot, S) -> Option<T>,
    ) -> Option<ExternalEndpoint<T>> {
        let ExternalEndpoint {
            url,
            method,
            tls,
            auth,
            headers,
            timeout,
        } = self;
        let auth = match auth {
            Authorization::None => Some(Authorization::None),
            Authorization::Basic { username, password } => match password {
                Some(password) => {
                    f(&basic_slot(path), password).map(|password| Authorization::Basic {
                        username,
                        password: Some(password),
                    })
                }
                None => Some(Authorization::Basic {
                    username,
                    password: None,
                }),
            },
            Authorization::Bearer { token } => {
                f(&bearer_slot(path), token).map(|token| Authorization::Bearer { token })
            }
        };
        let headers: Vec<_> = headers
            .into_iter()
            .enumerate()
            .map(|(index, Header { name, value })| {
                f(&header_slot(path, index), value).map(|value| Header { name, value })
            })
            .collect();
        let headers = headers.into_iter().collect::<Option<_>>()?;
        Some(ExternalEndpoint {
            url,
            method,
            tls,
            auth: auth?,
            headers,
            timeout,
        })
    }

    pub(crate) fn visit_secrets(&self, path: &str, visit: &mut dyn FnMut(&Slot, &S)) {
        match &self.auth {
            Authorization::Basic {
                password: Some(password),
                ..
            } => {
                visit(&basic_slot(path), password);
            }
            Authorization::Bearer { token } => visit(&bearer_slot(path), token),
            Authorization::None | Authorization::Basic { .. } => {}
        }
        for (index, header) in self.headers.iter().enumerate() {
            visit(&header_slot(path, index), &header.value);
        }
    }
}

fn basic_slot(path: &str) -> Slot {
    Slot::new(format!("{path}.auth.basic.password"), SecretKind::Text)
}

fn bearer_slot(path: &str) -> Slot {
    Slot::new(format!("{path}.auth.bearer.token"), SecretKind::Text)
}

fn header_slot(path: &str, index: usize) -> Slot {
    Slot::new(format!("{path}.headers[{index}].value"), SecretKind::Text)
}

impl<S> ExternalEndpoint<S> {
    pub(crate) fn read(value: Value, at: &At<'_>) -> Option<ExternalEndpoint<S>>
    where
        S: ReadSecret,
    {
        let mut fields = Fields::open(value, at, "{ url: https://example.com/check }")?;
        let url = fields.required("url", "https://example.com/check", url);
        let method = fields.optional("method", method);
        let tls = fields.optional("tls", tls);
        let auth = fields
            .optional("auth", authorization)
            .unwrap_or(Authorization::None);
        let headers = fields
            .optional("headers", |value, at| {
                list(
                    value,
                    at,
                    MAX_HEADERS,
                    "[{ name: x-api-key, value: k }]",
                    header,
                )
            })
            .unwrap_or_default();
        let timeout = fields.optional("timeout", timeout);
        fields.close();
        Some(ExternalEndpoint {
            url: url?,
            method,
            tls,
            auth,
            headers,
            timeout,
        })
    }
}

/// The outer form only; the client that calls it parses the rest. Never quoted in a problem, as a
/// query may hold a key.
fn url(value: Value, at: &At<'_>) -> Option<String> {
    const EXAMPLE: &str = "https://example.com/check";
    let url = string(value, at, EXAMPLE)?;
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    match authority {
        None | Some("") => at.refuse("must start with https:// or http:// and a host", EXAMPLE),
        Some(authority) if authority.contains('@') => {
            at.refuse("must not hold a user name or password; use `auth`", EXAMPLE)
        }
        Some(_) if url.len() > MAX_URL || url.bytes().any(|b| b <= b' ' || b >= 0x7f) => at.refuse(
            format!("must be at most {MAX_URL} ASCII characters without spaces"),
            EXAMPLE,
        ),
        Some(_) => Some(url),
    }
}

fn method(value: Value, at: &At<'_>) -> Option<String> {
    let method = string(value, at, "POST")?;
    if method.is_empty() || method.len() > 16 || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return at.refuse("must be an HTTP method in upper case", "POST");
    }
    Some(method)
}

fn tls(value: Value, at: &At<'_>) -> Option<Tls> {
    let mut fields = Fields::open(value, at, "{ insecure: false }")?;
    let insecure = fields.optional("insecure", boolean).unwrap_or_default();
    let certificate = fields.optional("certificate", |value, at| {
        let pem = string(value, at, "<PEM>")?;
        match certificate::parse(&pem) {
            Ok(_) => Some(pem),
            Err(reason) => at.refuse(reason, ""),
        }
    });
    fields.close();
    Some(Tls {
        insecure,
        certificate,
    })
}

fn authorization<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Authorization<S>> {
    const EXAMPLE: &str = "{ bearer: { token: … } }";
    // Drogue Cloud writes an absent one as the word.
    if value == "none" {
        return Some(Authorization::None);
    }
    let mut fields = Fields::open(value, at, EXAMPLE)?;
    let Some((scheme, value)) = fields.take_only() else {
        return at.refuse("must have exactly one of basic, bearer", EXAMPLE);
    };
    match scheme.as_str() {
        "basic" => basic(value, &at.key("basic")),
        "bearer" => bearer(value, &at.key("bearer")),
        _ => at.refuse(
            "has a key that is not known; known here: basic, bearer",
            EXAMPLE,
        ),
    }
}

fn basic<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Authorization<S>> {
    let mut fields = Fields::open(value, at, "{ username: u, password: p }")?;
    let username = fields.required("username", "landfall", |value, at| {
        let username = string(value, at, "landfall")?;
        // RFC 7617 section 2: a user name with a colon cannot be told from its password.
        if username.contains(':') || username.chars().any(char::is_control) {
            return at.refuse("must not contain `:` or control characters", "landfall");
        }
        Some(username)
    });
    let password = fields.optional("password", |value, at| S::read(value, SecretKind::Text, at));
    fields.close();
    Some(Authorization::Basic {
        username: username?,
        password,
    })
}

fn bearer<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Authorization<S>> {
    let mut fields = Fields::open(value, at, "{ token: t }")?;
    let token = fields.required("token", "\"a token\"", |value, at| {
        S::read(value, SecretKind::Text, at)
    });
    fields.close();
    Some(Authorization::Bearer { token: token? })
}

/// `{ name: n, value: v }`, or `{ n: v }` as Drogue Cloud's documentation writes it.
fn header<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Header<S>> {
    const EXAMPLE: &str = "{ name: x-api-key, value: \"a key\" }";
    let mut fields = Fields::open(value, at, EXAMPLE)?;
    if fields.len() == 1 && !fields.has("name") && !fields.has("value") {
        let (name, value) = fields.take_only()?;
        let name = header_name(Value::String(name), at)?;
        let value = S::read(value, SecretKind::Text, &at.key(&name))?;
        return Some(Header { name, value });
    }
    let name = fields.required("name", "x-api-key", header_name);
    let value = fields.required("value", "\"a key\"", |value, at| {
        S::read(value, SecretKind::Text, at)
    });
    fields.close();
    Some(Header {
        name: name?,
        value: value?,
    })
}

fn header_name(value: Value, at: &At<'_>) -> Option<String> {
    let name = string(value, at, "x-api-key")?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        return at.refuse("is not a header name (RFC 9110 section 5.6.2)", "x-api-key");
    }
    Some(name)
}

fn timeout(value: Value, at: &At<'_>) -> Option<Duration> {
    let text = string(value, at, "5s")?;
    match duration::parse(&text) {
        Some(timeout) if !timeout.is_zero() && timeout <= LONGEST_TIMEOUT => Some(timeout),
        Some(_) => at.refuse(
            format!("{} is not above 0 and at most 60s", quote(&text)),
            "5s",
        ),
        None => at.refuse(format!("{} is not a duration", quote(&text)), "1m 30s"),
    }
}

// serde hands over a reference.
#[allow(clippy::ref_option)]
fn humantime<S: Serializer>(timeout: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match timeout {
        Some(timeout) => serializer.serialize_str(&format!("{}ms", timeout.as_millis())),
        None => serializer.serialize_none(),
    }
}
