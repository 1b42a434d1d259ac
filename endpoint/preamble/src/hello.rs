//! The ClientHello (RFC 8446, 4.1.2), as far as it decides who serves the connection.
//!
//! It is read before any TLS library sees it, because none of those that know no pre-shared keys
//! shows the identities, and because a client that offers only pre-shared keys may leave out what
//! they insist on.

use crate::reader::Reader;
use crate::record::{Assembler, RecordError};

/// Largest ClientHello that is read, in bytes; those of post-quantum clients with a long ticket
/// take some 5,000.
pub const MAX_HELLO: usize = 16 * 1024;
/// Largest number of bytes that may carry it, record heads included.
pub const MAX_BYTES: usize = 2 * MAX_HELLO;

const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const PRE_SHARED_KEY: u16 = 41;
/// RFC 5746, 3.3, and RFC 7507: these say something and are no suites.
const SIGNALS: [u16; 2] = [0x00ff, 0x5600];

/// What a client offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The cipher suites, in the client's order.
    pub cipher_suites: Vec<u16>,
    /// The host name that the client wants to reach, in lower case (RFC 6066, 3).
    pub server_name: Option<String>,
    /// The identities of a TLS 1.3 `pre_shared_key` extension: tickets and external keys.
    pub identities: Vec<Vec<u8>>,
}

/// Why there is no ClientHello. The peer is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// An MQTT packet stands where TLS is spoken.
    #[error("plain MQTT where TLS is spoken")]
    Mqtt,
    /// An HTTP request stands where TLS is spoken.
    #[error("plain HTTP where TLS is spoken")]
    Http,
    /// Records that cannot be.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A field runs over the end of its container.
    #[error("malformed ClientHello")]
    Malformed,
}

/// Reads the ClientHello at the start of a connection's bytes, as they come.
#[derive(Clone, Debug)]
pub struct HelloReader(Assembler);

impl Default for HelloReader {
    fn default() -> Self {
        Self(Assembler::new(CLIENT_HELLO, MAX_HELLO))
    }
}

impl HelloReader {
    /// The ClientHello; `bytes` are all that have come so far. `None`: more are needed, at most
    /// [`MAX_BYTES`].
    ///
    /// # Errors
    /// [`HelloError`], as early as the bytes show it.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<ClientHello>, HelloError> {
        match bytes.first() {
            // An MQTT CONNECT (MQTT 5, 3.1.1).
            Some(0x10) => return Err(HelloError::Mqtt),
            Some(b'A'..=b'Z') => return Err(HelloError::Http),
            _ => {}
        }
        match self.0.read(bytes)? {
            Some(message) => parse(message).map(Some).ok_or(HelloError::Malformed),
            None if bytes.len() >= MAX_BYTES => Err(RecordError::TooLarge.into()),
            None => Ok(None),
        }
    }
}

/// Reads a ClientHello of which no more bytes will come than these; as [`HelloReader::read`].
///
/// # Errors
/// [`HelloError`], as early as the bytes show it.
pub fn read(bytes: &[u8]) -> Result<Option<ClientHello>, HelloError> {
    HelloReader::default().read(bytes)
}

fn parse(message: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader::new(message);
    // legacy_version and random
    reader.take(2 + 32)?;
    // legacy_session_id
    reader.vector8()?;
    let mut suites = reader.vector16()?;
    let mut hello = ClientHello::default();
    while !suites.is_empty() {
        hello.cipher_suites.push(suites.u16()?);
    }
    // legacy_compression_methods
    reader.vector8()?;
    // TLS 1.2 clients may have no extensions at all.
    if reader.is_empty() {
        return Some(hello);
    }
    let mut extensions = reader.vector16()?;
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let body = extensions.vector16()?;
        match kind {
            SERVER_NAME => hello.server_name = server_name(body)?,
            PRE_SHARED_KEY => hello.identities = identities(body)?,
            _ => {}
        }
    }
    Some(hello)
}

/// RFC 6066, 3: the name of type `host_name`.
fn server_name(mut body: Reader<'_>) -> Option<Option<String>> {
    let mut names = body.vector16()?;
    while !names.is_empty() {
        let kind = names.u8()?;
        let name = names.vector16()?.rest();
        if kind == 0 {
            let name = std::str::from_utf8(name).ok()?;
            return Some(Some(name.to_ascii_lowercase()));
        }
    }
    Some(None)
}

/// RFC 8446, 4.2.11: identities and ages; the binders behind them are for the TLS library.
fn identities(mut body: Reader<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = body.vector16()?;
    let mut identities = Vec::new();
    while !list.is_empty() {
        identities.push(list.vector16()?.rest().to_vec());
        // obfuscated_ticket_age
        list.take(4)?;
    }
    Some(identities)
}

impl ClientHello {
    /// Whether a pre-shared key suite of TLS 1.2 is offered (RFC 4279, 5487, 5489, 7905, 6655,
    /// 8442).
    pub fn offers_psk_suite(&self) -> bool {
        self.cipher_suites.iter().copied().any(is_psk_suite)
    }

    /// Whether every suite offered is one of RSA key exchange (RFC 5246, A.5), which has no
    /// forward secrecy.
    pub fn offers_only_rsa_key_exchange(&self) -> bool {
        let mut suites = self
            .cipher_suites
            .iter()
            .copied()
            .filter(|suite| !SIGNALS.contains(suite) && !is_grease(*suite))
            .peekable();
        suites.peek().is_some() && suites.all(is_rsa_suite)
    }

    /// Whether ChaCha20-Poly1305 is what the client likes best, as one does that has no instructions
    /// for AES.
    #[must_use]
    pub fn prefers_chacha20(&self) -> bool {
        let mut suites = self.cipher_suites.iter();
        let first = suites.find(|suite| !SIGNALS.contains(suite) && !is_grease(**suite));
        // TLS 1.3's; RFC 7905, 2.
        first.is_some_and(|suite| matches!(suite, 0x1303 | 0xcca8..=0xccae))
    }
}

fn is_psk_suite(suite: u16) -> bool {
    matches!(suite,
        // PSK, DHE_PSK and RSA_PSK with NULL and SHA-1, RC4, 3DES, AES-CBC
        0x002c..=0x002e | 0x008a..=0x0095
        // AES-GCM, AES-CBC with SHA-2
        | 0x00a8..=0x00b9
        // ECDHE_PSK
        | 0xc033..=0xc03b
        // ARIA and Camellia
        | 0xc064..=0xc071 | 0xc08e..=0xc09b
        // CCM
        | 0xc0a4..=0xc0a7 | 0xc0a8..=0xc0ab
        // ChaCha20-Poly1305
        | 0xccab..=0xccae
        // ECDHE_PSK with AEAD
        | 0xd001..=0xd005)
}

fn is_rsa_suite(suite: u16) -> bool {
    matches!(suite,
        0x0001..=0x000a | 0x002f | 0x0035 | 0x003b..=0x003d | 0x0041 | 0x0084 | 0x0096
        | 0x009c | 0x009d | 0x00ba | 0x00c0 | 0xc03c | 0xc03d | 0xc050 | 0xc051
        | 0xc07a | 0xc07b | 0xc09c | 0xc09d | 0xc0a0 | 0xc0a1)
}

/// RFC 8701: reserved values that clients sprinkle in.
fn is_grease(suite: u16) -> bool {
    suite & 0x0f0f == 0x0a0a && suite >> 8 == suite & 0xff
}

#[cfg(test)]
mod tests;
