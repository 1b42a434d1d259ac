//! One step of a rule's `then`.

use serde::Serialize;
use serde_json::Value;

use super::external::ExternalEndpoint;
use super::reader::{At, Fields, quote, string};
use crate::secret::{ReadSecret, Slot};

const STEPS: &str = "drop, break, reject, setExtension, removeExtension, setAttribute, \
                     removeAttribute, validate, enrich";

/// What a rule does with an event; `S` is the state of the secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Step<S> {
    /// Accepts the event from the device and forgets it.
    Drop,
    /// Accepts the event as it is by now; no further step or rule is applied.
    Break,
    /// Refuses the event, with a reason for the device.
    Reject(String),
    /// Sets a CloudEvents extension.
    SetExtension {
        /// Lower-case ASCII letters and digits.
        name: String,
        /// Its value.
        value: String,
    },
    /// Removes a CloudEvents extension.
    RemoveExtension(String),
    /// Sets a CloudEvents attribute.
    SetAttribute {
        /// Which one.
        name: Attribute,
        /// Its value.
        value: String,
    },
    /// Removes a CloudEvents attribute, which is not `type`.
    RemoveAttribute(Attribute),
    /// Asks an endpoint whether the event may pass.
    Validate {
        /// How the event is sent.
        request: Request,
        /// Whom to ask.
        endpoint: ExternalEndpoint<S>,
    },
    /// Replaces the event by an endpoint's answer to it.
    Enrich {
        /// How the event is sent.
        request: Request,
        /// How the answer is understood.
        response: Response,
        /// Whom to ask.
        endpoint: ExternalEndpoint<S>,
    },
}

/// The CloudEvents attributes that a rule may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Attribute {
    /// `datacontenttype`
    DataContentType,
    /// `dataschema`
    DataSchema,
    /// `subject`
    Subject,
    /// `type`
    Type,
}

/// How an event is sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Request {
    /// As a CloudEvent.
    CloudEvent {
        /// In which content mode.
        mode: ContentMode,
    },
}

/// A content mode of the CloudEvents HTTP binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ContentMode {
    /// Attributes in headers.
    #[default]
    Binary,
    /// All in one JSON document.
    Structured,
}

/// How an endpoint's answer is understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Response {
    /// As a CloudEvent of either mode.
    #[default]
    CloudEvent,
    /// As the new data and content type; the attributes stay.
    Raw,
    /// As a structured CloudEvent, whatever its content type says.
    AssumeStructuredCloudEvent,
}

impl<S> Step<S> {
    /// The endpoint that the step calls, and the step's name.
    pub(crate) fn endpoint(&self) -> Option<(&'static str, &ExternalEndpoint<S>)> {
        match self {
            Step::Validate { endpoint, .. } => Some(("validate", endpoint)),
            Step::Enrich { endpoint, .. } => Some(("enrich", endpoint)),
            _ => None,
        }
    }

    pub(crate) fn map_secrets<T>(
        self,
        path: &str,
        f: &mut dyn FnMut(&Slot, S) -> Option<T>,
    ) -> Option<Step<T>> {
        Some(match self {
            Step::Drop => Step::Drop,
            Step::Break => Step::Break,
            Step::Reject(reason) => Step::Reject(reason),
            Step::SetExtension { name, value } => Step::SetExtension { name, value },
            Step::RemoveExtension(name) => Step::RemoveExtension(name),
            Step::SetAttribute { name, value } => Step::SetAttribute { name, value },
            Step::RemoveAttribute(name) => Step::RemoveAttribute(name),
            Step::Validate { request, endpoint } => {
                let endpoint = endpoint.map_secrets(&format!("{path}.validate.endpoint"), f)?;
                Step::Validate { request, endpoint }
            }
            Step::Enrich {
                request,
                response,
                endpoint,
            } => {
                let endpoint = endpoint.map_secrets(&format!("{path}.enrich.endpoint"), f)?;
                Step::Enrich {
                    request,
                    response,
                    endpoint,
                }
            }
        })
    }
}

