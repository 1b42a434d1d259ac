//! Text of CloudEvents attributes: the characters they may have, and their JSON form.

use crate::event::NAMES;

/// Appends `text` as the inside of a JSON string, keeping to what a CloudEvents `String` may hold.
///
/// CloudEvents 1.0.2, "Type System": no control characters (U+0000 to U+001F, U+007F to U+009F) and
/// no Unicode noncharacters. Each of these is written as the percent-encoding of its UTF-8 bytes,
/// which keeps it legible; everything else, `%` too, stands as it is.
pub(crate) fn push_json(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let mut utf8 = [0; 4];
    for character in text.chars() {
        let bytes = character.encode_utf8(&mut utf8).as_bytes();
        match character {
            '"' => out.extend_from_slice(br#"\""#),
            '\\' => out.extend_from_slice(br"\\"),
            _ if is_allowed(character) => out.extend_from_slice(bytes),
            _ => bytes.iter().for_each(|byte| push_percent(out, *byte)),
        }
    }
}

/// Appends `text` itself under the same rule, for encodings that need no quotes.
pub(crate) fn push_text(out: &mut String, text: &str) {
    if is_plain(text.as_bytes()) {
        out.push_str(text);
        return;
    }
    let mut utf8 = [0; 4];
    for character in text.chars() {
        if is_allowed(character) {
            out.push(character);
        } else {
            for byte in character.encode_utf8(&mut utf8).bytes() {
                out.extend(percent(byte).map(char::from));
            }
        }
    }
}

/// Appends `text` with every byte percent-encoded that `keep` does not let through. `keep` is asked
/// about ASCII only.
pub(crate) fn push_percent_encoded(out: &mut String, text: &str, keep: fn(u8) -> bool) {
    let keep = |byte: u8| byte.is_ascii() && keep(byte);
    if text.bytes().all(keep) {
        out.push_str(text);
        return;
    }
    for byte in text.bytes() {
        if keep(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(percent(byte).map(char::from));
        }
    }
}

/// Appends `text` as the HTTP and NATS bindings write attributes into headers (CloudEvents HTTP
/// binding 1.0.2, 3.1.3.2): space, double quote, percent and all but printable ASCII are
/// percent-encoded.
pub(crate) fn push_header_text(out: &mut String, text: &str) {
    push_percent_encoded(out, text, |byte| {
        matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'%')
    });
}

/// RFC 3986, 2.3: characters that a URI never needs to encode.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// An absolute URI that consumers can read: its characters are those of RFC 3986 (section 2), and
/// it parses as the URL standard has it, which is how the SDKs read `dataschema`.
pub(crate) fn is_absolute_uri(text: &str) -> bool {
    has_uri_characters_only(text.as_bytes()) && url::Url::parse(text).is_ok()
}

/// Reserved and unreserved characters, and percent signs before two hexadecimal digits.
fn has_uri_characters_only(mut text: &[u8]) -> bool {
    loop {
        text = match text {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..] if is_unreserved(*byte) || b":/?#[]@!$&'()*+,;=".contains(byte) => {
                rest
            }
            _ => return false,
        }
    }
}

/// Longest name of an extension, in bytes.
const LONGEST_NAME: usize = 64;

/// Whether an extension of this name may be added to an event: 1 to 64 lower-case ASCII letters and
/// digits (CloudEvents 1.0.2, "Naming Conventions"), and not the name of anything that the server
/// itself says of an event.
#[must_use]
pub fn is_free_extension(name: &str) -> bool {
    const TAKEN: [&str; 13] = [
        "id",
        "type",
        "time",
        "specversion",
        "subject",
        "datacontenttype",
        "dataschema",
        "data",
        "database64",
        "dataref",
        "mqttretain",
        "traceparent",
        "tracestate",
    ];
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(letter)
        && !TAKEN.contains(&name)
        && !NAMES.contains(&name)
}

/// Printable ASCII that needs no escape in JSON. No early exit: the compiler makes it vector code.
fn is_plain(text: &[u8]) -> bool {
    text.iter().fold(true, |plain, byte| {
        plain & matches!(byte, 0x20..=0x7e) & !matches!(byte, b'"' | b'\\')
    })
}

fn is_allowed(character: char) -> bool {
    let code = u32::from(character);
    let is_noncharacter = matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe;
    !character.is_control() && !is_noncharacter
}

fn push_percent(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(&percent(byte));
}

fn percent(byte: u8) -> [u8; 3] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'A' - 10 };
    [b'%', digit(byte >> 4), digit(byte & 0xf)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        push_json(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn plain(text: &str) -> String {
        let mut out = String::new();
        push_text(&mut out, text);
        out
    }

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        assert_eq!(json(r#"a"b\c"#), r#"a\"b\\c"#);
        assert_eq!(plain(r#"a"b\c"#), r#"a"b\c"#);
    }

    #[test]
    fn forbidden_characters_are_percent_encoded() {
        for (text, encoded) in [
            ("a\u{0}\n\u{7f}", "a%00%0A%7F"),
            ("\u{85}\u{9f}\u{a0}", "%C2%85%C2%9F\u{a0}"),
            ("\u{fdd0}\u{fdef}\u{fdf0}", "%EF%B7%90%EF%B7%AF\u{fdf0}"),
            ("\u{fffd}\u{fffe}\u{ffff}", "\u{fffd}%EF%BF%BE%EF%BF%BF"),
            ("\u{1f600}\u{10ffff}", "\u{1f600}%F4%8F%BF%BF"),
            ("100%", "100%"),
        ] {
            assert_eq!(json(text), encoded);
            assert_eq!(plain(text), encoded);
        }
    }

    #[test]
    fn tells_absolute_uris_from_other_text() {
        for uri in [
            "https://example.com/schema.json?x=1#a",
            "urn:example:a%20b",
            "a+b-c.d:x",
            "https://user@[2001:db8::1]:8443/x",
        ] {
            assert!(is_absolute_uri(uri), "{uri}");
        }
        for other in [
            "",
            "schema.json",
            "/schema",
            ":x",
            "https:",
            "1a:x",
            "a b:c",
            "a:b c",
            "a:%",
            "a:%2",
            "a:%zz",
            "a:\u{e9}",
            "a:\"",
            "http://[",
            "http://300.1.1.1/",
            "ws://a:70000/",
        ] {
            assert!(!is_absolute_uri(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn the_json_form_reads_back_as_the_plain_form(text in any::<String>()) {
            let read: String = serde_json::from_str(&format!("\"{}\"", json(&text))).unwrap();
            prop_assert_eq!(&read, &plain(&text));
            prop_assert!(read.chars().all(is_allowed));
        }

        #[test]
        fn percent_encoding_keeps_all_information(text in any::<String>()) {
            let mut encoded = String::new();
            push_percent_encoded(&mut encoded, &text, is_unreserved);
            prop_assert!(encoded.bytes().all(|byte| is_unreserved(byte) || byte == b'%'));
            let mut decoded = Vec::new();
            let mut rest = encoded.as_bytes();
            while let [first, tail @ ..] = rest {
                if *first == b'%' {
                    let hex = std::str::from_utf8(&tail[..2]).unwrap();
                    decoded.push(u8::from_str_radix(hex, 16).unwrap());
                    rest = &tail[2..];
                } else {
                    decoded.push(*first);
                    rest = tail;
                }
            }
            prop_assert_eq!(decoded, text.as_bytes());
        }
    }
}
