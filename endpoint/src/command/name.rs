//! A command's name is one level of a topic.

/// Longest command name, in bytes: with the longest device name it still fits a topic.
const MAX_BYTES: usize = 1024;

/// A name that can stand as the last level of an inbox topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandName(Box<str>);

/// Why a name cannot be a topic level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing in it.
    #[error("the command's name is empty")]
    Empty,
    /// Too long.
    #[error("the command's name is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// `/`, `+`, `#` or a control character.
    #[error("the command's name has a '/', '+', '#' or a control character")]
    Character,
}

impl CommandName {
    /// Checks a name.
    ///
    /// # Errors
    ///
    /// `NameError`: empty, too long, or with a character that a topic level cannot have.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        match name {
            "" => Err(NameError::Empty),
            _ if name.len() > MAX_BYTES => Err(NameError::TooLong),
            // [MQTT-4.7.1-1], [MQTT-4.7.3-2]; other control characters some clients refuse.
            _ if name.contains(|c: char| matches!(c, '/' | '+' | '#') || c.is_control()) => {
                Err(NameError::Character)
            }
            _ => Ok(Self(name.into())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_topic_level() {
        assert_eq!(CommandName::parse("set-temp").unwrap().as_str(), "set-temp");
        assert_eq!(CommandName::parse(""), Err(NameError::Empty));
        assert_eq!(
            CommandName::parse(&"x".repeat(1025)),
            Err(NameError::TooLong)
        );
        for name in ["a/b", "+", "a#", "a\0", "a\n"] {
            assert_eq!(
                CommandName::parse(name),
                Err(NameError::Character),
                "{name:?}"
            );
        }
    }
}
