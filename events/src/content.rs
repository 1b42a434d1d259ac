//! Which content type an event gets, and whether its payload stands as JSON.

use crate::event::Data;
use crate::json::is_json;

const JSON: &str = "application/json";
const OCTET_STREAM: &str = "application/octet-stream";

/// `datacontenttype` and data of an event.
pub type Judged<'a> = (Option<&'a str>, Data<'a>);

/// The device declared JSON and sent something else: its publish is to be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content type says JSON, but the payload is not JSON")]
pub struct NotJson;

/// Finds content type and data for a payload.
///
/// | declared | payload | content type | data |
/// | --- | --- | --- | --- |
/// | JSON | JSON | as declared | JSON |
/// | JSON | empty | as declared | none |
/// | JSON | other | [`NotJson`] | |
/// | other | empty | as declared | none |
/// | other | any | as declared | binary |
/// | nothing | empty | `application/octet-stream` | none |
/// | nothing | JSON | `application/json` | JSON |
/// | nothing | other | `application/octet-stream` | binary |
///
/// A declared empty string counts as nothing declared, as CloudEvents has no empty
/// `datacontenttype`. What else a device declares is passed on as it is. What is JSON is said by
/// [`is_json`], which content types declare it by [`says_json`].
///
/// # Errors
///
/// [`NotJson`]: the device's fault.
pub fn judge<'a>(declared: Option<&'a str>, payload: &'a [u8]) -> Result<Judged<'a>, NotJson> {
    match declared.filter(|declared| !declared.is_empty()) {
        Some(declared) if payload.is_empty() => Ok((Some(declared), Data::None)),
        Some(declared) if !says_json(declared) => Ok((Some(declared), Data::Binary(payload))),
        Some(declared) if is_json(payload) => Ok((Some(declared), Data::Json(payload))),
        Some(_) => Err(NotJson),
        // An empty text is no JSON text (RFC 8259, 2).
        None if payload.is_empty() => Ok((Some(OCTET_STREAM), Data::None)),
        None if is_json(payload) => Ok((Some(JSON), Data::Json(payload))),
        None => Ok((Some(OCTET_STREAM), Data::Binary(payload))),
    }
}

/// Whether a content type says JSON: `application/json`, `text/json` or any type with the suffix
/// `+json` (RFC 6839, 3.1), in any case, with or without parameters.
#[must_use]
pub fn says_json(content_type: &str) -> bool {
    let (media_type, _parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let Some((kind, subtype)) = media_type.trim().split_once('/') else {
        return false;
    };
    if subtype.eq_ignore_ascii_case("json") {
        return kind.eq_ignore_ascii_case("application") || kind.eq_ignore_ascii_case("text");
    }
    let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
    !kind.is_empty() && suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case("json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_json_content_types_from_others() {
        for json in [
            "application/json",
            "text/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=utf-8",
            " application/json ;x",
            "application/senml+json",
            "application/vnd.a+b+JSON;v=1",
            "image/x+json",
        ] {
            assert!(says_json(json), "{json}");
        }
        for other in [
            "",
            "json",
            "+json",
            "/x+json",
            "text/plain",
            "application/jsonx",
            "application/x-json",
            "application/json-seq",
            "application/geo+json-seq",
            "image/json",
            "text/plain; type=application/json",
            "application/octet-stream+cbor",
        ] {
            assert!(!says_json(other), "{other}");
        }
    }

    #[test]
    fn an_undeclared_payload_is_json_if_it_parses() {
        assert_eq!(
            judge(None, b" {\"a\": 1} "),
            Ok((Some("application/json"), Data::Json(b" {\"a\": 1} ")))
        );
        assert_eq!(
            judge(None, b"21.5"),
            Ok((Some("application/json"), Data::Json(b"21.5")))
        );
        for other in [&b"{a: 1}"[..], b"hello", b"\xff\xfe", b"{}{}"] {
            assert_eq!(
                judge(None, other),
                Ok((Some("application/octet-stream"), Data::Binary(other)))
            );
        }
    }

    #[test]
    fn a_declared_type_is_kept_and_only_json_stands_as_json() {
        assert_eq!(
            judge(Some("application/senml+json"), b"[]"),
            Ok((Some("application/senml+json"), Data::Json(b"[]")))
        );
        assert_eq!(
            judge(Some("text/plain"), b"21.5"),
            Ok((Some("text/plain"), Data::Binary(b"21.5")))
        );
    }

    #[test]
    fn refuses_a_payload_that_is_declared_json_but_is_not() {
        for declared in ["application/json", "text/JSON; charset=utf-8", "a/b+json"] {
            assert_eq!(judge(Some(declared), b"{"), Err(NotJson), "{declared}");
        }
    }

    #[test]
    fn an_empty_payload_is_legal_whatever_is_declared() {
        for declared in ["application/json", "text/plain"] {
            assert_eq!(judge(Some(declared), b""), Ok((Some(declared), Data::None)));
        }
        assert_eq!(
            judge(None, b""),
            Ok((Some("application/octet-stream"), Data::None))
        );
    }

    #[test]
    fn an_empty_declaration_counts_as_none() {
        assert_eq!(judge(Some(""), b"1"), judge(None, b"1"));
        assert_eq!(judge(Some(""), b"x"), judge(None, b"x"));
    }
}
