//! The client's side of a WebSocket (RFC 6455), as far as MQTT needs it: the upgrade, binary
//! messages, goodbyes.

use crate::error::{Result, ServerFault};

/// Most bytes of an answer to the upgrade.
const MOST_HEAD: usize = 8 * 1024;
/// Longest head of a frame that is not masked.
const MOST_FRAME_HEAD: usize = 10;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x08;
/// Clients must mask; a key of zeros leaves the payload as it is, and costs neither side anything.
const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0; 4];
/// A goodbye without a reason.
pub(super) const GOODBYE: [u8; 6] = [0x80 | CLOSE, MASKED, 0, 0, 0, 0];

/// What turns bytes into messages and back.
pub(super) struct WebSocket {
    state: State,
}

enum State {
    /// The request is not sent yet.
    Fresh {
        request: String,
    },
    /// It is; what has come of the answer, and what is to be sent then.
    Upgrading {
        head: Vec<u8>,
        queued: Vec<u8>,
    },
    Open(Frames),
}

/// What has come, beside the payload of messages.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    /// The upgrade was agreed to just now: send what [`WebSocket::queued`] has.
    pub(super) opened: bool,
    /// The server says goodbye, and waits for an answer.
    pub(super) goodbye: bool,
}

impl WebSocket {
    pub(super) fn new(host: &str, path: &str) -> Self {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             Sec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        let state = State::Fresh { request };
        Self { state }
    }

    /// What to write so that the server gets `bytes`: nothing yet while it has not agreed.
    pub(super) fn wrap(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.state {
            State::Fresh { request } => {
                let request = std::mem::take(request).into_bytes();
                self.state = State::Upgrading {
                    head: Vec::new(),
                    queued: frame(bytes),
                };
                request
            }
            State::Upgrading { queued, .. } => {
                queued.extend(frame(bytes));
                Vec::new()
            }
            State::Open(_) => frame(bytes),
        }
    }

