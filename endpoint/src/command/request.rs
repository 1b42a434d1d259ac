//! A command as its sender asks for it, and as it travels.

use std::time::Duration;

use bytes::Bytes;
use landfall_protocol::codec::UserPropertiesBuf;
use tokio::time::Instant;

use super::{CommandError, CommandName, Correlation};

/// Most user properties of one command.
const MAX_USER_PROPERTIES: usize = 32;

/// A command as its sender asks for it.
#[derive(Clone, Debug)]
pub struct CommandRequest {
    /// Application of the device.
    pub application: String,
    /// The device it is for.
    pub device: String,
    /// Name: one topic level.
    pub command: String,
    /// Payload.
    pub payload: Bytes,
    /// MIME type of the payload; reaches MQTT 5 devices.
    pub content_type: Option<String>,
    /// User properties, in order; they reach MQTT 5 devices. At most 32.
    pub user_properties: Vec<UserProperty>,
    /// How long the message is of use; MQTT 5 devices are told what is left of it, and later than
    /// that it is not delivered.
    pub expiry: Option<Lifetime>,
    /// How long to wait for the outcome; zero: do not wait.
    pub timeout: Duration,
    /// Whether the device's answer is wanted.
    pub wants_answer: bool,
}

/// Name and value of an MQTT 5 user property.
pub type UserProperty = (String, String);

/// A number of seconds as MQTT can say it, above 0 (MQTT 5, 3.3.2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(std::num::NonZeroU32);

impl Lifetime {
    /// `None` for 0: that would be over at once.
    pub fn of_seconds(seconds: u32) -> Option<Self> {
        std::num::NonZeroU32::new(seconds).map(Self)
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.get().into())
    }
}

/// A command on its way to a device.
#[derive(Debug)]
pub struct Command {
    /// The device it is for; not always the one it is delivered to.
    pub device: Box<str>,
    /// Name.
    pub name: CommandName,
    /// Payload.
    pub payload: Bytes,
    /// MIME type of the payload.
    pub content_type: Option<Box<str>>,
    /// User properties.
    pub user_properties: UserPropertiesBuf,
    /// When it is of no use any more.
    pub expires: Option<Instant>,
    /// Tells its answer from others; `None`: no answer is wanted.
    pub correlation: Option<Correlation>,
}

impl Command {
    /// Checks a request and makes it a command.
    ///
    /// # Errors
    ///
    /// [`CommandError::BadName`], [`CommandError::BadProperty`]; [`CommandError::Unavailable`] if
    /// the system has no random bytes for a correlation.
    pub(crate) fn of(request: CommandRequest) -> Result<Self, CommandError> {
        let name = CommandName::parse(&request.command)
            .map_err(|error| CommandError::BadName(error.to_string()))?;
        let correlation = match request.wants_answer {
            true => Some(Correlation::random().map_err(|_| CommandError::Unavailable)?),
            false => None,
        };
        if request.content_type.as_deref().is_some_and(is_no_string) {
            return Err(CommandError::BadProperty("content type".to_owned()));
        }
        Ok(Self {
            device: request.device.into(),
            name,
            payload: request.payload,
            content_type: request.content_type.map(Into::into),
            user_properties: user_properties(&request.user_properties)?,
            // A life that no clock can reach the end of has none.
            expires: request
                .expiry
                .and_then(|expiry| Instant::now().checked_add(expiry.duration())),
            correlation,
        })
    }

    /// What is left of its life, in seconds, at least 1; `Err`: nothing is.
    pub fn seconds_left(&self) -> Result<Option<u32>, Expired> {
        let Some(expires) = self.expires else {
            return Ok(None);
        };
        let left = expires.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Expired);
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Ok(Some(u32::try_from(seconds).unwrap_or(u32::MAX)))
    }
}

/// The command's life is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired;

fn user_properties(properties: &[UserProperty]) -> Result<UserPropertiesBuf, CommandError> {
    let bad = |name: &str| CommandError::BadProperty(format!("user property `{name}`"));
    let mut list = UserPropertiesBuf::new();
    for (number, (name, value)) in properties.iter().enumerate() {
        if number >= MAX_USER_PROPERTIES || is_no_string(name) || is_no_string(value) {
            return Err(bad(name));
        }
        list.push(name, value).map_err(|_| bad(name))?;
    }
    Ok(list)
}

/// `[MQTT-1.5.4-2]`: no U+0000; and what clients may take for malformed (MQTT 5, 1.5.4).
fn is_no_string(text: &str) -> bool {
    text.len() > usize::from(u16::MAX) || text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> CommandRequest {
        CommandRequest {
            application: "app".to_owned(),
            device: "d".to_owned(),
            command: "x".to_owned(),
            payload: Bytes::new(),
            content_type: None,
            user_properties: Vec::new(),
            expiry: None,
            timeout: Duration::ZERO,
            wants_answer: false,
        }
    }

    #[test]
    fn properties_that_no_packet_can_carry_are_refused_by_name() {
        let with = |name: &str, value: &str| CommandRequest {
            user_properties: vec![
                ("fine".to_owned(), String::new()),
                (name.into(), value.into()),
            ],
            ..request()
        };
        for (name, value) in [
            ("bad", "a\0b"),
            ("b\nad", "x"),
            ("bad", &"x".repeat(70_000)),
        ] {
            let refused = Command::of(with(name, value)).unwrap_err();
            assert!(refused.to_string().contains(name), "{refused}");
        }
        let many = CommandRequest {
            user_properties: vec![("n".to_owned(), "v".to_owned()); 33],
            ..request()
        };
        assert!(matches!(
            Command::of(many),
            Err(CommandError::BadProperty(_))
        ));
        assert!(Command::of(with("traceparent", "00-x")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_life_is_counted_in_started_seconds() {
        let command = Command::of(CommandRequest {
            expiry: Lifetime::of_seconds(10),
            ..request()
        });
        let command = command.unwrap();
        assert_eq!(command.seconds_left(), Ok(Some(10)));
        tokio::time::advance(Duration::from_millis(9_500)).await;
        assert_eq!(command.seconds_left(), Ok(Some(1)));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(command.seconds_left(), Err(Expired));
        assert_eq!(Command::of(request()).unwrap().seconds_left(), Ok(None));
    }
}
