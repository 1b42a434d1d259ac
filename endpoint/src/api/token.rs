//! The bearer token, and the file that holds it.

use std::{
    fmt,
    fs::OpenOptions,
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use subtle::ConstantTimeEq;

/// Random bytes of a token that is made here: 256 bits, written as 64 hexadecimal digits.
const RANDOM_BYTES: usize = 32;
/// A token in a file may be the operator's own; shorter ones could be guessed.
const LEAST_LENGTH: usize = 16;
const MOST_LENGTH: usize = 4096;

/// The secret that every API request carries (RFC 6750).
#[derive(Clone)]
pub struct Token(Box<str>);

/// Why there is no token. The operator can mend all of these.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or made.
    #[error("token file {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// What the file holds is no token.
    #[error("token file {path}: {reason}; delete it to have a new token made", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, without the content.
        reason: &'static str,
    },
    /// The system gives no random bytes.
    #[error("no random bytes for a new token: {0}")]
    Random(getrandom::Error),
}

impl Token {
    /// Reads the token in `path`, or makes the file (mode 0600, its folder with mode 0700) with a
    /// random one if it does not exist. Blocking.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match Self::load(path) {
            Err(TokenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match Self::create(path) {
            // Another process was faster.
            Err(TokenError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Self::load(path)
            }
            other => other,
        }
    }

    /// Reads the token in `path`: its text without surrounding white space. Blocking.
    ///
    /// # Errors
    ///
    /// [`TokenError::Io`] and [`TokenError::Content`].
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let read = || {
            let file = OpenOptions::new().read(true).open(path)?;
            let others = file.metadata()?.permissions().mode() & 0o077;
            let mut text = String::new();
            file.take(MOST_LENGTH as u64 + 2)
                .read_to_string(&mut text)?;
            Ok((text, others != 0))
        };
        let (text, readable_by_others) = read().map_err(|source| Self::io(path, source))?;
        if readable_by_others {
            tracing::warn!(file = %path.display(), "other users may read the API's token");
        }
        Self::parse(&text).map_err(|reason| TokenError::Content {
            path: path.to_owned(),
            reason,
        })
    }

    /// Whether this is the token; takes the same time for every wrong one of its length.
    pub fn is(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// The token's text: for its owner's eyes, or a request's header.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn create(path: &Path) -> Result<Self, TokenError> {
        let token = Self::random().map_err(TokenError::Random)?;
        let write = || {
            if let Some(folder) = path.parent() {
                make_private_folder(folder)?;
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(format!("{}\n", token.0).as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| Self::io(path, source))?;
        Ok(token)
    }

    fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(digits.into()))
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let token = text.trim();
        if token.is_empty() {
            return Err("it is empty");
        }
        // RFC 6750, 2.1: the characters of a bearer token.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !token.bytes().all(allowed) {
            return Err("a token has only letters, digits and - . _ ~ + / =");
        }
        if token.len() < LEAST_LENGTH {
            return Err("a token has at least 16 characters");
        }
        if token.len() > MOST_LENGTH {
            return Err("a token has at most 4096 characters");
        }
        Ok(Self(token.into()))
    }

    fn io(path: &Path, source: io::Error) -> TokenError {
        TokenError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl fmt::Debug for Token {
    /// Hides the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// Makes a folder, with those above it, that only this user can look into.
fn make_private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if folder.as_os_str().is_empty() {
        return Ok(());
    }
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_file(text: &str) -> Result<Token, TokenError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, text).unwrap();
        Token::load_or_create(&path)
    }

    #[test]
    fn a_missing_file_is_made_for_its_owner_alone_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/token");
        let made = Token::load_or_create(&path).unwrap();
        assert_eq!(made.reveal().len(), 64);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Token::load_or_create(&path).unwrap();
        assert_eq!(again.reveal(), made.reveal());
    }

    #[test]
    fn two_tokens_differ() {
        assert_ne!(
            Token::random().unwrap().reveal(),
            Token::random().unwrap().reveal()
        );
    }

    #[test]
    fn an_operators_own_token_is_taken_without_its_line_end() {
        let token = in_file("my-own-token-of-some-length\n").unwrap();
        assert!(token.is(b"my-own-token-of-some-length"));
        assert!(!token.is(b"my-own-token-of-some-lengtH"));
        assert!(!token.is(b"my-own-token-of-some-lengt"));
        assert!(!token.is(b""));
    }

    #[test]
    fn refuses_a_file_without_a_usable_token_and_does_not_show_it() {
        for text in [
            "",
            " \n",
            "short",
            "two words that are long enough",
            &"x".repeat(5000),
        ] {
            let message = in_file(text).unwrap_err().to_string();
            assert!(message.contains("delete it"), "{message}");
            assert!(
                text.trim().is_empty() || !message.contains(text.trim()),
                "{message}"
            );
        }
    }

    #[test]
    fn debug_hides_the_token() {
        let token = Token::random().unwrap();
        assert!(!format!("{token:?}").contains(token.reveal()));
    }
}
