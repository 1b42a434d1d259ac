//! Percent-encoding (RFC 3986, section 2.1), read strictly.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but RFC 3986's unreserved characters (section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Decodes. `None`: a `%` without two hexadecimal digits, or not UTF-8.
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    let is_whole = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !text.split('%').skip(1).all(is_whole) {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()
}

/// Appends a text, all but unreserved characters encoded.
pub fn push(out: &mut String, text: &str) {
    out.extend(utf8_percent_encode(text, RESERVED));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_decodes_again(text in ".{0,40}") {
            let mut encoded = String::new();
            push(&mut encoded, &text);
            prop_assert!(!encoded.contains(['/', '+', '#', '&', '=']));
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }
    }

    #[test]
    fn broken_encodings_are_refused() {
        for broken in ["%", "a%2", "%zz", "%ff", "%%41", "%4%31"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
        assert_eq!(decode("a%40B%c3%A4+").as_deref(), Some("a@B\u{e4}+"));
    }
}