pub(crate) fn read<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Step<S>> {
    let (name, value) = match value {
        Value::String(name) => (name, Value::Null),
        value => {
            let mut fields = Fields::open(value, at, "{ reject: \"no data\" }")?;
            let Some(step) = fields.take_only() else {
                return at.refuse(format!("must be exactly one of {STEPS}"), "drop");
            };
            step
        }
    };
    let at = at.key(&name);
    match name.as_str() {
        "drop" if value.is_null() => Some(Step::Drop),
        "break" if value.is_null() => Some(Step::Break),
        "drop" | "break" => at.refuse("takes no value", "drop"),
        "reject" => string(value, &at, "\"temperature is missing\"").map(Step::Reject),
        "setExtension" => {
            let (name, value) = assignment(value, &at, extension)?;
            if name == "mqttretain" {
                return at.refuse("`mqttretain` tells what the device asked for", "site");
            }
            Some(Step::SetExtension { name, value })
        }
        "removeExtension" => extension(value, &at).map(Step::RemoveExtension),
        "setAttribute" => {
            let (name, value) = assignment(value, &at, attribute)?;
            check_attribute(name, &value, &at)?;
            Some(Step::SetAttribute { name, value })
        }
        "removeAttribute" => match attribute(value, &at)? {
            Attribute::Type => at.refuse("`type` is required in every CloudEvent", "dataschema"),
            attribute => Some(Step::RemoveAttribute(attribute)),
        },
        "validate" => validate(value, &at),
        "enrich" => enrich(value, &at),
        _ => at.refuse(format!("is not a step; there are {STEPS}"), "drop"),
    }
}

fn assignment<T>(
    value: Value,
    at: &At<'_>,
    read_name: impl FnOnce(Value, &At<'_>) -> Option<T>,
) -> Option<(T, String)> {
    let mut fields = Fields::open(value, at, "{ name: site, value: north }")?;
    let name = fields.required("name", "site", read_name);
    let value = fields.required("value", "north", |value, at| string(value, at, "north"));
    fields.close();
    Some((name?, value?))
}

/// CloudEvents 1.0: `type` is never empty, `dataschema` is a URI.
fn check_attribute(name: Attribute, value: &str, at: &At<'_>) -> Option<()> {
    match name {
        Attribute::Type if value.is_empty() => {
            at.refuse("`type` is never empty", "org.example.reading")
        }
        Attribute::DataSchema if !is_absolute_uri(value) => {
            let reason = format!("{}: `dataschema` is an absolute URI", quote(value));
            at.refuse(reason, "urn:example:reading:1")
        }
        _ => Some(()),
    }
}

/// RFC 3986, 3: a scheme, a colon, and characters of a URI.
fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let of_scheme = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(of_scheme)
        && !rest.is_empty()
        && rest
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
}

/// Names that are no extensions.
const CORE: [&str; 9] = [
    "id",
    "source",
    "specversion",
    "type",
    "datacontenttype",
    "dataschema",
    "subject",
    "time",
    "data",
];
/// Who an event is from is not for a rule to say: consumers rely on it.
const OURS: [&str; 8] = [
    "application",
    "applicationuid",
    "device",
    "deviceuid",
    "sender",
    "senderuid",
    "instance",
    "partitionkey",
];

/// What no rule sets or removes as an extension.
pub(super) fn taken() -> impl Iterator<Item = &'static str> {
    CORE.into_iter().chain(OURS)
}

