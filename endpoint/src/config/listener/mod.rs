//! `[[listeners]]`: where devices connect.

mod anonymous;
mod bind;
mod network;
mod tls;

use std::{
    fmt,
    num::{NonZeroU32, NonZeroUsize},
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error};
use toml::Spanned;

use super::{error::Flaw, value};

pub use anonymous::AnonymousDevice;
pub use bind::Bind;
pub(super) use bind::spanned_address;
pub use network::{Network, Trusted};
pub use tls::{CertificateFiles, TlsConfig, TlsVersion};

/// One address that devices connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// IP address and port, or `unix:` and a path. Port 0 takes a free one. No default. Danger:
    /// without `tls` and elsewhere than on this machine, passwords and data cross the network in
    /// clear text.
    pub bind: Bind,
    /// What is spoken there. Default `mqtt`.
    pub transport: Transport,
    /// `[listeners.tls]`: TLS. Default: none.
    pub tls: Option<TlsConfig>,
    /// Peers that must begin with a PROXY protocol header (version 1 or 2), which names the
    /// device's address: networks as `10.0.0.0/8`, or `unix` for the peers of a Unix socket.
    /// Default: none. Danger: whoever is in there can claim any address.
    pub proxy_protocol: Vec<Trusted>,
    /// Devices at once through this listener; one more is told that the quota is exceeded.
    /// Default: only `limits.connections` counts.
    pub connections: Option<NonZeroUsize>,
    /// New connections a second from one IPv4 address or one IPv6 /64 network, on average; as many
    /// again may come at once. One more is told so, or closed before its handshake. Default: no
    /// limit, as a whole fleet may stand behind one address.
    pub connection_rate: Option<NonZeroU32>,
    /// Sockets that accept side by side (`SO_REUSEPORT`). Default 1, at most 64. More than 1 is for
    /// thousands of new connections a second.
    pub accept_loops: NonZeroUsize,
    /// How long a TCP connection may be silent before the system asks the peer whether it is there.
    /// Default 10m; 0s turns it off; else from 1s to 1d.
    pub tcp_keepalive: Option<Duration>,
    /// `anonymous_device = "device@application"`: log-ins without any credentials become this
    /// device. Default: they are refused. Allowed on loopback and Unix socket binds only, because
    /// whoever reaches the listener is that device.
    pub anonymous_device: Option<AnonymousDevice>,
}

/// What a listener speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// MQTT directly over the byte stream.
    #[default]
    Mqtt,
    /// MQTT in WebSocket's binary messages (MQTT 5, 6).
    WebSocket(WebSocketConfig),
}

/// What holds for WebSocket only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketConfig {
    /// Path of the URL; others are answered 404. Default `/mqtt`.
    pub path: String,
    /// Web pages whose scripts may connect, as `https://example.com`. Default: all. Clients that
    /// are no browsers send no origin, and may connect.
    pub origins: Vec<String>,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mqtt => "mqtt",
            Self::WebSocket(_) => "websocket",
        })
    }
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            path: DEFAULT_PATH.to_owned(),
            origins: Vec::new(),
        }
    }
}

impl ListenerConfig {
    /// A listener that is told nothing but its address.
    pub fn at(bind: Bind) -> Self {
        Self {
            bind,
            transport: Transport::Mqtt,
            tls: None,
            proxy_protocol: Vec::new(),
            connections: None,
            connection_rate: None,
            accept_loops: NonZeroUsize::MIN,
            tcp_keepalive: Some(DEFAULT_KEEPALIVE),
            anonymous_device: None,
        }
    }
}

const DEFAULT_PATH: &str = "/mqtt";
const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(600);
const MOST_LOOPS: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListener {
    #[serde(deserialize_with = "bind::spanned_bind")]
    pub(super) bind: Spanned<Bind>,
    #[serde(default)]
    transport: RawTransport,
    path: Option<Spanned<String>>,
    origins: Option<Spanned<Vec<String>>>,
    tls: Option<Spanned<tls::RawTls>>,
    #[serde(default)]
    proxy_protocol: Vec<Trusted>,
    connections: Option<NonZeroUsize>,
    connection_rate: Option<NonZeroU32>,
    accept_loops: Option<Spanned<NonZeroUsize>>,
    #[serde(default = "default_keepalive", deserialize_with = "keepalive")]
    tcp_keepalive: Option<Duration>,
    anonymous_device: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Default)]
enum RawTransport {
    #[default]
    Mqtt,
    WebSocket,
}

