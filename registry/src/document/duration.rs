//! Durations in documents: whole numbers with units, as the `humantime` syntax that Drogue Cloud
//! uses writes them, from milliseconds to hours.

use std::time::Duration;

/// `1s`, `500ms`, `1m 30s`, `1hour 30min`; `None` for anything else, or beyond u64 milliseconds.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let after = after.trim_start();
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let milliseconds = number
            .parse::<u64>()
            .ok()?
            .checked_mul(unit_milliseconds(unit)?)?;
        total = total.checked_add(Duration::from_millis(milliseconds))?;
        rest = after.trim_start();
    }
    (!text.trim().is_empty()).then_some(total)
}

fn unit_milliseconds(unit: &str) -> Option<u64> {
    match unit {
        "ms" | "msec" | "millis" => Some(1),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1_000),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60_000),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3_600_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn reads_whole_numbers_with_units() {
        for (text, seconds) in [
            ("1s", 1),
            ("1m", 60),
            ("1hour 30min", 5400),
            ("1h30m", 5400),
            (" 2 seconds ", 2),
        ] {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for text in [
            "",
            " ",
            "5",
            "s",
            "1.5s",
            "-1s",
            "1 fortnight",
            "1s,",
            "99999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