/// CloudEvents 1.0, "Attribute Naming Convention": lower-case letters and digits.
fn extension(value: Value, at: &At<'_>) -> Option<String> {
    let name = string(value, at, "site")?;
    if CORE.contains(&name.as_str()) {
        let reason = format!(
            "{} is an attribute of CloudEvents, not an extension",
            quote(&name)
        );
        return at.refuse(reason, "site");
    }
    if OURS.contains(&name.as_str()) {
        let reason = format!(
            "{} is the server's own; a rule cannot change it",
            quote(&name)
        );
        return at.refuse(reason, "site");
    }
    let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if name.is_empty() || name.len() > 64 || !name.bytes().all(valid) {
        let reason = format!(
            "{} must be 1 to 64 lower-case letters and digits, by the rules of CloudEvents",
            quote(&name)
        );
        return at.refuse(reason, "site");
    }
    Some(name)
}

fn attribute(value: Value, at: &At<'_>) -> Option<Attribute> {
    match string(value, at, "subject")?.as_str() {
        "datacontenttype" => Some(Attribute::DataContentType),
        "dataschema" => Some(Attribute::DataSchema),
        "subject" => Some(Attribute::Subject),
        "type" => Some(Attribute::Type),
        other => {
            let allowed = "datacontenttype, dataschema, subject, type";
            at.refuse(
                format!("{} cannot be changed, only {allowed}", quote(other)),
                "subject",
            )
        }
    }
}

const ENDPOINT: &str = "{ url: https://example.com/check }";

fn validate<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Step<S>> {
    let mut fields = Fields::open(
        value,
        at,
        "{ endpoint: { url: https://example.com/check } }",
    )?;
    let request = fields
        .optional("request", request)
        .unwrap_or(DEFAULT_REQUEST);
    let endpoint = fields.required("endpoint", ENDPOINT, ExternalEndpoint::read);
    fields.close();
    Some(Step::Validate {
        request,
        endpoint: endpoint?,
    })
}

fn enrich<S: ReadSecret>(value: Value, at: &At<'_>) -> Option<Step<S>> {
    let mut fields = Fields::open(
        value,
        at,
        "{ endpoint: { url: https://example.com/check } }",
    )?;
    let request = fields
        .optional("request", request)
        .unwrap_or(DEFAULT_REQUEST);
    let response = fields.optional("response", response).unwrap_or_default();
    let endpoint = fields.required("endpoint", ENDPOINT, ExternalEndpoint::read);
    fields.close();
    Some(Step::Enrich {
        request,
        response,
        endpoint: endpoint?,
    })
}

const DEFAULT_REQUEST: Request = Request::CloudEvent {
    mode: ContentMode::Binary,
};

fn request(value: Value, at: &At<'_>) -> Option<Request> {
    let mut fields = Fields::open(value, at, "{ type: cloudEvent, mode: structured }")?;
    let kind = fields.required("type", "cloudEvent", |value, at| {
        match string(value, at, "cloudEvent")?.as_str() {
            "cloudEvent" => Some(()),
            other => at.refuse(format!("{} is not known", quote(other)), "cloudEvent"),
        }
    });
    let mode = fields.optional("mode", |value, at| {
        match string(value, at, "structured")?.as_str() {
            "binary" => Some(ContentMode::Binary),
            "structured" => Some(ContentMode::Structured),
            other => at.refuse(format!("{} is not a mode", quote(other)), "structured"),
        }
    });
    fields.close();
    kind.map(|()| Request::CloudEvent {
        mode: mode.unwrap_or_default(),
    })
}

fn response(value: Value, at: &At<'_>) -> Option<Response> {
    let mut fields = Fields::open(value, at, "{ type: raw }")?;
    let response = fields.required("type", "raw", |value, at| {
        match string(value, at, "raw")?.as_str() {
            "cloudEvent" => Some(Response::CloudEvent),
            "raw" => Some(Response::Raw),
            "assumeStructuredCloudEvent" => Some(Response::AssumeStructuredCloudEvent),
            other => at.refuse(
                format!(
                    "{} is not known; there are cloudEvent, raw, assumeStructuredCloudEvent",
                    quote(other)
                ),
                "raw",
            ),
        }
    });
    fields.close();
    response
}
