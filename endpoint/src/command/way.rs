//! How long a command is waited for, kept, and of use; the same whatever source it comes from.

use std::time::Duration;

use super::{CommandError, Lifetime};

/// How long to wait for the outcome, if the sender does not say.
const DEFAULT_TIMEOUT: f64 = 5.0;
const MOST_TIMEOUT: f64 = 60.0;
/// Longest time that a command may be held: 30 days, in seconds.
const MOST_TTL: u32 = 30 * 24 * 60 * 60;

/// What a sender may ask for beside the command itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// How long to wait for the outcome, in seconds: 0 to 60, default 5.
    pub timeout: Option<f64>,
    /// The device's answer.
    pub response: bool,
    /// Seconds to hold the command.
    pub ttl: Option<u32>,
    /// Seconds that the message is of use.
    pub expiry: Option<u32>,
}

/// Wishes that fit together.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// How long to wait for the outcome; zero: not at all.
    pub timeout: Duration,
    /// Whether the device's answer is wanted.
    pub wants_answer: bool,
    /// How long to hold the command.
    pub ttl: Option<Lifetime>,
    /// How long the message is of use.
    pub expiry: Option<Lifetime>,
}

impl Way {
    /// Checks what a sender asks for.
    ///
    /// # Errors
    ///
    /// [`CommandError::BadRequest`] says what is out of bounds or contradicts itself.
    pub fn of(wishes: &Wishes) -> Result<Self, CommandError> {
        let refuse = |message: &str| Err(CommandError::BadRequest(message.to_owned()));
        if wishes.response && wishes.ttl.is_some() {
            return refuse("a held command has no answer: give response or ttl");
        }
        if wishes.ttl.is_some() && wishes.expiry.is_some() {
            return refuse("a held command is of use as long as it is held: give ttl or expiry");
        }
        if wishes.ttl.is_some_and(|ttl| ttl > MOST_TTL) {
            return refuse("ttl is 1 to 2592000 seconds, which are 30 days");
        }
        let timeout = wishes.timeout.unwrap_or(DEFAULT_TIMEOUT);
        if !(0.0..=MOST_TIMEOUT).contains(&timeout) {
            return refuse("timeout is 0 to 60 seconds");
        }
        if wishes.response && timeout == 0.0 {
            return refuse("whoever wants the answer waits for it: timeout is above 0");
        }
        Ok(Self {
            timeout: Duration::from_secs_f64(timeout),
            wants_answer: wishes.response,
            ttl: lifetime("ttl", wishes.ttl)?,
            expiry: lifetime("expiry", wishes.expiry)?,
        })
    }
}

fn lifetime(name: &str, seconds: Option<u32>) -> Result<Option<Lifetime>, CommandError> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    let lifetime = Lifetime::of_seconds(seconds);
    let too_short = || CommandError::BadRequest(format!("{name} is at least 1 second"));
    lifetime.map(Some).ok_or_else(too_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout(seconds: Option<f64>) -> Result<Duration, CommandError> {
        let wishes = Wishes {
            timeout: seconds,
            ..Wishes::default()
        };
        Way::of(&wishes).map(|way| way.timeout)
    }

    #[test]
    fn the_timeout_is_five_seconds_unless_the_sender_says_up_to_sixty() {
        assert_eq!(timeout(None).unwrap(), Duration::from_secs(5));
        assert_eq!(timeout(Some(0.0)).unwrap(), Duration::ZERO);
        assert_eq!(timeout(Some(0.25)).unwrap(), Duration::from_millis(250));
        assert_eq!(timeout(Some(60.0)).unwrap(), Duration::from_secs(60));
        for wrong in [-1.0, 60.5, f64::NAN, f64::INFINITY] {
            let refused = timeout(Some(wrong)).unwrap_err();
            assert!(matches!(refused, CommandError::BadRequest(_)));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let wishes = |response: bool, timeout: f64, ttl: u32, expiry: u32| Wishes {
            response,
            timeout: Some(timeout),
            ttl: (ttl != u32::MAX).then_some(ttl),
            expiry: (expiry != u32::MAX).then_some(expiry),
        };
        const NONE: u32 = u32::MAX;
        for wrong in [
            wishes(true, 5.0, 5, NONE),
            wishes(false, 5.0, 5, 5),
            wishes(true, 0.0, NONE, NONE),
            wishes(false, 5.0, 0, NONE),
            wishes(false, 5.0, NONE, 0),
            wishes(false, 5.0, 2_592_001, NONE),
        ] {
            let refused = Way::of(&wrong).unwrap_err();
            assert!(matches!(refused, CommandError::BadRequest(_)), "{wrong:?}");
        }
        Way::of(&wishes(false, 0.0, 2_592_000, NONE)).unwrap();
        Way::of(&wishes(true, 0.1, NONE, 7)).unwrap();
    }
}
