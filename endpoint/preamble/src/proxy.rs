//! The header of the PROXY protocol, versions 1 and 2 (haproxy's `proxy-protocol.txt`): who
//! connected to the load balancer in front.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::reader::Reader;

/// Longest header of version 1, its end included.
pub const MAX_V1: usize = 107;
/// Longest body of version 2 that is read: addresses, and fields that the balancer adds (TLS
/// details, a VPC's name).
pub const MAX_V2_BODY: usize = 2 * 1024;
/// Longest header that is read.
pub const MAX_HEADER: usize = SIGNATURE.len() + 4 + MAX_V2_BODY;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const V1_START: &[u8] = b"PROXY ";

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The client's address.
    Client(SocketAddr),
    /// The balancer speaks for itself (a health check), or does not know.
    Balancer,
}

/// Why there is no header. Whoever connected is to blame, or the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The first bytes are no header's.
    #[error("no PROXY header")]
    Missing,
    /// A header that cannot be.
    #[error("malformed PROXY header: {0}")]
    Malformed(&'static str),
}

/// Reads the header at the start of a connection's bytes: how long it is, and what it says; `None`:
/// more bytes are needed, at most [`MAX_HEADER`].
///
/// # Errors
/// [`ProxyError`], as early as the bytes show it.
pub fn read(bytes: &[u8]) -> Result<Option<(usize, Source)>, ProxyError> {
    if starts_like(bytes, &SIGNATURE) {
        return read_v2(bytes);
    }
    if starts_like(bytes, V1_START) {
        return read_v1(bytes);
    }
    Err(ProxyError::Missing)
}

/// How long a header of version 2 will be, once its head is there; `None` for anything else.
pub fn length_v2(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes.strip_prefix(&SIGNATURE)?);
    reader.take(2)?;
    Some(SIGNATURE.len() + 4 + usize::from(reader.u16()?))
}

/// Whether one is the beginning of the other.
fn starts_like(bytes: &[u8], start: &[u8]) -> bool {
    bytes.starts_with(start) || start.starts_with(bytes)
}

fn read_v1(bytes: &[u8]) -> Result<Option<(usize, Source)>, ProxyError> {
    let most = bytes.get(..MAX_V1).unwrap_or(bytes);
    let Some(end) = most.windows(2).position(|pair| pair == b"\r\n") else {
        return match bytes.len() {
            ..MAX_V1 => Ok(None),
            _ => Err(ProxyError::Malformed("no end")),
        };
    };
    let line = bytes
        .get(..end)
        .and_then(|line| std::str::from_utf8(line).ok());
    let source = line
        .and_then(parse_v1)
        .ok_or(ProxyError::Malformed("version 1"))?;
    Ok(Some((end + 2, source)))
}

fn parse_v1(line: &str) -> Option<Source> {
    let mut words = line.split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Source::Balancer);
    }
    let (source, target) = (words.next()?, words.next()?);
    let (source_port, target_port) = (words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(Into::into),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(Into::into),
            _ => None,
        }
    };
    let port = |text: &str| -> Option<u16> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    };
    address(target)?;
    port(target_port)?;
    Some(Source::Client(
        (address(source)?, port(source_port)?).into(),
    ))
}

fn read_v2(bytes: &[u8]) -> Result<Option<(usize, Source)>, ProxyError> {
    let Some(rest) = bytes.strip_prefix(&SIGNATURE) else {
        return Ok(None);
    };
    let mut reader = Reader::new(rest);
    let (Some(version), Some(family), Some(length)) = (reader.u8(), reader.u8(), reader.u16())
    else {
        return Ok(None);
    };
    if version >> 4 != 2 {
        return Err(ProxyError::Malformed("not version 2"));
    }
    let length = usize::from(length);
    if length > MAX_V2_BODY {
        return Err(ProxyError::Malformed("too long"));
    }
    let Some(body) = reader.take(length) else {
        return Ok(None);
    };
    let source = match (version & 0xf, family) {
        // LOCAL: whatever stands in the body is to be ignored.
        (0, _) => Source::Balancer,
        (1, 0x11) => Source::Client(address_v4(body).ok_or(SHORT)?),
        (1, 0x21) => Source::Client(address_v6(body).ok_or(SHORT)?),
        // Unspecified, datagrams, Unix sockets.
        (1, _) => Source::Balancer,
        _ => return Err(ProxyError::Malformed("unknown command")),
    };
    Ok(Some((SIGNATURE.len() + 4 + length, source)))
}

