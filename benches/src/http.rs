//! HTTP requests to Landfall's API: HTTP/1.1 on one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::{Error, Result, ServerFault};

/// Longest answer that is taken, in bytes.
const MAX_BODY: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to the API.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    token: String,
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
            stream: BufReader::new(stream),
            address,
            token: token.to_owned(),
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
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            self.token,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream
            .get_mut()
            .write_all(&request)
            .map_err(Error::machine("write to the API"))?;
        let (status, body) = read_answer(&mut self.stream)?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        Err(ServerFault::RefusedRequest {
            request: format!("POST {path}"),
            status,
            body,
        }
        .into())
    }
}

/// Status and body of one answer; the body has a Content-Length or is empty.
fn read_answer(stream: &mut impl BufRead) -> Result<(u16, String)> {
    let status_line = read_line(stream)?;
    let status = status_line
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or(ServerFault::Malformed("HTTP status line"))?;
    let mut length = 0;
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or(ServerFault::Malformed("HTTP header"))?;
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(ServerFault::Malformed("HTTP body without a length").into());
        }
        if name.eq_ignore_ascii_case("content-length") {
            length = value
                .trim()
                .parse()
                .ok()
                .filter(|&length| length <= MAX_BODY)
                .ok_or(ServerFault::Malformed("HTTP content length"))?;
        }
    }
    let mut body = vec![0; length];
    stream
        .read_exact(&mut body)
        .map_err(Error::machine("read from the API"))?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn read_line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream
        .take(64 * 1024)
        .read_line(&mut line)
        .map_err(Error::machine("read from the API"))?;
    if line.pop() != Some('\n') {
        return Err(ServerFault::Closed.into());
    }
    Ok(line.trim_end_matches('\r').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_one_after_the_other() {
        let mut stream: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}\
            HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\nx: y\r\n\r\ntaken\
            HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(read_answer(&mut stream).unwrap(), (201, "{}".to_owned()));
        assert_eq!(read_answer(&mut stream).unwrap(), (409, "taken".to_owned()));
        assert_eq!(read_answer(&mut stream).unwrap(), (204, String::new()));
        assert!(matches!(
            read_answer(&mut stream),
            Err(Error::Server(ServerFault::Closed))
        ));
    }

    #[test]
    fn answers_that_are_not_understood_are_the_servers_fault() {
        for bytes in [
            &b"nonsense\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        ] {
            let result = read_answer(&mut &*bytes);
            assert!(
                matches!(result, Err(Error::Server(ServerFault::Malformed(_)))),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}
