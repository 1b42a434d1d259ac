//! The measurements: each has a specification, which is its command line, and a report.

pub(crate) mod connect;
pub(crate) mod cost;
mod flood;
pub(crate) mod idle;
mod pipeline;
pub(crate) mod publish;
pub(crate) mod rate;
mod subscriber;

use std::time::Duration;

/// Keep-alive of connections that are never silent for long, in seconds.
const KEEP_ALIVE: u16 = 60;

/// Longest wait for an event before the clocks are looked at.
const TICK: Duration = Duration::from_millis(20);

/// Seconds on the command line, fractions allowed.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("not between 0 and 86400".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_fractions_and_are_bounded() {
        assert_eq!(seconds("0.25").unwrap(), Duration::from_millis(250));
        for text in ["-1", "1e9", "NaN", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