const SHORT: ProxyError = ProxyError::Malformed("addresses are cut off");

/// Source and target address, source and target port.
fn address_v4(body: &[u8]) -> Option<SocketAddr> {
    let mut reader = Reader::new(body);
    let source: [u8; 4] = reader.take(4)?.try_into().ok()?;
    reader.take(4)?;
    let port = reader.u16()?;
    reader.u16()?;
    Some((source, port).into())
}

fn address_v6(body: &[u8]) -> Option<SocketAddr> {
    let mut reader = Reader::new(body);
    let source: [u8; 16] = reader.take(16)?.try_into().ok()?;
    reader.take(16)?;
    let port = reader.u16()?;
    reader.u16()?;
    Some((source, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap();
        [
            &SIGNATURE[..],
            &[0x20 | command, family],
            &length.to_be_bytes(),
            body,
        ]
        .concat()
    }

    fn client(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    #[test]
    fn reads_version_1() {
        for (line, source) in [
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 50000 8883\r\n",
                client("192.0.2.7:50000"),
            ),
            (
                "PROXY TCP6 2001:db8::7 ::1 1 65535\r\n",
                client("[2001:db8::7]:1"),
            ),
            ("PROXY UNKNOWN\r\n", Source::Balancer),
            ("PROXY UNKNOWN ffff::1 ::1 1 2\r\n", Source::Balancer),
        ] {
            let bytes = [line.as_bytes(), b"\x10\x00"].concat();
            assert_eq!(read(&bytes), Ok(Some((line.len(), source))), "{line}");
            for end in 0..line.len() {
                assert_eq!(read(&bytes[..end]), Ok(None), "{line} cut at {end}");
            }
        }
    }

    #[test]
    fn reads_version_2_with_more_fields_behind_the_addresses() {
        let four = [
            &[192, 0, 2, 7, 127, 0, 0, 1][..],
            &[0xc3, 0x50, 0x22, 0xb3],
            &[4, 0, 1, 0],
        ];
        let mut six = vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        six.extend([0; 16]);
        six.extend([0, 1, 0, 2]);
        for (header, source) in [
            (v2(1, 0x11, &four.concat()), client("192.0.2.7:50000")),
            (v2(1, 0x21, &six), client("[2001:db8::7]:1")),
            (v2(0, 0, &[]), Source::Balancer),
            (v2(1, 0x31, &[0; 216]), Source::Balancer),
        ] {
            let bytes = [&header[..], b"\x10"].concat();
            assert_eq!(read(&bytes), Ok(Some((header.len(), source))));
            for end in 0..header.len() {
                assert_eq!(read(&bytes[..end]), Ok(None), "cut at {end}");
            }
        }
    }

    #[test]
    fn refuses_what_is_no_header() {
        for bytes in [
            &b"\x10\x0c\x00\x04MQTT"[..],
            b"\x16\x03\x01",
            b"GET / HTTP/1.1\r\n",
            b"PROXYTCP4",
        ] {
            assert_eq!(read(bytes), Err(ProxyError::Missing), "{bytes:?}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(MAX_V1));
        for bytes in [
            &b"PROXY TCP4 192.0.2.7 198.51.100.1 50000\r\n"[..],
            b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +5 1\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 70000 1\r\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 1 1\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 1 1 1\r\n",
            long.as_bytes(),
            &[&SIGNATURE[..], &[0x31, 0x11, 0, 0]].concat(),
            &[&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(),
            &v2(2, 0x11, &[0; 12]),
            &v2(1, 0x11, &[0; 11]),
            &v2(1, 0x21, &[0; 35]),
        ] {
            assert!(
                matches!(read(bytes), Err(ProxyError::Malformed(_))),
                "{bytes:?}"
            );
        }
    }
}
