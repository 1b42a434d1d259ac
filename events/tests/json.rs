//! `is_json` against serde_json, which is what consumers in Rust read events with.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use landfall_events::json::{MAX_DEPTH, is_json};
use proptest::prelude::*;
use serde_json::Value;

/// What Drogue Cloud took for JSON.
fn oracle(text: &[u8]) -> bool {
    serde_json::from_slice::<Value>(text).is_ok()
}

fn assert_agrees(text: &[u8]) {
    assert_eq!(
        is_json(text),
        oracle(text),
        "{:?}",
        String::from_utf8_lossy(text)
    );
}

#[test]
fn agrees_on_every_rule_of_the_grammar() {
    let texts: &[&[u8]] = &[
        // RFC 8259, 2: structure and white space.
        b"",
        b" ",
        b"\t\n\r ",
        b"\x0b1",
        b"\x0c1",
        b"{}",
        b" { } ",
        b"[]",
        b"[\n]",
        b"[1]",
        b"[1,2]",
        b"[1,]",
        b"[,1]",
        b"[,]",
        b"[1 2]",
        b"[1",
        b"[",
        b"]",
        b"[}",
        b"{]",
        b"{}}",
        b"[]]",
        b"{}{}",
        b"1 2",
        b"[[],{}]",
        b"[[],[[]]]",
        b"\xef\xbb\xbf{}",
        // 3: literals.
        b"true",
        b"false",
        b"null",
        b" true ",
        b"True",
        b"tru",
        b"truee",
        b"nul",
        b"nan",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"undefined",
        // 4: objects.
        b"{\"a\":1}",
        b"{\"a\" : 1 , \"b\":[]}",
        b"{\"a\":1,\"a\":2}",
        b"{\"a\"}",
        b"{\"a\":}",
        b"{\"a\":1,}",
        b"{,}",
        b"{a:1}",
        b"{'a':1}",
        b"{1:1}",
        b"{\"a\":1 \"b\":2}",
        b"{\"a\",1}",
        b"{\"a\":1",
        b"{\"a\":",
        b"{\"a",
        b"{null:1}",
        b"{\"\":{\"\":{}}}",
        b"[\"a\":1]",
        // 6: numbers.
        b"0",
        b"-0",
        b"00",
        b"01",
        b"-01",
        b"1",
        b"-1",
        b"+1",
        b"-",
        b"--1",
        b"1.",
        b".1",
        b"-.1",
        b"1.0",
        b"1.e1",
        b"1e",
        b"1e+",
        b"1e-",
        b"1e1",
        b"1E1",
        b"1e+1",
        b"1e-1",
        b"1e01",
        b"1.5e1.5",
        b"0e0",
        b"0.0e-0",
        b"1_000",
        b"0x10",
        b"1f",
        b"1 .5",
        b"12345678901234567890123",
        b"1e308",
        b"1e309",
        b"-1e309",
        b"1e400",
        b"1e-400",
        b"0e999999999999999999999",
        b"0.0e999999",
        b"1e99999999999999999999",
        b"1e-99999999999999999999",
        b"100e307",
        b"0.001e311",
        b"1.7976931348623e308",
        b"1.8e308",
        // 7: strings.
        b"\"\"",
        b"\"a",
        b"\"",
        b"a\"",
        b"'a'",
        b"\"a\"b\"",
        b"\"\\\"\"",
        b"\"\\\\\"",
        b"\"\\/\"",
        b"\"\\b\\f\\n\\r\\t\"",
        b"\"\\a\"",
        b"\"\\",
        b"\"\\\"",
        b"\"\\u0041\"",
        b"\"\\u004\"",
        b"\"\\u004g\"",
        b"\"\\U0041\"",
        b"\"\\u\"",
        b"\"\\uFFFF\"",
        b"\"\\ufffe\"",
        b"\"\n\"",
        b"\"\t\"",
        b"\"\0\"",
        b"\"\x1f\"",
        b"\"\x20\x7f\"",
        // 8.2: surrogates.
        b"\"\\ud83d\\ude00\"",
        b"\"\\ud83d\"",
        b"\"\\ude00\"",
        b"\"\\ud83d\\ud83d\"",
        b"\"\\ud83dx\"",
        b"\"\\ud83d\\n\"",
        b"\"\\ud83d\\u0041\"",
        b"\"\\ude00\\ud83d\"",
        b"{\"\\ud800\":1}",
        // 8.1: UTF-8.
        "\"é€😀\"".as_bytes(),
        "é".as_bytes(),
        b"\"\xff\"",
        b"\"\xc3\"",
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xe2\x82\"",
        b"{\"\xff\":1}",
        b"[1]\xff",
    ];
    for text in texts {
        assert_agrees(text);
    }
}

