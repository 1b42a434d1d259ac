//! The raw client behind TLS and in WebSocket.

use std::io::{self, Cursor, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

use super::Version;
use super::client::{Client, Duplex, tcp};
use crate::tools::authority::Issued;

/// A TLS client's settings: whom it trusts, and as whom it comes. Tickets are kept.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Trusts an authority (PEM).
    pub(crate) fn trusting(authority: &str) -> Self {
        Self(Arc::new(
            builder(authority, ALL_VERSIONS).with_no_client_auth(),
        ))
    }

    /// The same, and speaks TLS 1.2 alone.
    pub(crate) fn trusting_in_1_2(authority: &str) -> Self {
        let builder = builder(authority, &[&rustls::version::TLS12]);
        Self(Arc::new(builder.with_no_client_auth()))
    }

    /// Trusts an authority, and shows a certificate if it is asked.
    pub(crate) fn showing(authority: &str, issued: &Issued) -> Self {
        Self::showing_with_key(authority, &issued.chain, &issued.key, ALL_VERSIONS)
    }

    /// As [`Tls::showing`] with any key, be it the certificate's or not.
    pub(crate) fn showing_with_key(
        authority: &str,
        chain: &str,
        key: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let key = any_supported_type(&key).unwrap();
        let certified = SingleCertAndKey::from(CertifiedKey::new(certificates(chain), key));
        let builder = builder(authority, versions);
        Self(Arc::new(
            builder.with_client_cert_resolver(Arc::new(certified)),
        ))
    }

    /// The settings, for a client of another kind.
    pub(crate) fn config(&self) -> &Arc<ClientConfig> {
        &self.0
    }

    /// The same, asking for these protocols (ALPN).
    pub(crate) fn asking_for(&self, protocols: &[&str]) -> Self {
        let mut config = (*self.0).clone();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Self(Arc::new(config))
    }

    /// Connects to `host` at an address, handshake included.
    pub(crate) fn connect(&self, address: SocketAddr, host: &str) -> io::Result<Secure> {
        self.over(tcp(address), host)
    }

    /// As [`Tls::connect`], over a socket that is open.
    pub(crate) fn over(&self, socket: TcpStream, host: &str) -> io::Result<Secure> {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Secure(stream))
    }

    /// An MQTT client.
    pub(crate) fn open(&self, address: SocketAddr, version: Version) -> Client {
        let secure = self.connect(address, "localhost").expect("a TLS handshake");
        secure.client(version)
    }
}

fn builder(
    authority: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    for root in certificates(authority) {
        roots.add(root).unwrap();
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
}

/// An established TLS connection.
pub(crate) struct Secure(StreamOwned<ClientConnection, TcpStream>);

impl Secure {
    pub(crate) fn client(self, version: Version) -> Client {
        let socket = self.0.sock.try_clone().unwrap();
        Client::over(Box::new(self), socket, version)
    }

    /// The server's certificate in DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }

    pub(crate) fn protocol(&self) -> Option<String> {
        let name = self.0.conn.alpn_protocol()?;
        Some(String::from_utf8(name.to_vec()).unwrap())
    }

    /// Whether a ticket was taken.
    pub(crate) fn resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }
}

impl Read for Secure {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Secure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Duplex for Secure {}

/// A WebSocket of binary messages; the status of the answer that refuses it.
pub(crate) fn websocket(
    stream: Box<dyn Duplex>,
    path: &str,
    protocol: &str,
    headers: &[(&str, &str)],
) -> Result<WebSocket<Box<dyn Duplex>>, u16> {
    let mut request = Request::builder()
        .uri(format!("ws://localhost{path}"))
        .header("Host", "localhost")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    if !protocol.is_empty() {
        request = request.header("Sec-WebSocket-Protocol", protocol);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match client(request.body(()).unwrap(), stream) {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::HandshakeError::Failure(Error::Http(answer))) => {
            Err(answer.status().as_u16())
        }
        Err(error) => panic!("{error}"),
    }
}

/// MQTT in a plain WebSocket.
pub(crate) fn websocket_client(address: SocketAddr, version: Version) -> Client {
    let stream = tcp(address);
    let socket = stream.try_clone().unwrap();
    let inner = websocket(Box::new(stream), "/mqtt", "mqtt", &[]).expect("an upgrade");
    let bytes = Messages {
        inner,
        rest: Cursor::default(),
    };
    Client::over(Box::new(bytes), socket, version)
}

/// Binary messages as a byte stream.
struct Messages {
    inner: WebSocket<Box<dyn Duplex>>,
    rest: Cursor<Vec<u8>>,
}

impl Read for Messages {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.rest.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            match self.inner.read() {
                Ok(Message::Binary(bytes)) => self.rest = Cursor::new(bytes.to_vec()),
                Ok(Message::Text(_)) => panic!("the server sent text"),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    return Ok(0);
                }
                Ok(_) => {}
                Err(Error::Io(error)) => return Err(error),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let message = Message::Binary(bytes.to_vec().into());
        self.inner.send(message).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush().map_err(io::Error::other)
    }
}

impl Duplex for Messages {}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes());
    all.collect::<Result<_, _>>().unwrap()
}