impl RawListener {
    pub(super) fn resolve(self, folder: &Path) -> Result<ListenerConfig, Flaw> {
        let bind = self.bind.into_inner().under(folder);
        let transport = match self.transport {
            RawTransport::Mqtt => only_mqtt(self.path.as_ref(), self.origins.as_ref())?,
            RawTransport::WebSocket => Transport::WebSocket(websocket(self.path, self.origins)?),
        };
        let anonymous_device = match self.anonymous_device {
            Some(text) if !bind.is_local() => {
                return Err(Flaw::at(
                    &text,
                    format_args!(
                        "anonymous_device is for loopback binds and Unix sockets only: whoever \
                         reaches {bind} would be that device"
                    ),
                ));
            }
            Some(text) => Some(AnonymousDevice::parse(&text)?),
            None => None,
        };
        let accept_loops = match self.accept_loops {
            Some(loops) if loops.get_ref().get() > MOST_LOOPS || bind.tcp().is_none() => {
                return Err(Flaw::at(
                    &loops,
                    format_args!("accept_loops is 1 to {MOST_LOOPS}, on an IP address and port"),
                ));
            }
            Some(loops) => loops.into_inner(),
            None => NonZeroUsize::MIN,
        };
        Ok(ListenerConfig {
            transport,
            tls: self.tls.map(|tls| tls::resolve(tls, folder)).transpose()?,
            proxy_protocol: self.proxy_protocol,
            connections: self.connections,
            connection_rate: self.connection_rate,
            accept_loops,
            tcp_keepalive: self.tcp_keepalive,
            anonymous_device,
            bind,
        })
    }
}

/// The keys of WebSocket mean nothing elsewhere, and whoever wrote them meant something.
fn only_mqtt(
    path: Option<&Spanned<String>>,
    origins: Option<&Spanned<Vec<String>>>,
) -> Result<Transport, Flaw> {
    let message = "is for transport = \"websocket\"";
    match (path, origins) {
        (Some(path), _) => Err(Flaw::at(path, format_args!("path {message}"))),
        (_, Some(origins)) => Err(Flaw::at(origins, format_args!("origins {message}"))),
        (None, None) => Ok(Transport::Mqtt),
    }
}

fn websocket(
    path: Option<Spanned<String>>,
    origins: Option<Spanned<Vec<String>>>,
) -> Result<WebSocketConfig, Flaw> {
    let path = match path {
        Some(path) if !is_path(path.get_ref()) => {
            return Err(Flaw::at(
                &path,
                "path is an URL's path without query, as \"/mqtt\"",
            ));
        }
        Some(path) => path.into_inner(),
        None => DEFAULT_PATH.to_owned(),
    };
    let origins = match origins {
        Some(origins) if origins.get_ref().iter().any(|origin| !is_origin(origin)) => {
            return Err(Flaw::at(
                &origins,
                "an origin is scheme and host as browsers send them: \"https://example.com\", \
                 without a path",
            ));
        }
        Some(origins) => origins.into_inner(),
        None => Vec::new(),
    };
    Ok(WebSocketConfig { path, origins })
}

fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !"?#".contains(c))
}

/// RFC 6454, 6.2: scheme, host and port, in lower case; or `null`.
fn is_origin(text: &str) -> bool {
    let lower = |c: char| c.is_ascii_graphic() && !c.is_ascii_uppercase();
    let host = text.split_once("://").map(|(_, host)| host);
    let host_alone = host.is_some_and(|host| !host.is_empty() && !host.contains('/'));
    text == "null" || host_alone && text.chars().all(lower)
}

const fn default_keepalive() -> Option<Duration> {
    Some(DEFAULT_KEEPALIVE)
}

/// The system counts whole seconds.
fn keepalive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let duration =
        value::duration_within(deserializer, Duration::ZERO, Duration::from_secs(86_400))?;
    match duration {
        Duration::ZERO => Ok(None),
        duration if duration.subsec_nanos() == 0 => Ok(Some(duration)),
        _ => Err(D::Error::custom(
            "tcp_keepalive is a whole number of seconds",
        )),
    }
}

impl<'de> Deserialize<'de> for RawTransport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name.as_str() {
            "mqtt" => Ok(Self::Mqtt),
            "websocket" => Ok(Self::WebSocket),
            _ => Err(D::Error::custom(format_args!(
                "unknown transport `{name}`; there are `mqtt` and `websocket`"
            ))),
        }
    }
}
