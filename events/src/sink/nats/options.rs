//! How events are published to NATS.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};

use crate::sink::DEFAULT_QUEUE_BYTES;
use crate::sink::remote::{RemoteError, SpillOptions};
use crate::template::Template;

/// How events stand in messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatsMode {
    /// Attributes in `ce-` headers, the payload as body.
    #[default]
    Binary,
    /// All as one JSON document.
    Structured,
}

/// How the sink shows who it is.
#[derive(Clone, Default)]
pub enum NatsCredentials {
    /// Not at all, or by its client certificate.
    #[default]
    None,
    /// The content of a credentials file (a JWT and the seed of its key).
    File(String),
    /// A token.
    Token(String),
    /// User name and password.
    User {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
}

/// Shows no secret.
impl fmt::Debug for NatsCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::File(_) => "File(…)",
            Self::Token(_) => "Token(…)",
            Self::User { .. } => "User(…)",
        })
    }
}

/// TLS to the servers. All files are PEM.
#[derive(Clone, Debug, Default)]
pub struct NatsTls {
    /// Whether the connection must be encrypted, even if the address does not say `tls://`.
    pub required: bool,
    /// Further certificates that the servers' may lead to.
    pub trust: Option<PathBuf>,
    /// The sink's own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How events are published.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// `nats://host:port` or `tls://host:port`.
    pub servers: Vec<ServerAddr>,
    /// The subject, which a stream must take.
    pub subject: Template,
    /// Default: binary.
    pub mode: NatsMode,
    /// Who the sink is.
    pub credentials: NatsCredentials,
    /// TLS.
    pub tls: NatsTls,
    /// Publishes of one application that may wait for their acknowledgements at once. Default 1,000.
    pub window: usize,
    /// How long an acknowledgement may take before the event is sent again. Default 5 s.
    pub timeout: Duration,
    /// Bound of the queue. Default [`DEFAULT_QUEUE_BYTES`].
    pub queue_bytes: usize,
    /// Where events go while the other system does not take them. Default: nowhere, they wait.
    pub spill: Option<SpillOptions>,
}

/// Why the sink cannot be started; the operator can mend each.
#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    /// An address is none. It is not quoted: it may hold a password.
    #[error("server {0} is not an address like nats://host:4222")]
    Server(usize),
    /// The subject's own text has what no subject may hold.
    #[error("a subject has no spaces, `*`, `>` or empty tokens")]
    Subject,
    /// The credentials cannot be read.
    #[error("the credentials file is none: {0}")]
    Credentials(std::io::Error),
    /// Its thread or its spill.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

impl NatsOptions {
    /// The defaults.
    ///
    /// # Errors
    ///
    /// [`NatsError::Server`] and [`NatsError::Subject`].
    pub fn new(servers: &[String], subject: Template) -> Result<Self, NatsError> {
        let parse = |(index, server): (usize, &String)| {
            server.parse().map_err(|_| NatsError::Server(index + 1))
        };
        check_subject(&subject)?;
        Ok(Self {
            servers: servers
                .iter()
                .enumerate()
                .map(parse)
                .collect::<Result<_, _>>()?,
            subject,
            mode: NatsMode::default(),
            credentials: NatsCredentials::default(),
            tls: NatsTls::default(),
            window: 1_000,
            timeout: Duration::from_secs(5),
            queue_bytes: DEFAULT_QUEUE_BYTES,
            spill: None,
        })
    }

    pub(super) fn connect(&self, name: &str) -> Result<ConnectOptions, NatsError> {
        let options = ConnectOptions::new()
            .name(format!("landfall {name}"))
            .client_capacity(self.window.clamp(64, 65_536))
            .require_tls(self.tls.required);
        let options = match &self.credentials {
            NatsCredentials::None => options,
            NatsCredentials::File(text) => {
                options.credentials(text).map_err(NatsError::Credentials)?
            }
            NatsCredentials::Token(token) => options.token(token.clone()),
            NatsCredentials::User { user, password } => {
                options.user_and_password(user.clone(), password.clone())
            }
        };
        let options = match &self.tls.trust {
            Some(path) => options.add_root_certificates(path.clone()),
            None => options,
        };
        Ok(match &self.tls.identity {
            Some((certificate, key)) => {
                options.add_client_certificate(certificate.clone(), key.clone())
            }
            None => options,
        })
    }
}

fn check_subject(subject: &Template) -> Result<(), NatsError> {
    // Fields are never empty when they are written: any letter stands for them.
    let example: String = subject.example("x");
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>');
    let well_formed = example
        .split('.')
        .all(|token| !token.is_empty() && token.bytes().all(allowed));
    if well_formed && !example.starts_with('$') {
        Ok(())
    } else {
        Err(NatsError::Subject)
    }
}
