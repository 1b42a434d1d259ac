//! The endpoints of `validate` and `enrich`: an event goes out, a verdict or another event comes
//! back.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use serde_json::value::RawValue;

use super::NoVerdict;
use super::parts::Change;
use crate::content::says_json;
use crate::endpoint::{Endpoint, EndpointOptions, no_answer};
use crate::event::Draft;
use crate::http_binding;
use crate::record::{Record, write_record};

/// Longest answer that is read: 1 MiB.
const MOST_ANSWER: usize = 1 << 20;
/// Longest reason that is passed on, in bytes.
const MOST_REASON: usize = 256;
const STRUCTURED: &str = "application/cloudevents+json";

/// How an event is sent (content modes of the CloudEvents HTTP binding).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestForm {
    /// Attributes in headers.
    #[default]
    Binary,
    /// All in one JSON document.
    Structured,
}

/// How the answer to `enrich` is understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseForm {
    /// As a CloudEvent of either mode.
    #[default]
    CloudEvent,
    /// As the new data and its content type; the attributes stay.
    Raw,
    /// As a structured CloudEvent, whatever its content type says.
    AssumeStructured,
}

/// An endpoint that a rule calls.
#[derive(Debug)]
pub struct Call {
    /// One that cannot be called has no verdict on any event: nothing slips past it.
    endpoint: Result<Endpoint, NoVerdict>,
    form: RequestForm,
}

/// What an endpoint has answered.
pub(super) enum Answer {
    Next,
    Replaced(Box<Change>),
    Accept,
    Reject(Box<str>),
}

impl Call {
    /// Makes it ready. What is wrong with the endpoint is said with each event.
    #[must_use]
    pub fn new(options: EndpointOptions, form: RequestForm) -> Self {
        let endpoint = Endpoint::new(options).map_err(|error| NoVerdict(error.to_string()));
        Self { endpoint, form }
    }

    /// Asks about an event; with `response`, for another one in its place.
    pub(super) async fn ask(
        &self,
        draft: &Draft<'_>,
        response: Option<ResponseForm>,
    ) -> Result<Answer, NoVerdict> {
        let endpoint = self.endpoint.as_ref().map_err(Clone::clone)?;
        let (headers, body) = self.request(draft)?;
        let sent = endpoint.request(headers, body).send().await;
        let answer = sent.map_err(|error| NoVerdict(no_answer(&error)))?;
        let status = answer.status();
        match status {
            StatusCode::OK => match response {
                None => Ok(Answer::Next),
                Some(form) => Ok(Answer::Replaced(Box::new(read(answer, form).await?))),
            },
            StatusCode::NO_CONTENT => Ok(Answer::Next),
            StatusCode::ACCEPTED => Ok(Answer::Accept),
            // RFC 9110, 15.5.9; RFC 8470, 5.2; RFC 6585, 4: they ask for another try.
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Err(unexpected(status))
            }
            status if status.is_client_error() => Ok(Answer::Reject(reason(answer).await)),
            status => Err(unexpected(status)),
        }
    }

    fn request(&self, draft: &Draft<'_>) -> Result<(HeaderMap, Vec<u8>), NoVerdict> {
        let mut bytes = Vec::new();
        write_record(draft, &mut bytes);
        let record = Record::read(&bytes);
        let record = record.ok_or_else(|| NoVerdict("the event cannot be written".to_owned()))?;
        Ok(match self.form {
            RequestForm::Binary => http_binding::binary(&record),
            RequestForm::Structured => http_binding::structured(&record),
        })
    }
}

fn unexpected(status: StatusCode) -> NoVerdict {
    NoVerdict(format!("the endpoint answered {status}"))
}

/// The answer's body, unless it is too long.
async fn body(mut answer: Response) -> Result<Vec<u8>, NoVerdict> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= MOST_ANSWER => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                let most = MOST_ANSWER >> 20;
                return Err(NoVerdict(format!(
                    "the endpoint's answer is above {most} MiB"
                )));
            }
            Ok(None) => return Ok(body),
            Err(error) => return Err(NoVerdict(no_answer(&error))),
        }
    }
}

