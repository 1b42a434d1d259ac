//! Topic filters as such (MQTT 5, section 4.7).

/// Whether a filter is well formed: `+` and `#` stand alone in their level, `#` only in the last.
pub(super) fn is_valid(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        // [MQTT-4.7.1-1], [MQTT-4.7.1-2]
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return false;
        }
        if level.contains('+') && level != "+" {
            return false;
        }
    }
    !filter.is_empty()
}

/// Whether a topic name matches a well-formed filter.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    // [MQTT-4.7.2-1]
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            // `#` stands for its parent, too.
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(expected), Some(level)) if expected == level => {}
            _ => return false,
        }
    }
}

/// Whether a text can stand as one level of a topic name: `[MQTT-3.3.2-2]`, `[MQTT-4.7.3-2]`.
pub(super) fn is_topic_level(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '+', '#', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_alone_in_their_level() {
        for filter in ["a", "a/b", "+", "#", "a/+/b", "a/#", "/", "+/+/#", "$x/#"] {
            assert!(is_valid(filter), "{filter}");
        }
        for filter in ["", "a+", "+a/b", "#/a", "a#", "a/#/b", "a/b#"] {
            assert!(!is_valid(filter), "{filter}");
        }
    }

    #[test]
    fn topics_match_level_by_level() {
        for (filter, topic) in [
            ("a/b", "a/b"),
            ("a/+", "a/b"),
            ("a/+", "a/"),
            ("a/#", "a"),
            ("a/#", "a/b/c"),
            ("#", "a/b"),
            ("+/+", "/b"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("a/b", "a"),
            ("a", "a/b"),
            ("a/+", "a"),
            ("a/+", "a/b/c"),
            ("+", "a/b"),
            ("#", "$SYS"),
            ("+/x", "$SYS/x"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }
}
