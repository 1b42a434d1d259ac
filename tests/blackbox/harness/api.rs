//! A plain HTTP client for the server's API and operations ports.

use std::io::{BufRead as _, BufReader};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};
use ureq::{Agent, Body};

use super::wait::DEADLINE;

/// One HTTP origin, and the bearer token to use there.
#[derive(Clone)]
pub(crate) struct Http {
    agent: Agent,
    origin: String,
    token: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn new(port: u16, token: Option<String>) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(DEADLINE))
            // A server that was killed and started again must not be met by an old connection.
            .max_idle_connections(0)
            .build()
            .into();
        Self {
            agent,
            origin: format!("http://127.0.0.1:{port}"),
            token,
        }
    }

    /// The same origin with other credentials.
    pub(crate) fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    /// Sends a request, or says why no answer came.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body).expect("a valid request")),
            None => self.agent.run(request.body(()).expect("a valid request")),
        };
        let (parts, mut body) = answer.map_err(|error| error.to_string())?.into_parts();
        let body = body
            .with_config()
            .limit(1 << 30)
            .read_to_vec()
            .map_err(|error| error.to_string())?;
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        self.try_send(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    pub(crate) fn post_json(&self, path: &str, document: &Value) -> Answer {
        self.send_json("POST", path, document)
    }

    pub(crate) fn put_json(&self, path: &str, document: &Value) -> Answer {
        self.send_json("PUT", path, document)
    }

    fn send_json(&self, method: &str, path: &str, document: &Value) -> Answer {
        let body = serde_json::to_vec(document).expect("a JSON value");
        self.send(
            method,
            path,
            &[("content-type", "application/json")],
            Some(&body),
        )
    }

    /// Opens a stream of server-sent events.
    pub(crate) fn event_stream(&self, path: &str, last_event_id: Option<&str>) -> EventStream {
        let mut request = self
            .agent
            .get(format!("{}{path}", self.origin))
            .config()
            .timeout_global(None)
            .build()
            .header("accept", "text/event-stream");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.call().expect("an answer to the stream's request");
        assert_eq!(answer.status(), 200, "the stream was refused");
        EventStream::read(answer.into_body())
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in answer {}: {}", self.status, self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The answer itself, if its status is the one expected.
    #[track_caller]
    pub(crate) fn expect_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

/// One server-sent event.
#[derive(Debug)]
pub(crate) struct StreamEvent {
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// A running stream of server-sent events, read by a thread; dropping it ends the reading with
/// the next event.
pub(crate) struct EventStream {
    events: Receiver<StreamEvent>,
}

impl EventStream {
    fn read(body: Body) -> Self {
        let (sender, events) = channel();
        thread::spawn(move || {
            let (mut id, mut data) = (String::new(), String::new());
            for line in BufReader::new(body.into_reader())
                .lines()
                .map_while(Result::ok)
            {
                if let Some(value) = line.strip_prefix("id:") {
                    value.trim().clone_into(&mut id);
                } else if let Some(value) = line.strip_prefix("data:") {
                    data.push_str(value.trim());
                } else if line.is_empty() && !data.is_empty() {
                    let data = serde_json::from_str(&std::mem::take(&mut data));
                    let event = StreamEvent {
                        id: id.clone(),
                        data: data.expect("JSON data"),
                    };
                    if sender.send(event).is_err() {
                        return;
                    }
                }
            }
        });
        Self { events }
    }

    /// The next event of the stream.
    pub(crate) fn next(&self) -> StreamEvent {
        self.events
            .recv_timeout(DEADLINE)
            .expect("another event on the stream")
    }
}
