//! Names of types and devices.

/// "Maximum length of 36 characters".
const LONGEST: usize = 36;

/// Whether this may name a type or a device: 1 to 36 of `a-z A-Z 0-9 - _ .` ("MQTT client
/// identifier").
pub(super) fn is_valid(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(allowed)
}

/// The registry's name of a device.
pub(super) fn join(kind: &str, device: &str) -> String {
    format!("{kind}:{device}")
}

/// The other way round. `None`: no device of this dialect is called so.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    let (kind, device) = name.split_once(':')?;
    (is_valid(kind) && is_valid(device)).then_some((kind, device))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_short_and_of_few_characters() {
        for name in ["a", "Type-1_x.y", &"x".repeat(36), "..."] {
            assert!(is_valid(name), "{name}");
        }
        for name in [
            "",
            &"x".repeat(37),
            "a:b",
            "a/b",
            "a b",
            "ä",
            "%41",
            "+",
            "a\0",
        ] {
            assert!(!is_valid(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_name_comes_apart_as_it_was_joined(kind in "[a-zA-Z0-9_.-]{1,36}", device in "[a-zA-Z0-9_.-]{1,36}") {
            let joined = join(&kind, &device);
            prop_assert_eq!(split(&joined), Some((&*kind, &*device)));
        }
    }
}