    /// Takes what has come, and calls `on` for the payload of messages.
    ///
    /// # Errors
    /// The server does not agree, or breaks the rules; what `on` returns.
    pub(super) fn unwrap(
        &mut self,
        bytes: &[u8],
        mut on: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<News> {
        let (head, queued) = match &mut self.state {
            State::Fresh { .. } => return Err(ServerFault::Misplaced("a WebSocket").into()),
            State::Open(frames) => return frames.take(bytes, &mut on),
            State::Upgrading { head, queued } => (head, queued),
        };
        head.extend_from_slice(bytes);
        let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else {
            return match head.len() {
                ..MOST_HEAD => Ok(News::default()),
                _ => Err(ServerFault::Malformed("the answer to the upgrade").into()),
            };
        };
        if !head.starts_with(b"HTTP/1.1 101 ") {
            let status = head.get(..end.min(64)).unwrap_or_default();
            let status = String::from_utf8_lossy(status);
            let line = status.lines().next().unwrap_or_default();
            return Err(ServerFault::RefusedUpgrade(line.to_owned()).into());
        }
        let mut frames = Frames {
            queued: std::mem::take(queued),
            ..Frames::default()
        };
        let rest = head.split_off(end + 4);
        let news = frames.take(&rest, &mut on)?;
        self.state = State::Open(frames);
        Ok(News {
            opened: true,
            ..news
        })
    }

    /// What waited for the upgrade.
    pub(super) fn queued(&mut self) -> Vec<u8> {
        match &mut self.state {
            State::Open(frames) => std::mem::take(&mut frames.queued),
            _ => Vec::new(),
        }
    }
}

/// A binary message in one frame.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(bytes.len() + 14);
    frame.push(BINARY);
    match u16::try_from(bytes.len()) {
        Ok(length @ ..126) => frame.push(MASKED | length.to_be_bytes()[1]),
        Ok(length) => {
            frame.push(MASKED | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(MASKED | 127);
            frame.extend((bytes.len() as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend_from_slice(bytes);
    frame
}

/// The server's frames, as they come.
#[derive(Default)]
struct Frames {
    head: Vec<u8>,
    /// Bytes of the frame's payload that have not come.
    left: u64,
    is_control: bool,
    queued: Vec<u8>,
}

impl Frames {
    fn take(&mut self, mut bytes: &[u8], on: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<News> {
        let mut news = News::default();
        while !bytes.is_empty() {
            if self.left == 0 {
                let (first, rest) = bytes.split_at(1);
                bytes = rest;
                self.head.extend_from_slice(first);
                let Some((opcode, length)) = self.parse()? else {
                    continue;
                };
                self.head.clear();
                self.left = length;
                self.is_control = opcode & CLOSE != 0;
                news.goodbye |= opcode == CLOSE;
                continue;
            }
            let count =
                usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (payload, rest) = bytes.split_at(count);
            bytes = rest;
            self.left -= count as u64;
            if !self.is_control {
                on(payload)?;
            }
        }
        Ok(news)
    }

    /// Opcode and length, once the head is whole.
    fn parse(&self) -> Result<Option<(u8, u64)>> {
        let (Some(first), Some(second)) = (self.head.first(), self.head.get(1)) else {
            return Ok(None);
        };
        if second & MASKED != 0 || self.head.len() > MOST_FRAME_HEAD {
            return Err(ServerFault::Malformed("a WebSocket frame").into());
        }
        let length = match second {
            127 => self.head.get(2..10),
            126 => self.head.get(2..4),
            short => return Ok(Some((first & 0x0f, u64::from(*short)))),
        };
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        Ok(length.map(|length| (first & 0x0f, number(length))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    const AGREED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    #[test]
    fn what_is_sent_early_waits_for_the_upgrade() {
        let mut websocket = WebSocket::new("localhost", "/mqtt");
        assert!(
            websocket
                .wrap(b"one")
                .starts_with(b"GET /mqtt HTTP/1.1\r\n")
        );
        assert!(websocket.wrap(b"two").is_empty());
        let mut received = Vec::new();
        let mut take = |websocket: &mut WebSocket, bytes: &[u8]| {
            let on = |payload: &[u8]| {
                received.extend_from_slice(payload);
                Ok(())
            };
            websocket.unwrap(bytes, on).unwrap()
        };
        let (some, rest) = AGREED.split_at(20);
        assert_eq!(take(&mut websocket, some), News::default());
        // A frame may come right behind it.
        let news = take(&mut websocket, &[rest, b"\x82\x03abc"].concat());
        assert!(news.opened && !news.goodbye);
        assert_eq!(websocket.queued(), [frame(b"one"), frame(b"two")].concat());
        for byte in b"\x82\x01d\x89\x02hi\x02\x7e\x00\x02ef\x88\x02\x03\xe8" {
            let news = take(&mut websocket, &[*byte]);
            assert!(!news.opened);
        }
        assert_eq!(received, b"abcdef");
        assert!(matches!(&websocket.state, State::Open(_)));
    }

    #[test]
    fn a_goodbye_is_noticed_and_a_refusal_named() {
        let upgraded = |answer: &[u8]| {
            let mut websocket = WebSocket::new("localhost", "/");
            websocket.wrap(b"");
            websocket.unwrap(answer, |_| Ok(()))
        };
        let news = upgraded(&[AGREED, &[0x88, 2, 3, 0xe8]].concat()).unwrap();
        assert!(news.goodbye);
        let Err(Error::Server(ServerFault::RefusedUpgrade(line))) =
            upgraded(b"HTTP/1.1 404 Not Found\r\nX: y\r\n\r\n")
        else {
            panic!("a refusal");
        };
        assert_eq!(line, "HTTP/1.1 404 Not Found");
        assert!(upgraded(&vec![b'x'; MOST_HEAD]).is_err());
        assert!(
            upgraded(&[AGREED, &[0x82, 0x83]].concat()).is_err(),
            "masked"
        );
    }

    #[test]
    fn frames_of_all_lengths_have_the_right_head() {
        assert_eq!(frame(b"a"), [BINARY, 0x81, 0, 0, 0, 0, b'a']);
        assert_eq!(frame(&[0; 126])[..4], [BINARY, 0xfe, 0, 126]);
        assert_eq!(
            frame(&vec![0; 65_536])[..10],
            [BINARY, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]
        );
    }
}
