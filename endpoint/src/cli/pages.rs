//! Lists that come in pages.

use reqwest::{Method, Response};
use serde_json::Value;

use super::{Client, Failure};

/// Resources asked for at a time.
const PAGE: &str = "1000";

/// The pages of a list, one after the other.
pub(super) struct Pages<'a> {
    client: &'a Client,
    path: &'a [&'a str],
    query: &'a [(&'a str, &'a str)],
    /// Whether there may be more, and after which name.
    next: Option<Option<String>>,
}

impl<'a> Pages<'a> {
    /// The list at a path, with further parameters.
    pub(super) fn new(
        client: &'a Client,
        path: &'a [&'a str],
        query: &'a [(&'a str, &'a str)],
    ) -> Self {
        Self {
            client,
            path,
            query,
            next: Some(None),
        }
    }

    /// The next page; it may be empty.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Value>>, Failure> {
        let Some(after) = self.next.take() else {
            return Ok(None);
        };
        let request = self.client.quick(Method::GET, self.path);
        let mut request = request.query(&[("limit", PAGE)]).query(self.query);
        if let Some(after) = after {
            request = request.query(&[("continue", after)]);
        }
        let response = self.client.send(request).await?;
        self.next = continuation(&response)?.map(Some);
        match self.client.json(response).await? {
            Value::Array(page) => Ok(Some(page)),
            _ => Err(Failure::new(
                "the server answers with something else than a list",
            )),
        }
    }
}

/// The name to continue after, from the header that carries it percent-encoded.
fn continuation(response: &Response) -> Result<Option<String>, Failure> {
    let Some(value) = response.headers().get("landfall-continue") else {
        return Ok(None);
    };
    let decode = || {
        // Reads one query parameter, the encoding that the header uses.
        let query = format!("http://host/?next={}", value.to_str().ok()?);
        let url = reqwest::Url::parse(&query).ok()?;
        let (_, next) = url.query_pairs().next()?;
        Some(next.into_owned())
    };
    match decode() {
        Some(next) => Ok(Some(next)),
        None => Err(Failure::new("the server's list cannot be continued")),
    }
}
