//! A connection of the raw client.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::encode::{Connect, Publish, Subscribe, acknowledgement};
use super::packet::{Delivery, Packet, Received};
use super::{Version, kind};
use crate::harness::Server;
use crate::harness::documents::{password, user};
use crate::harness::wait::DEADLINE;

/// A byte stream to a server.
pub(crate) trait Duplex: Read + Write + Send {}
impl Duplex for TcpStream {}

/// A TCP connection with generous time-outs.
pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a listening server");
    stream.set_nodelay(true).expect("an open socket");
    stream
        .set_read_timeout(Some(DEADLINE))
        .expect("an open socket");
    stream
        .set_write_timeout(Some(DEADLINE))
        .expect("an open socket");
    stream
}

/// A connection that speaks MQTT packets.
pub(crate) struct Client {
    stream: Box<dyn Duplex>,
    /// What lies under the stream.
    socket: TcpStream,
    version: Version,
    buffer: Vec<u8>,
}

impl Client {
    /// Opens a connection and says nothing yet.
    pub(crate) fn open(address: SocketAddr, version: Version) -> Self {
        let stream = tcp(address);
        let socket = stream.try_clone().expect("an open socket");
        Self::over(Box::new(stream), socket, version)
    }

    /// A client of a stream that lies over a socket.
    pub(crate) fn over(stream: Box<dyn Duplex>, socket: TcpStream, version: Version) -> Self {
        Self {
            stream,
            socket,
            version,
            buffer: Vec::new(),
        }
    }

    /// Sends CONNECT and returns CONNACK.
    pub(crate) fn log_in(&mut self, connect: &Connect) -> Packet {
        self.send(&connect.encode());
        self.expect(kind::CONNACK)
    }

    /// Opens a connection, sends CONNECT and returns the connection with CONNACK.
    pub(crate) fn connect(server: &Server, connect: &Connect) -> (Self, Packet) {
        let mut client = Self::open(server.mqtt(), connect.version);
        client.send(&connect.encode());
        let connack = client.expect(kind::CONNACK);
        (client, connack)
    }

    /// A shared device, connected.
    pub(crate) fn device(server: &Server, version: Version, device: &str) -> Self {
        let client_id = format!("{device}-client");
        let connect = Connect::new(version, &client_id, &user(device), password(device));
        Self::accepted(server, &connect)
    }

    /// A shared device, connected with a client id that is told apart by `tag`.
    pub(crate) fn device_as(
        server: &Server,
        version: Version,
        device: &str,
        tag: impl std::fmt::Debug,
    ) -> Self {
        let client_id = format!("{device}-{tag:?}");
        let connect = Connect::new(version, &client_id, &user(device), password(device));
        Self::accepted(server, &connect)
    }

    /// Connects to a server that may be away, or send it away.
    pub(crate) fn try_accepted(address: SocketAddr, connect: &Connect) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        stream.set_nodelay(true).ok()?;
        let socket = stream.try_clone().ok()?;
        let mut client = Self::over(Box::new(stream), socket, connect.version);
        client.send(&connect.encode());
        match client.receive() {
            Received::Packet(packet) if packet.kind() == kind::CONNACK => {
                (packet.reason() == 0).then_some(client)
            }
            _ => None,
        }
    }

    /// Connects, and is accepted.
    #[track_caller]
    pub(crate) fn accepted(server: &Server, connect: &Connect) -> Self {
        let (client, connack) = Self::connect(server, connect);
        assert_eq!(connack.reason(), 0, "the CONNECT was refused: {connack:?}");
        client
    }

    /// Another handle to the same socket, for a reader or a writer of its own.
    pub(crate) fn stream(&self) -> TcpStream {
        self.socket.try_clone().expect("an open socket")
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The client's end of the connection.
    pub(crate) fn local(&self) -> SocketAddr {
        self.socket.local_addr().expect("an open socket")
    }

    /// Sends bytes. A connection that the server has closed meanwhile shows at the next receive.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.try_send(bytes);
    }

    /// Sends bytes, as far as the socket takes them.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// What comes next.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> Received {
        self.receive_or_silence()
            .unwrap_or_else(|| panic!("nothing came in {DEADLINE:?}"))
    }

    /// What comes next; `None` if nothing comes for as long as a read may take.
    pub(crate) fn receive_or_silence(&mut self) -> Option<Received> {
        loop {
            if let Some(packet) = Packet::take(&mut self.buffer) {
                return Some(Received::Packet(packet));
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Some(Received::Closed),
                Ok(read) => self.buffer.extend(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(error.kind()) => return None,
                Err(_) => return Some(Received::Closed),
            }
        }
    }

    /// What has come by now, at least one: all packets of one read.
    #[track_caller]
    pub(crate) fn receive_all(&mut self) -> Vec<Received> {
        let mut all = vec![self.receive()];
        while let Some(packet) = Packet::take(&mut self.buffer) {
            all.push(Received::Packet(packet));
        }
        all
    }

    /// The next packet, which is of this kind.
    #[track_caller]
    pub(crate) fn expect(&mut self, kind: u8) -> Packet {
        match self.receive() {
            Received::Packet(packet) if packet.kind() == kind => packet,
            other => panic!("expected a packet of type {kind}, got {other:?}"),
        }
    }

    /// The end of the connection, without another packet before it.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        assert_eq!(self.receive(), Received::Closed);
    }

    /// DISCONNECT with this reason and then the end (MQTT 5), or the end alone (3.x).
    #[track_caller]
    pub(crate) fn expect_end(&mut self, reason: u8) {
        if self.version.is_5() {
            assert_eq!(
                self.expect(kind::DISCONNECT).reason(),
                reason,
                "DISCONNECT's reason"
            );
        }
        self.expect_closed();
    }

    pub(crate) fn publish(&mut self, publish: &Publish) {
        self.send(&publish.encode(self.version));
    }

    /// Publishes at QoS 1 and returns the acknowledgement.
    #[track_caller]
    pub(crate) fn publish_1(&mut self, topic: &str, payload: &[u8]) -> Packet {
        self.publish(&Publish::new(topic, payload).qos(1, 1));
        self.expect(kind::PUBACK)
    }

    /// Subscribes to one filter and returns the code it got.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) -> u8 {
        let subscribe = Subscribe {
            id: 10,
            filters: &[(filter, qos)],
            properties: &[],
        };
        self.send(&subscribe.encode(self.version));
        let suback = self.expect(kind::SUBACK);
        assert_eq!(suback.id(), 10);
        suback.granted(self.version)[0]
    }

    /// The next packet, which is a command; acknowledged at QoS 1.
    #[track_caller]
    pub(crate) fn take_command(&mut self) -> Delivery {
        let delivery = self.expect(kind::PUBLISH).delivery(self.version);
        if let Some(id) = delivery.id {
            self.send(&acknowledgement(0x40, id));
        }
        delivery
    }

    /// A ping and its answer: all that was sent before has been read by then.
    #[track_caller]
    pub(crate) fn ping(&mut self) {
        self.send(&[0xC0, 0]);
        self.expect(kind::PINGRESP);
    }

    /// Says goodbye and waits for the server to close.
    pub(crate) fn disconnect(mut self) {
        self.send(&[0xE0, 0]);
        self.expect_closed();
    }

    /// Closes the sending half only.
    pub(crate) fn finish_writing(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Drops the socket without a word.
    pub(crate) fn cut(self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
