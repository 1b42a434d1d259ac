//! Names of applications and devices, and the user name that carries both.
//!
//! A device's identity is `<device>@<application>`, split at the first `@`; the device part may
//! be percent-encoded (RFC 3986 section 2.1). An application name therefore holds no `@`, and a
//! device name may hold one, written as `%40`: [`user_name`] and [`split_user_name`] are each
//! other's inverse for every valid pair of names.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Longest name of an application or device, in bytes of UTF-8.
pub const MAX_NAME: usize = 255;

/// Why `name` cannot name a device.
///
/// # Errors
/// The rule that is broken: 1 to [`MAX_NAME`] bytes, no control characters, no `/` (topics and
/// URLs would break), neither `.` nor `..` (URLs drop them).
pub fn check_device(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("must not be empty");
    }
    if name.len() > MAX_NAME {
        return Err("must be at most 255 bytes long");
    }
    if name.chars().any(char::is_control) {
        return Err("must not contain control characters");
    }
    if name.contains('/') {
        return Err("must not contain `/`, which would break topics and URLs");
    }
    if matches!(name, "." | "..") {
        return Err("must not be `.` or `..`, which URLs drop");
    }
    Ok(())
}

/// Why `name` cannot name an application.
///
/// # Errors
/// The rule that is broken: those of [`check_device`], and no `@`.
pub fn check_application(name: &str) -> Result<(), &'static str> {
    check_device(name)?;
    if name.contains('@') {
        return Err("must not contain `@`, which ends the device's part of a user name");
    }
    Ok(())
}

/// The user name by which a device of an application connects.
#[must_use]
pub fn user_name(device: &str, application: &str) -> String {
    let mut user_name = String::with_capacity(device.len() + 1 + application.len());
    for c in device.chars() {
        match c {
            '@' | '%' => {
                let _ = write!(user_name, "%{:02X}", u32::from(c));
            }
            c => user_name.push(c),
        }
    }
    user_name.push('@');
    user_name.push_str(application);
    user_name
}

/// Splits `<device>@<application>` at its first `@` and decodes the device part.
///
/// A `%` that two hexadecimal digits do not follow stands for itself. `None` without an `@`, or
/// when the decoded device part is not UTF-8; whether such a device exists is another question.
#[must_use]
pub fn split_user_name(user_name: &str) -> Option<(Cow<'_, str>, &str)> {
    let (device, application) = user_name.split_once('@')?;
    Some((percent_decoded(device)?, application))
}

fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = if first == b'%' {
            after.split_at_checked(2)
        } else {
            None
        };
        match escaped.and_then(|(digits, after)| Some((hex_byte(digits)?, after))) {
            Some((byte, after)) => {
                decoded.push(byte);
                rest = after;
            }
            None => {
                decoded.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits else { return None };
    let digit = |c: &u8| char::from(*c).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_at_the_first_at_sign() {
        assert_eq!(
            split_user_name("sensor01@app"),
            Some(("sensor01".into(), "app"))
        );
        assert_eq!(split_user_name("a@b@c"), Some(("a".into(), "b@c")));
        assert_eq!(split_user_name("sensor01"), None);
    }

    #[test]
    fn decodes_the_device_part_only() {
        assert_eq!(split_user_name("a%40b@app"), Some(("a@b".into(), "app")));
        assert_eq!(split_user_name("a@%40app"), Some(("a".into(), "%40app")));
    }

    #[test]
    fn takes_a_stray_percent_sign_literally() {
        for device in ["50%", "50%4", "%zz", "%", "%%3"] {
            let user_name = format!("{device}@app");
            assert_eq!(
                split_user_name(&user_name),
                Some((device.into(), "app")),
                "{device}"
            );
        }
        assert_eq!(split_user_name("%ff@app"), None, "not UTF-8");
    }

    #[test]
    fn refuses_names_that_break_topics_urls_or_user_names() {
        for (name, rule) in [
            ("", "empty"),
            ("a/b", "`/`"),
            ("a\u{0}", "control"),
            ("a\nb", "control"),
            ("\u{9f}", "control"),
            (".", "URLs"),
            ("..", "URLs"),
        ] {
            assert!(check_device(name).unwrap_err().contains(rule), "{name:?}");
            assert!(
                check_application(name).unwrap_err().contains(rule),
                "{name:?}"
            );
        }
        assert!(check_application("a@b").unwrap_err().contains("`@`"));
        assert!(check_device("a@b").is_ok());
        assert!(check_device(&"ä".repeat(127)).is_ok(), "254 bytes");
        assert!(
            check_device(&"ä".repeat(128)).unwrap_err().contains("255"),
            "256 bytes"
        );
    }

    proptest! {
        #[test]
        fn every_valid_name_parses_back_from_its_user_name(
            device in "\\PC{1,40}|[a@%/.4]{1,8}",
            application in "\\PC{1,40}",
        ) {
            prop_assume!(check_device(&device).is_ok());
            prop_assume!(check_application(&application).is_ok());
            let user_name = user_name(&device, &application);
            let (back, app) = split_user_name(&user_name).unwrap();
            prop_assert_eq!(back, device);
            prop_assert_eq!(app, application);
        }
    }
}
