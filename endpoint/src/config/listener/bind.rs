//! `bind`: an IP address and port, or a Unix socket.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de::Error};
use toml::Spanned;

use crate::config::value;

/// Written before the path of a Unix socket.
const UNIX: &str = "unix:";

/// Where a listener is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// IP address and port.
    Tcp(SocketAddr),
    /// A Unix socket, for clients on the same machine; its file is replaced if nobody serves it.
    Unix(PathBuf),
}

impl Bind {
    /// The IP address and port.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Relative paths start at the folder of the config file.
    pub(super) fn under(self, folder: &Path) -> Self {
        match self {
            Self::Unix(path) => Self::Unix(folder.join(path)),
            tcp => tcp,
        }
    }
}

impl From<SocketAddr> for Bind {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

pub(super) fn spanned_bind<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Spanned<Bind>, D::Error> {
    struct Either(Bind);

    impl<'de> Deserialize<'de> for Either {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = String::deserialize(deserializer)?;
            match text.strip_prefix(UNIX) {
                Some("") => Err(D::Error::custom("`unix:` is followed by a path")),
                Some(path) => Ok(Self(Bind::Unix(path.into()))),
                None => value::parse_address(&text)
                    .map(|address| Self(Bind::Tcp(address)))
                    .map_err(D::Error::custom),
            }
        }
    }

    let bind = Spanned::<Either>::deserialize(deserializer)?;
    let span = bind.span();
    Ok(Spanned::new(span, bind.into_inner().0))
}

pub(in crate::config) fn spanned_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Spanned<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    struct Address(#[serde(deserialize_with = "value::address")] SocketAddr);
    let address = Spanned::<Address>::deserialize(deserializer)?;
    let span = address.span();
    Ok(Spanned::new(span, address.into_inner().0))
}
