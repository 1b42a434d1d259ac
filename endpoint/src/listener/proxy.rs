//! The PROXY protocol's header in front of a connection from a trusted balancer.

use std::io;

use landfall_preamble::proxy::{self, ProxyError, Source};
use tokio::io::AsyncReadExt as _;

use super::Peer;
use crate::config::Trusted;
use crate::connection::Stream;

/// As long as the shortest header of either version may be.
const FIRST: usize = 15;

/// Why a header could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// Nothing came: a balancer's look whether the port is open.
    #[error("closed before the first byte")]
    Probe,
    /// The connection broke.
    #[error("connection lost in the PROXY header: {0}")]
    Lost(#[from] io::Error),
    /// What came is no header.
    #[error("{0}")]
    Wrong(#[from] ProxyError),
}

/// Whether a peer must begin with a header.
pub(super) fn is_expected(trusted: &[Trusted], peer: &Peer) -> bool {
    trusted.iter().any(|trusted| match (trusted, peer.ip()) {
        (Trusted::Network(network), Some(address)) => network.contains(address),
        (Trusted::Unix, None) => true,
        _ => false,
    })
}

/// Reads the header, and not a byte more; the device's address, if the balancer knows it.
pub(super) async fn read<S: Stream>(stream: &mut S) -> Result<Option<Peer>, HeaderError> {
    let mut bytes = Vec::with_capacity(proxy::MAX_V1);
    let mut wanted = FIRST;
    loop {
        let start = bytes.len();
        bytes.resize(start + wanted, 0);
        let rest = bytes.get_mut(start..).unwrap_or_default();
        let count = stream.read(rest).await?;
        bytes.truncate(start + count);
        if count == 0 {
            return Err(match bytes.is_empty() {
                true => HeaderError::Probe,
                false => HeaderError::Lost(io::ErrorKind::UnexpectedEof.into()),
            });
        }
        if let Some((_, source)) = proxy::read(&bytes)? {
            return Ok(match source {
                Source::Client(address) => Some(address.into()),
                Source::Balancer => None,
            });
        }
        wanted = missing(&bytes);
    }
}

/// How many bytes belong to the header for sure.
fn missing(bytes: &[u8]) -> usize {
    if bytes.len() < FIRST {
        return FIRST - bytes.len();
    }
    proxy::length_v2(bytes).map_or(1, |length| length.saturating_sub(bytes.len()).max(1))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::AsyncWriteExt as _;

    use super::*;

    const V2: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x7f\x00\x00\x01\xc3\x50\x22\xb3";

    #[tokio::test]
    async fn reads_the_header_and_not_a_byte_more() {
        let v1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 50000 8883\r\n";
        for header in [&v1[..], V2] {
            for chunk in [1, 7, 1000] {
                let (mut client, mut server) = tokio::io::duplex(4096);
                let bytes = [header, b"MQTT"].concat();
                let writing = tokio::spawn(async move {
                    for part in bytes.chunks(chunk) {
                        client.write_all(part).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                });
                let peer = read(&mut server).await.unwrap();
                assert_eq!(peer, Some(Peer::Ip([192, 0, 2, 7].into(), 50_000)));
                writing.await.unwrap();
                let mut rest = Vec::new();
                server.read_to_end(&mut rest).await.unwrap();
                assert_eq!(rest, b"MQTT");
            }
        }
    }

    #[tokio::test]
    async fn tells_a_probe_from_a_broken_header() {
        let (client, mut server) = tokio::io::duplex(64);
        drop(client);
        assert!(matches!(read(&mut server).await, Err(HeaderError::Probe)));
        let (mut client, mut server) = tokio::io::duplex(64);
        client.write_all(b"PROXY TCP4").await.unwrap();
        drop(client);
        assert!(matches!(read(&mut server).await, Err(HeaderError::Lost(_))));
        let (mut client, mut server) = tokio::io::duplex(64);
        client.write_all(b"\x10\x20\x00\x04MQTT").await.unwrap();
        assert!(matches!(
            read(&mut server).await,
            Err(HeaderError::Wrong(ProxyError::Missing))
        ));
    }

    #[test]
    fn only_trusted_peers_begin_with_a_header() {
        let ip = |text: &str| Peer::from(text.parse::<SocketAddr>().unwrap());
        let network = crate::config::Network::parse("10.0.0.0/8").unwrap();
        let trusted = [Trusted::Network(network)];
        assert!(is_expected(&trusted, &ip("10.1.2.3:5")));
        assert!(!is_expected(&trusted, &ip("192.0.2.1:5")));
        assert!(!is_expected(&trusted, &Peer::Local));
        assert!(is_expected(&[Trusted::Unix], &Peer::Local));
        assert!(!is_expected(&[], &ip("10.1.2.3:5")));
    }
}
