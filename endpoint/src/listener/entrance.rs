//! The way in of one listener: everything between the socket and the first byte of MQTT.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use landfall_preamble::hello::{self, HelloError};

use super::proxy::{self, HeaderError};
use super::rate::{RateLimit, Verdict};
use super::rewind::Rewind;
use super::tls::{self, Inside, LoadError, Secured, Tls, TlsError};
use super::websocket::{self, UpgradeError, Upgrader};
use super::{Carrier, Peer, Socket};
use crate::config::{LimitsConfig, ListenerConfig, Transport, Trusted};
use crate::connection::{self, BoxStream, Connected, Door, Origin};
use crate::server::{Places, Shared};
use crate::telemetry::{HandshakeFailed, Stage};

/// What a listener does with its connections before they speak MQTT.
pub struct Entrance {
    door: Arc<Door>,
    trusted: Vec<Trusted>,
    rate: Option<RateLimit>,
    tls: Option<Arc<Tls>>,
    upgrader: Option<Upgrader>,
    patience: Duration,
}

/// Why a connection did not get as far as MQTT.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Proxy(#[from] HeaderError),
    #[error("too many connections from this address")]
    Rate,
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    WebSocket(#[from] UpgradeError),
    #[error("TLS where none is spoken: this listener has no [listeners.tls]")]
    UnexpectedTls,
    #[error("plain MQTT where WebSocket is spoken")]
    PlainMqtt,
    #[error("connection lost before the HTTP request: {0}")]
    Lost(#[from] std::io::Error),
}

impl Failure {
    const fn stage(&self) -> Stage {
        match self {
            Self::Proxy(_) => Stage::Proxy,
            Self::Rate => Stage::Rate,
            Self::Tls(_) => Stage::Tls,
            Self::WebSocket(_) | Self::UnexpectedTls | Self::PlainMqtt | Self::Lost(_) => {
                Stage::WebSocket
            }
        }
    }

    /// Somebody looked whether the port is open; not worth a line.
    const fn is_probe(&self) -> bool {
        matches!(
            self,
            Self::Proxy(HeaderError::Probe)
                | Self::Tls(TlsError::Probe)
                | Self::WebSocket(UpgradeError::Probe)
        )
    }
}

/// A client on its way in; `None` if it did not get there.
pub(super) type Opening = Pin<Box<dyn Future<Output = Option<Box<dyn Connected>>> + Send>>;

impl Entrance {
    /// The entrance of a listener.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if certificates or keys cannot be loaded.
    pub fn new(config: &ListenerConfig, limits: &LimitsConfig) -> Result<Self, LoadError> {
        let websocket = match &config.transport {
            Transport::Mqtt => None,
            Transport::WebSocket(websocket) => Some(websocket),
        };
        let inside = match websocket {
            Some(_) => Inside::WebSocket,
            None => Inside::Mqtt,
        };
        let tls = config
            .tls
            .as_ref()
            .map(|tls| Tls::load(tls, inside))
            .transpose()?;
        let anonymous = config.anonymous_device.as_ref();
        let door = Door {
            transport: carrier(config),
            limits: limits.session(),
            rates: limits.rates(),
            subscriptions: limits.subscriptions.get(),
            anonymous: anonymous.map(|who| (who.device.clone(), who.application.clone())),
            admitted: config.connections.map(|limit| Places::new(limit.get())),
        };
        Ok(Self {
            door: Arc::new(door),
            trusted: config.proxy_protocol.clone(),
            rate: config.connection_rate.map(RateLimit::new),
            tls: tls.map(Arc::new),
            upgrader: websocket.map(|websocket| Upgrader {
                config: websocket.clone(),
                largest: limits.maximum_packet_size.get().into(),
                patience: limits.handshake_timeout,
            }),
            patience: limits.handshake_timeout,
        })
    }

    /// Its certificates, to be loaded again when they change.
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// Brings a client in. All that is needed on the way is behind the one box, and given back with
    /// it.
    pub(super) fn open(
        self: &Arc<Self>,
        socket: Socket,
        peer: Peer,
        shared: Arc<Shared>,
    ) -> Opening {
        let door = Arc::clone(&self.door);
        let stream: BoxStream = match socket {
            Socket::Tcp(stream) if self.is_bare() => {
                return Box::pin(connection::open(stream, Origin::of(peer), door, shared));
            }
            Socket::Tcp(stream) => Box::new(stream),
            Socket::Unix(stream) => Box::new(stream),
        };
        let entrance = Arc::clone(self);
        Box::pin(async move {
            // What the handshakes need is given back when they are over.
            let opened = Box::pin(entrance.shake_hands_in_time(stream, peer, &shared)).await;
            let (stream, origin) = opened?;
            connection::open(stream, origin, door, shared).await
        })
    }

    /// Whether MQTT begins at once.
    fn is_bare(&self) -> bool {
        self.tls.is_none()
            && self.upgrader.is_none()
            && self.trusted.is_empty()
            && self.rate.is_none()
    }

    async fn shake_hands_in_time(
        &self,
        stream: BoxStream,
        mut peer: Peer,
        shared: &Arc<Shared>,
    ) -> Option<(BoxStream, Origin)> {
        let transport = self.door.transport;
        let opening = self.shake_hands(stream, &mut peer, shared);
        let (stage, cause) = match tokio::time::timeout(self.patience, opening).await {
            Ok(Ok(opened)) => return Some(opened),
            Ok(Err(failure)) if failure.is_probe() => return None,
            Ok(Err(failure)) => (failure.stage(), failure.to_string()),
            Err(_) => (
                Stage::Timeout,
                "not done within limits.handshake_timeout".to_owned(),
            ),
        };
        let failed = HandshakeFailed {
            peer,
            transport,
            stage,
            cause,
        };
        failed.emit(&shared.telemetry);
        None
    }

    async fn shake_hands(
        &self,
        mut stream: BoxStream,
        peer: &mut Peer,
        shared: &Arc<Shared>,
    ) -> Result<(BoxStream, Origin), Failure> {
        if proxy::is_expected(&self.trusted, peer)
            && let Some(client) = proxy::read(&mut stream).await?
        {
            *peer = client;
        }
        let mut origin = Origin::of(*peer);
        origin.over_rate = self.is_over_rate(peer, shared)?;
        if let Some(tls) = &self.tls {
            let secured = tls::accept(tls, Rewind::new(stream), &shared.registry).await?;
            Secured {
                stream,
                proven: origin.proven,
            } = secured;
        }
        if let Some(upgrader) = &self.upgrader {
            let mut http = Rewind::new(stream);
            if self.tls.is_none() {
                expect_http(&mut http).await?;
            }
            stream = websocket::upgrade(http, upgrader, *peer, shared).await?;
        }
        Ok((stream, origin))
    }

    /// Whether the client is to be told, after CONNECT, that it connects too often. A handshake is
    /// not worth it, and of those who go on nobody is told.
    fn is_over_rate(&self, peer: &Peer, shared: &Shared) -> Result<bool, Failure> {
        let (Some(rate), Some(address)) = (&self.rate, peer.ip()) else {
            return Ok(false);
        };
        match rate.take(address, shared.clock.now()) {
            Verdict::Serve => Ok(false),
            Verdict::Tell if self.tls.is_none() => Ok(true),
            Verdict::Tell | Verdict::Close => Err(Failure::Rate),
        }
    }
}

/// Looks at the first bytes of what should be HTTP, and puts them back.
async fn expect_http(stream: &mut Rewind<BoxStream>) -> Result<(), Failure> {
    let mut first = Vec::new();
    if !stream.read_more(&mut first).await? {
        return Err(UpgradeError::Probe.into());
    }
    match hello::read(&first) {
        Err(HelloError::Mqtt) => Err(Failure::PlainMqtt),
        Ok(_) => Err(Failure::UnexpectedTls),
        Err(_) => {
            stream.put_back(first);
            Ok(())
        }
    }
}

/// For log, metrics and the list of connections.
fn carrier(config: &ListenerConfig) -> Carrier {
    match (&config.transport, &config.tls, config.bind.tcp()) {
        (Transport::WebSocket(_), Some(_), _) => Carrier::SecureWebSocket,
        (Transport::WebSocket(_), None, _) => Carrier::WebSocket,
        (Transport::Mqtt, Some(_), _) => Carrier::Tls,
        (Transport::Mqtt, None, Some(_)) => Carrier::Tcp,
        (Transport::Mqtt, None, None) => Carrier::Unix,
    }
}
