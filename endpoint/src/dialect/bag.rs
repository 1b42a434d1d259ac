//! Property bags, `a=1&b=x%20y`, and the extensions that their properties become.

use std::borrow::Cow;

use crate::percent::decode;

/// Most properties of a bag.
const MOST: usize = 32;

/// The properties of a bag, decoded; one without `=` has an empty value. `None`: the encoding is
/// broken, or there are too many.
pub(super) fn parse(text: &str) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let mut properties = Vec::new();
    for pair in pairs {
        if properties.len() == MOST {
            return None;
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        properties.push((decode(name)?, decode(value)?));
    }
    Some(properties)
}

/// The name of an extension for a property: its letters and digits in lower case; with `prop` in
/// front where the event has such an attribute already. `None`: nothing is left of it.
pub(super) fn extension_name(property: &str) -> Option<String> {
    let name: String = property
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .take(60)
        .collect();
    if landfall_events::is_free_extension(&name) {
        return Some(name);
    }
    let prefixed = format!("prop{name}");
    (!name.is_empty() && landfall_events::is_free_extension(&prefixed)).then_some(prefixed)
}

/// Sets an extension; a later value of the same name replaces the earlier one.
pub(super) fn set<'t>(
    extensions: &mut Vec<super::Extension<'t>>,
    name: Cow<'t, str>,
    value: Cow<'t, str>,
) {
    match extensions.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => extensions.push((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_makes_a_bag_panic(text in "[a%&=2+]{0,40}|.{0,40}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn a_bag_has_names_and_values() {
        let text = |pairs: Vec<(Cow<'_, str>, Cow<'_, str>)>| -> Vec<(String, String)> {
            let own = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into(), value.into());
            pairs.into_iter().map(own).collect()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            text(parse("a=1&%24.ct=text%2Fplain&flag&c=x=y").unwrap()),
            [
                pair("a", "1"),
                pair("$.ct", "text/plain"),
                pair("flag", ""),
                pair("c", "x=y")
            ]
        );
        assert_eq!(parse(""), Some(Vec::new()));
        for broken in ["a=%", "%zz=1", "a=%ff"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
        assert_eq!(parse(&"a=1&".repeat(33)), None);
    }

    #[test]
    fn property_names_become_names_of_extensions() {
        assert_eq!(
            extension_name("temperatureAlert").as_deref(),
            Some("temperaturealert")
        );
        assert_eq!(extension_name("my-prop_1").as_deref(), Some("myprop1"));
        assert_eq!(extension_name("device").as_deref(), Some("propdevice"));
        assert_eq!(extension_name("id").as_deref(), Some("propid"));
        assert_eq!(extension_name("-").as_deref(), None);
    }
}
