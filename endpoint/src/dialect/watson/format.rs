//! The format level of a topic (`…/fmt/{format}`), and the MIME type that it stands for.

use landfall_events::content::judge;

/// Formats that name a MIME type; of those with the same one the first is written.
const KNOWN: [(&str, &str); 9] = [
    ("json", "application/json"),
    ("txt", "text/plain"),
    ("text", "text/plain"),
    ("utf8", "text/plain; charset=utf-8"),
    ("xml", "application/xml"),
    ("csv", "text/csv"),
    ("cbor", "application/cbor"),
    ("bin", "application/octet-stream"),
    ("raw", "application/octet-stream"),
];

/// The MIME type of a format; `None` if it names none, and the payload is looked at instead.
pub(super) fn content_type(format: &str) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(format))
        .map(|(_, content_type)| *content_type)
}

/// The format that a command is delivered with: of its content type, or of its payload if it has
/// none. A type without a format of its own is `json` if it says JSON, else its subtype if that can
/// stand in a topic, else `bin`.
pub(super) fn of_command<'c>(content_type: Option<&'c str>, payload: &'c [u8]) -> &'c str {
    let judged = content_type.or_else(|| judge(None, payload).ok().and_then(|(given, _)| given));
    let Some(given) = judged else { return "bin" };
    if landfall_events::content::says_json(given) {
        return "json";
    }
    let media_type = |text: &'c str| text.split(';').next().unwrap_or(text).trim();
    let wanted = media_type(given);
    let known = KNOWN.iter().find(|(_, known)| {
        known
            .split(';')
            .next()
            .unwrap_or(known)
            .eq_ignore_ascii_case(wanted)
    });
    if let Some((format, _)) = known {
        return format;
    }
    match wanted.split_once('/') {
        Some((_, subtype)) if super::name::is_valid(subtype) => subtype,
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_stand_for_mime_types() {
        assert_eq!(content_type("json"), Some("application/json"));
        assert_eq!(content_type("JSON"), Some("application/json"));
        assert_eq!(content_type("bin"), Some("application/octet-stream"));
        assert_eq!(content_type("my-format"), None);
    }

    #[test]
    fn every_format_comes_back_from_its_mime_type() {
        for (_, content_type) in KNOWN {
            let format = of_command(Some(content_type), b"");
            let back = super::content_type(format).unwrap();
            assert!(content_type.starts_with(back), "{content_type}");
        }
    }

    #[test]
    fn a_command_has_the_format_of_its_type_or_else_of_its_payload() {
        assert_eq!(
            of_command(Some("application/json; charset=utf-8"), b""),
            "json"
        );
        assert_eq!(of_command(Some("application/senml+json"), b""), "json");
        assert_eq!(of_command(Some("Text/Plain"), b""), "txt");
        assert_eq!(of_command(Some("application/vnd.acme"), b""), "vnd.acme");
        assert_eq!(of_command(Some("application/a+b"), b""), "bin");
        assert_eq!(of_command(Some("nonsense"), b""), "bin");
        assert_eq!(of_command(None, b"{\"a\":1}"), "json");
        assert_eq!(of_command(None, b"hello"), "bin");
        assert_eq!(of_command(None, b""), "bin");
    }
}
