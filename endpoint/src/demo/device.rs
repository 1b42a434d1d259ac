//! A device: connects over TCP as any MQTT client does, publishes one message at QoS 1, waits for
//! its acknowledgement, and says goodbye.

use std::{io, net::SocketAddr, num::NonZeroU16, time::Duration};

use landfall_protocol::{
    Packet, QoS, ReasonCode, Version, codec,
    packet::{Connect, ConnectProperties, Disconnect, Publish},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const VERSION: Version = Version::V5;
const TIMEOUT: Duration = Duration::from_secs(10);
/// The server answers with nothing larger.
const MOST_PACKET: u32 = 64 * 1024;

/// Publishes one JSON message.
///
/// # Errors
///
/// The socket's, or [`io::ErrorKind::InvalidData`] if the server says no.
pub(super) async fn publish(
    server: SocketAddr,
    user_name: &str,
    password: &str,
    topic: &str,
    payload: &str,
) -> io::Result<()> {
    let exchange = async {
        let mut device = Device::connect(server, user_name, password).await?;
        device.publish(topic, payload).await?;
        device.disconnect().await
    };
    tokio::time::timeout(TIMEOUT, exchange).await?
}

struct Device {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Device {
    async fn connect(server: SocketAddr, user_name: &str, password: &str) -> io::Result<Self> {
        let mut device = Self {
            stream: TcpStream::connect(server).await?,
            received: Vec::new(),
        };
        let connect = Connect {
            version: VERSION,
            clean: true,
            keep_alive: 30,
            properties: ConnectProperties::default(),
            client_id: "landfall-demo",
            will: None,
            user_name: Some(user_name),
            password: Some(password.as_bytes()),
        };
        device.send(&Packet::Connect(connect)).await?;
        let accepted = |packet: Packet<'_>| match packet {
            Packet::ConnAck(connack) => Some(connack.reason),
            _ => None,
        };
        device.expect("CONNACK", accepted).await?;
        Ok(device)
    }

    async fn publish(&mut self, topic: &str, payload: &str) -> io::Result<()> {
        let publish = Publish {
            qos: QoS::AtLeastOnce,
            topic,
            packet_id: Some(NonZeroU16::MIN),
            payload: payload.as_bytes(),
            ..Publish::default()
        };
        self.send(&Packet::Publish(publish)).await?;
        let acknowledged = |packet: Packet<'_>| match packet {
            Packet::PubAck(ack) if ack.packet_id == NonZeroU16::MIN => Some(ack.reason),
            _ => None,
        };
        self.expect("PUBACK", acknowledged).await
    }

    async fn disconnect(mut self) -> io::Result<()> {
        self.send(&Packet::Disconnect(Disconnect::default()))
            .await?;
        self.stream.shutdown().await
    }

    async fn send(&mut self, packet: &Packet<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        codec::encode(packet, VERSION, &mut bytes).map_err(io::Error::other)?;
        self.stream.write_all(&bytes).await
    }

    /// Reads the next packet, whose reason `read` finds if it is the one waited for.
    async fn expect(
        &mut self,
        what: &str,
        read: impl Fn(Packet<'_>) -> Option<ReasonCode>,
    ) -> io::Result<()> {
        loop {
            let split = codec::split(&self.received, MOST_PACKET).map_err(invalid)?;
            let Some(raw) = split else {
                if self.stream.read_buf(&mut self.received).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            };
            let packet = codec::decode_from_server(&raw, VERSION).map_err(invalid)?;
            let size = raw.size;
            match read(packet) {
                Some(reason) if reason.is_failure() => return Err(invalid(reason)),
                Some(_) => {}
                None => return Err(invalid(format_args!("something else than {what}"))),
            }
            self.received.drain(..size);
            return Ok(());
        }
    }
}

fn invalid(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the server answers: {what}"),
    )
}