#[test]
fn long_numbers_are_json_while_they_are_within_binary64() {
    for digits in [299, 300, 301, 308, 309, 310, 1_000] {
        assert_agrees("1".repeat(digits).as_bytes());
        assert_agrees(format!("-{}", "9".repeat(digits)).as_bytes());
        assert_agrees(format!("0.{}", "1".repeat(digits)).as_bytes());
        assert_agrees(format!("[{}e-{digits}]", "1".repeat(digits)).as_bytes());
    }
}

#[test]
fn nesting_is_bounded_so_that_a_batch_of_events_can_still_be_read() {
    let nested = |open: &str, close: &str, depth: usize| {
        [open.repeat(depth), "1".into(), close.repeat(depth)].concat()
    };
    let most = usize::try_from(MAX_DEPTH).unwrap();
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":[", "]}]")] {
        let levels = open.matches(['[', '{']).count();
        let deepest = nested(open, close, most / levels);
        assert!(is_json(deepest.as_bytes()));
        let batch = format!("[{{\"data\":{deepest}}}]");
        assert!(serde_json::from_str::<Value>(&batch).is_ok());
        assert!(!is_json(nested(open, close, most / levels + 1).as_bytes()));
    }
    assert!(is_json(
        ["[".repeat(most), "]".repeat(most)].concat().as_bytes()
    ));
    assert!(!is_json(
        ["[".repeat(most + 1), "]".repeat(most + 1)]
            .concat()
            .as_bytes()
    ));
    // No stack to exhaust.
    assert!(!is_json("[".repeat(10_000_000).as_bytes()));
}

/// JSON values, not very deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn agrees_on_json_with_mutations(
        value in value(),
        pretty in any::<bool>(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 0..4),
    ) {
        let mut text = if pretty {
            serde_json::to_vec_pretty(&value)
        } else {
            serde_json::to_vec(&value)
        }.unwrap();
        prop_assert!(is_json(&text));
        for (place, kind, byte) in mutations {
            if text.is_empty() {
                break;
            }
            let at = place.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, b"\"\\{}[],:0123456789eE+-. \ntfnu"[usize::from(byte) % 29]),
                2 => { text.remove(at); }
                _ => text.truncate(at),
            }
        }
        prop_assert_eq!(is_json(&text), oracle(&text), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn agrees_on_tokens_in_any_order(
        tokens in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", " ", "\n", "\"a\"", "\"\\u00e9\"", "\"", "\\",
                "1", "-", "0", ".", "e", "+", "5e9", "true", "null", "f",
            ]),
            0..12,
        ),
    ) {
        let text = tokens.concat();
        prop_assert_eq!(is_json(text.as_bytes()), oracle(text.as_bytes()), "{}", text);
    }

    #[test]
    fn agrees_on_numbers(
        sign in "-?", whole in "0|[1-9][0-9]{0,30}", fraction in "(\\.[0-9]{1,30})?", exponent in -400..400_i32,
    ) {
        let text = format!("{sign}{whole}{fraction}e{exponent}");
        prop_assert_eq!(is_json(text.as_bytes()), oracle(text.as_bytes()), "{}", text);
    }

    #[test]
    fn agrees_on_strings_with_any_escapes(escapes in prop::collection::vec("\\\\u[dD][89abcdefABCDEF][0-9a-f]{2}|\\\\u[0-9a-fA-F]{4}|\\\\[bfnrtu\"x]|.", 0..4)) {
        let text = format!("\"{}\"", escapes.concat());
        prop_assert_eq!(is_json(text.as_bytes()), oracle(text.as_bytes()), "{}", text);
    }

    #[test]
    fn agrees_on_any_bytes(text in prop::collection::vec(any::<u8>(), 0..32)) {
        prop_assert_eq!(is_json(&text), oracle(&text));
    }
}
