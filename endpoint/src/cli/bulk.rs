//! Documents on their way to the server, a batch at a time: each is written whole or not at all.

use std::time::Duration;

use reqwest::{Method, header};
use serde_json::Value;

use super::{Client, Failure};

/// Documents of a batch: what the server writes in one transaction.
pub(super) const MOST_DOCUMENTS: usize = 1_000;
/// Bytes of a batch, unless one document alone is larger.
pub(super) const MOST_BYTES: usize = 3 << 20;
/// Hashing a thousand passwords takes its time.
const TIMEOUT: Duration = Duration::from_secs(900);

/// Documents that are sent together.
#[derive(Default)]
pub(super) struct Batch {
    /// One JSON text a line.
    body: Vec<u8>,
    len: usize,
}

impl Batch {
    /// Adds a document.
    pub(super) fn push(&mut self, document: &Value) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.body, document).map_err(Failure::new)?;
        self.body.push(b'\n');
        self.len += 1;
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len >= MOST_DOCUMENTS || self.body.len() >= MOST_BYTES
    }
}

/// Why a batch was not written.
pub(super) struct Refused {
    /// The document that is to blame, from 0, if one is.
    pub(super) document: Option<usize>,
    /// Why, in the server's words.
    pub(super) failure: Failure,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self {
            document: None,
            failure,
        }
    }
}

/// Has the server write a batch. Tells what became of each document: `created`, `updated` or
/// `unchanged`.
pub(super) async fn write(client: &Client, batch: Batch) -> Result<Vec<String>, Refused> {
    let request = client
        .request(Method::POST, &["api", "registry", "v1alpha1", "bulk"])
        .query(&[("results", "true")])
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .timeout(TIMEOUT)
        .body(batch.body);
    let response = client.send(request).await?;
    let told = response
        .bytes()
        .await
        .map_err(|error| client.unreachable(&error))?;
    read(&told, batch.len)
}

fn read(told: &[u8], documents: usize) -> Result<Vec<String>, Refused> {
    let mut results = Vec::with_capacity(documents);
    for line in told.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        let line: Value = serde_json::from_slice(line).map_err(|_| unheard())?;
        if let Some(message) = line.get("message").and_then(Value::as_str) {
            let document = line.get("document").and_then(Value::as_u64);
            let document = document.and_then(|number| usize::try_from(number.checked_sub(1)?).ok());
            return Err(Refused {
                document,
                failure: Failure::new(message),
            });
        }
        let batch = line.get("results").and_then(Value::as_array);
        let batch = batch.into_iter().flatten().filter_map(Value::as_str);
        results.extend(batch.map(str::to_owned));
    }
    match results.len() == documents {
        true => Ok(results),
        false => Err(unheard().into()),
    }
}

fn unheard() -> Failure {
    Failure::new("the server does not say what it did")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_from_every_line() {
        let told = b"{\"documents\":2,\"results\":[\"created\",\"updated\"]}\n\
                     {\"documents\":3,\"results\":[\"unchanged\"]}\n\
                     {\"documents\":3,\"done\":true}\n";
        let results = read(told, 3).ok().unwrap();
        assert_eq!(results, ["created", "updated", "unchanged"]);
    }

    #[test]
    fn a_refusal_names_its_document() {
        let told = b"{\"documents\":9,\"document\":7,\"error\":\"x\",\"message\":\"why\",\"done\":false}\n";
        let refused = read(told, 9).err().unwrap();
        assert_eq!(refused.document, Some(6));
        assert_eq!(refused.failure.to_string(), "why");
    }

    #[test]
    fn an_answer_that_breaks_off_is_no_success() {
        for told in [
            &b""[..],
            b"{\"documents\":1,\"results\":[\"created\"]}\n",
            b"<html>",
        ] {
            assert!(read(told, 2).is_err());
        }
    }
}
