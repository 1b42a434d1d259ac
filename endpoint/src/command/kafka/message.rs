//! A record as a command, and its outcome as a record (CloudEvents Kafka binding 1.0.2).

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message as _, OwnedHeaders};

use crate::command::CommandError;
use crate::command::event::{CommandEvent, OutcomeEvent};

/// Reads a record in binary or structured mode.
///
/// # Errors
///
/// [`CommandError::BadRequest`]: no CloudEvent.
pub(super) fn read(message: &BorrowedMessage<'_>) -> Result<CommandEvent, CommandError> {
    let headers = message.headers();
    let headers = headers.into_iter().flat_map(|headers| headers.iter());
    let headers = headers.filter_map(|header| {
        let value = std::str::from_utf8(header.value?).ok()?;
        Some((header.key, value))
    });
    read_parts(headers, message.payload().unwrap_or_default())
}

fn read_parts<'h>(
    headers: impl Iterator<Item = (&'h str, &'h str)>,
    payload: &[u8],
) -> Result<CommandEvent, CommandError> {
    let mut event = CommandEvent::default();
    let mut content_type = None;
    for (name, value) in headers {
        // 3.2.3: `ce_` and the attribute's name; header names are taken in any case.
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("ce_") {
            Some(name) => drop(event.attributes.insert(name.to_owned(), value.to_owned())),
            None if name == "content-type" => content_type = Some(value),
            None => {}
        }
    }
    // 3.1: the content type tells the modes apart.
    if content_type.is_some_and(|text| {
        text.to_ascii_lowercase()
            .starts_with("application/cloudevents")
    }) {
        return CommandEvent::structured(payload);
    }
    if let Some(content_type) = content_type {
        let name = "datacontenttype".to_owned();
        event.attributes.insert(name, content_type.to_owned());
    }
    event.data = Bytes::copy_from_slice(payload);
    Ok(event)
}

/// The headers of an outcome; its data is the record's value.
pub(super) fn headers(outcome: &OutcomeEvent) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(outcome.attributes.len() + 1);
    for (name, value) in &outcome.attributes {
        headers = headers.insert(Header {
            key: &format!("ce_{name}"),
            value: Some(value),
        });
    }
    headers.insert(Header {
        key: "content-type",
        value: Some(&outcome.content_type),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_stand_in_headers_or_in_the_value() {
        let headers = [
            ("ce_device", "d"),
            ("CE_Application", "app"),
            ("content-type", "text/plain"),
            ("other", "x"),
        ];
        let event = read_parts(headers.into_iter(), b"on").unwrap();
        assert_eq!(event.addressee(), Some(("app", "d")));
        assert_eq!(event.get("datacontenttype"), Some("text/plain"));
        assert_eq!(event.get("other"), None);
        assert_eq!(event.data, "on");

        let headers = [(
            "content-type",
            "application/cloudevents+json; charset=utf-8",
        )];
        let body = br#"{"application":"app","device":"d","data":1}"#;
        let event = read_parts(headers.into_iter(), body).unwrap();
        assert_eq!(event.addressee(), Some(("app", "d")));
        assert_eq!(event.data, "1");
        assert!(read_parts(headers.into_iter(), b"no").is_err());
    }
}
