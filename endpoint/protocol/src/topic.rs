//! Topic names and topic filters (MQTT 5, 4.7 and 4.8).

use crate::{Malformed, Version};

/// Parses the bytes of a topic name.
///
/// The empty name passes: MQTT 5 lets a PUBLISH have one if a topic alias stands in for it, and
/// everywhere else [`refuse_empty`] follows.
///
/// # Errors
///
/// [`Malformed::Utf8`] for ill-formed UTF-8 or U+0000, [`Malformed::TopicName`] for a wildcard.
#[inline]
pub fn parse_name(bytes: &[u8]) -> Result<&str, Malformed> {
    // One pass without an early way out, which compilers turn into vector instructions.
    let mut nul = false;
    let mut wildcard = false;
    for &byte in bytes {
        nul |= byte == 0;
        wildcard |= is_wildcard(byte);
    }
    // [MQTT-1.5.4-1]
    let name = simdutf8::basic::from_utf8(bytes).map_err(|_| Malformed::Utf8)?;
    // [MQTT-1.5.4-2], [MQTT-4.7.3-2]
    if nul {
        return Err(Malformed::Utf8);
    }
    // [MQTT-3.3.2-2], [MQTT-4.7.0-1]
    if wildcard {
        return Err(Malformed::TopicName);
    }
    Ok(name)
}

/// Refuses the empty topic name.
///
/// # Errors
///
/// [`Malformed::TopicName`].
#[inline]
pub const fn refuse_empty(name: &str) -> Result<&str, Malformed> {
    // [MQTT-4.7.3-1]
    if name.is_empty() {
        Err(Malformed::TopicName)
    } else {
        Ok(name)
    }
}

/// Checks a topic filter: not empty, each wildcard a whole level, `#` only as the last one, and in
/// MQTT 5 `$share` as [`Shared::parse`] has it.
///
/// # Errors
///
/// [`Malformed::TopicFilter`].
pub fn check_filter(filter: &str, version: Version) -> Result<(), Malformed> {
    let filter = match version {
        Version::V5 => Shared::parse(filter)?.map_or(filter, |shared| shared.filter),
        // Before MQTT 5, `$share` is a level like any other.
        Version::V31 | Version::V311 => filter,
    };
    // [MQTT-4.7.3-1]
    if filter.is_empty() {
        return Err(Malformed::TopicFilter);
    }
    let mut levels = filter.split('/');
    while let Some(level) = levels.next() {
        match level {
            "+" => {}
            // [MQTT-4.7.1-1]: the multi-level wildcard is the last character.
            "#" if levels.clone().next().is_none() => {}
            // [MQTT-4.7.1-1], [MQTT-4.7.1-2]: a wildcard occupies an entire level.
            _ if level.bytes().any(is_wildcard) => return Err(Malformed::TopicFilter),
            _ => {}
        }
    }
    Ok(())
}

/// A shared subscription of MQTT 5, `$share/{name}/{filter}` (4.8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared<'a> {
    /// The share name: at least one character, no wildcard.
    pub name: &'a str,
    /// The topic filter that is shared; at least one character, not checked further.
    pub filter: &'a str,
}

impl<'a> Shared<'a> {
    /// Takes a filter apart; `None` if it is no shared subscription.
    ///
    /// # Errors
    ///
    /// [`Malformed::TopicFilter`] if it starts like one, but has an empty share name, a wildcard
    /// in it, or no topic filter after it.
    pub fn parse(filter: &'a str) -> Result<Option<Self>, Malformed> {
        let Some(shared) = filter.strip_prefix("$share/") else {
            return Ok(None);
        };
        // [MQTT-4.8.2-2]: a slash follows the share name, and a topic filter the slash.
        let (name, filter) = shared.split_once('/').ok_or(Malformed::TopicFilter)?;
        // [MQTT-4.8.2-1]: at least one character. [MQTT-4.8.2-2]: no wildcard.
        if name.is_empty() || name.bytes().any(is_wildcard) || filter.is_empty() {
            return Err(Malformed::TopicFilter);
        }
        Ok(Some(Self { name, filter }))
    }
}

#[inline]
const fn is_wildcard(byte: u8) -> bool {
    byte == b'+' || byte == b'#'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_shared_subscription_apart() {
        let parts = |name, filter| Ok(Some(Shared { name, filter }));
        assert_eq!(Shared::parse("$share/group/a/+"), parts("group", "a/+"));
        assert_eq!(Shared::parse("$share/group//a"), parts("group", "/a"));
        assert_eq!(Shared::parse("$share/group/#"), parts("group", "#"));
    }

    #[test]
    fn knows_a_filter_that_is_not_shared() {
        for filter in ["a/b", "$share", "$shared/group/a", "a/$share/group/a", "#"] {
            assert_eq!(Shared::parse(filter), Ok(None), "{filter}");
        }
    }

    #[test]
    fn refuses_the_empty_name_only_where_it_is_asked_to() {
        assert_eq!(parse_name(b""), Ok(""));
        assert_eq!(refuse_empty(""), Err(Malformed::TopicName));
        assert_eq!(refuse_empty("/"), Ok("/"));
    }
}