/// `.reason` of a JSON answer, or all of a text, for device and log.
async fn reason(answer: Response) -> Box<str> {
    let content_type = content_type(&answer).unwrap_or_default();
    let Ok(body) = body(answer).await else {
        return "rejected".into();
    };
    let text = if says_json(&content_type) {
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        json.get("reason")
            .and_then(Value::as_str)
            .map(str::to_owned)
    } else {
        String::from_utf8(body).ok()
    };
    let text = text.unwrap_or_default();
    let clean: String = text
        .chars()
        .filter(|character| !character.is_control())
        .collect();
    let end = clean.floor_char_boundary(MOST_REASON.min(clean.len()));
    match clean.get(..end).map(str::trim) {
        None | Some("") => "rejected".into(),
        Some(reason) => reason.into(),
    }
}

fn content_type(answer: &Response) -> Option<String> {
    let value = answer.headers().get(CONTENT_TYPE)?;
    value.to_str().ok().map(str::to_owned)
}

/// The event that an endpoint answered with.
async fn read(answer: Response, form: ResponseForm) -> Result<Change, NoVerdict> {
    let said = content_type(&answer);
    let says_structured = said.as_deref().is_some_and(is_structured);
    match form {
        ResponseForm::Raw => Ok(Change {
            attributes: None,
            content_type: said,
            payload: body(answer).await?,
        }),
        ResponseForm::CloudEvent if !says_structured => {
            let attributes = binary_attributes(answer.headers())?;
            Ok(Change {
                attributes: Some(attributes),
                content_type: said,
                payload: body(answer).await?,
            })
        }
        ResponseForm::CloudEvent | ResponseForm::AssumeStructured => {
            structured(&body(answer).await?)
        }
    }
}

fn is_structured(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case(STRUCTURED)
}

/// CloudEvents HTTP binding 1.0.2, 3.1.
fn binary_attributes(headers: &HeaderMap) -> Result<Vec<(String, String)>, NoVerdict> {
    let version = headers.get("ce-specversion");
    if version.is_none_or(|version| version != "1.0") {
        return Err(no_event("it has no `ce-specversion: 1.0`"));
    }
    let attributes = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("ce-")?;
        // 3.1.3.3: whoever reads decodes every encoded byte.
        let value = percent_decode(value.as_bytes()).decode_utf8().ok()?;
        Some((name.to_owned(), value.into_owned()))
    });
    Ok(attributes.collect())
}

/// CloudEvents JSON format 1.0.2, 3.
fn structured(body: &[u8]) -> Result<Change, NoVerdict> {
    let mut event: BTreeMap<String, &RawValue> =
        serde_json::from_slice(body).map_err(|_| no_event("it is no JSON object"))?;
    let mut take = |name: &str| event.remove(name).filter(|value| value.get() != "null");
    if take("specversion").and_then(text).as_deref() != Some("1.0") {
        return Err(no_event("its specversion is not 1.0"));
    }
    let content_type = take("datacontenttype").and_then(text);
    let is_json = content_type.as_deref().is_none_or(says_json);
    let payload = match (take("data"), take("data_base64")) {
        (None, None) => Vec::new(),
        (None, Some(encoded)) => {
            let bytes = text(encoded).and_then(|encoded| STANDARD.decode(encoded).ok());
            bytes.ok_or_else(|| no_event("its data_base64 is no Base64"))?
        }
        // 3.1.1: a string that is not declared JSON is the data itself.
        (Some(data), _) => match text(data).filter(|_| !is_json && data.get().starts_with('"')) {
            Some(text) => text.into_bytes(),
            None => data.get().as_bytes().to_vec(),
        },
    };
    let attributes = event.into_iter();
    Ok(Change {
        attributes: Some(
            attributes
                .filter_map(|(name, value)| Some((name, text(value)?)))
                .collect(),
        ),
        content_type,
        payload,
    })
}

/// An attribute's value; nothing else has one.
fn text(value: &RawValue) -> Option<String> {
    match serde_json::from_str(value.get()).ok()? {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn no_event(why: &str) -> NoVerdict {
    NoVerdict(format!("the endpoint's answer is no CloudEvent: {why}"))
}
