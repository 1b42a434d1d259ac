//! HTTP requests to Landfall's API: HTTP/1.1, one after the other on a connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::{Error, Result, ServerFault};

/// Longest answer that is taken, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// Header fields of an answer.
const MAX_FIELDS: usize = 64;
/// How long an answer may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to the API.
pub(crate) struct Client {
    stream: TcpStream,
    requests: Requests,
    received: Vec<u8>,
}

/// Makes requests to one API.
pub(crate) struct Requests {
    address: SocketAddr,
    token: String,
}

/// An answer of the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: String,
    /// Of the bytes that it was read from.
    pub length: usize,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, token: &str) -> Result<Self> {
        let connecting = || Error::machine(format!("connect to {address}"));
        let stream = TcpStream::connect(address).map_err(connecting())?;
        stream.set_nodelay(true).map_err(connecting())?;
        stream
            .set_read_timeout(Some(TIMEOUT))
            .map_err(connecting())?;
        Ok(Self {
            stream,
            requests: Requests::new(address, token),
            received: Vec::new(),
        })
    }

    /// Posts a JSON document.
    ///
    /// # Errors
    /// As [`Client::post`].
    pub(crate) fn post_json(&mut self, path: &str, document: &serde_json::Value) -> Result<()> {
        let body = document.to_string();
        self.post(path, "application/json", body.as_bytes())?;
        Ok(())
    }

    /// Posts a body and returns the answer's.
    ///
    /// # Errors
    /// `Server` for any status but 200 to 299.
    pub(crate) fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> Result<String> {
        let mut request = Vec::new();
        self.requests.post(path, content_type, body, &mut request);
        self.stream
            .write_all(&request)
            .map_err(Error::machine("write to the API"))?;
        self.answer()?.accepted(path)
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(answer) = Answer::read(&self.received)? {
                self.received.drain(..answer.length);
                return Ok(answer);
            }
            let read = self.stream.read(&mut buffer);
            match read.map_err(Error::machine("read from the API"))? {
                0 => return Err(ServerFault::Closed.into()),
                count => self
                    .received
                    .extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
        }
    }
}

impl Requests {
    pub(crate) fn new(address: SocketAddr, token: &str) -> Self {
        Self {
            address,
            token: token.to_owned(),
        }
    }

    /// Appends a POST request to what is to be sent.
    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8], out: &mut Vec<u8>) {
        let Self { address, token } = self;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(body);
    }
}

impl Answer {
    /// The answer that `bytes` begin with; `None` while it is not all there. Its body has a
    /// Content-Length, or is empty.
    ///
    /// # Errors
    /// The server's fault.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(bytes);
        let parsed = parsed.map_err(|_| ServerFault::Malformed("HTTP answer"))?;
        let httparse::Status::Complete(begin) = parsed else {
            return match bytes.len() {
                ..MAX_ANSWER => Ok(None),
                _ => Err(ServerFault::Malformed("HTTP answer without an end").into()),
            };
        };
        let end = begin + content_length(head.headers)?;
        let Some(body) = bytes.get(begin..end) else {
            return Ok(None);
        };
        Ok(Some(Self {
            status: head.code.unwrap_or_default(),
            body: String::from_utf8_lossy(body).into_owned(),
            length: end,
        }))
    }

    /// The body of an answer that is no refusal.
    ///
    /// # Errors
    /// `Server` for any status but 200 to 299.
    pub(crate) fn accepted(self, path: &str) -> Result<String> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(ServerFault::RefusedRequest {
            request: format!("POST {path}"),
            status: self.status,
            body: self.body,
        }
        .into())
    }
}

fn content_length(fields: &[httparse::Header<'_>]) -> Result<usize> {
    let is = |field: &httparse::Header<'_>, name| field.name.eq_ignore_ascii_case(name);
    if fields.iter().any(|field| is(field, "transfer-encoding")) {
        return Err(ServerFault::Malformed("HTTP body without a length").into());
    }
    let Some(field) = fields.iter().find(|field| is(field, "content-length")) else {
        return Ok(0);
    };
    let length = str::from_utf8(field.value).ok();
    let length = length.and_then(|length| length.trim().parse().ok());
    let length = length.filter(|length| *length <= MAX_ANSWER);
    length.ok_or_else(|| ServerFault::Malformed("HTTP content length").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (u16, String, usize) {
        let answer = Answer::read(bytes).unwrap().unwrap();
        (answer.status, answer.body, answer.length)
    }

    #[test]
    fn answers_are_read_one_after_the_other() {
        let mut bytes: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}\
            HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\nx: y\r\n\r\ntaken\
            HTTP/1.1 204 No Content\r\n\r\n";
        for (status, body) in [(201, "{}"), (409, "taken"), (204, "")] {
            let (its, its_body, length) = read(bytes);
            assert_eq!((its, &*its_body), (status, body));
            for cut in 0..length {
                assert_eq!(Answer::read(&bytes[..cut]).unwrap(), None);
            }
            bytes = &bytes[length..];
        }
        assert!(bytes.is_empty());
    }

    #[test]
    fn answers_that_are_not_understood_are_the_servers_fault() {
        for bytes in [
            &b"nonsense\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        ] {
            let result = Answer::read(bytes);
            assert!(
                matches!(result, Err(Error::Server(ServerFault::Malformed(_)))),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
