//! Payloads of an exact size, so that bytes per message are the same on every server.

/// What the published messages carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Payload {
    /// Bytes of application payload.
    pub size: usize,
    /// Bytes that are not JSON instead of a JSON text.
    pub binary: bool,
}

/// A sensor reading up to its padding; the sequence number has a fixed width and no leading zero.
const HEAD: &str = r#"{"temperature":21.37,"humidity":48.2,"seq":"#;
const PAD: &str = r#","pad":""#;
const TAIL: &str = r#""}"#;
const SEQ_BASE: u32 = 100_000;

impl Payload {
    /// Bytes for message `seq`; neighbours differ, so that no server can profit from equal payloads.
    ///
    /// A JSON payload too small for a reading is a number of `size` digits.
    pub(crate) fn bytes(self, seq: u32) -> Vec<u8> {
        let number = (SEQ_BASE + seq % SEQ_BASE).to_string();
        if self.binary {
            return number
                .bytes()
                .chain(std::iter::repeat(0xA5))
                .take(self.size)
                .collect();
        }
        let reading = HEAD.len() + number.len() + PAD.len() + TAIL.len();
        let Some(pad) = self.size.checked_sub(reading) else {
            return number
                .bytes()
                .chain(std::iter::repeat(b'1'))
                .take(self.size)
                .collect();
        };
        format!("{HEAD}{number}{PAD}{}{TAIL}", "x".repeat(pad)).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_payloads_have_the_exact_size_and_parse() {
        for size in (1..200).chain([1024, 65_536]) {
            let bytes = Payload {
                size,
                binary: false,
            }
            .bytes(7);
            assert_eq!(bytes.len(), size);
            serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
        }
    }

    #[test]
    fn the_default_size_is_a_sensor_reading() {
        let bytes = Payload {
            size: 64,
            binary: false,
        }
        .bytes(7);
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["seq"], 100_007);
    }

    #[test]
    fn binary_payloads_have_the_exact_size_and_do_not_parse() {
        for size in 7..200 {
            let bytes = Payload { size, binary: true }.bytes(7);
            assert_eq!(bytes.len(), size);
            assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_err());
        }
    }

    #[test]
    fn neighbours_differ() {
        let payload = Payload {
            size: 64,
            binary: false,
        };
        assert_ne!(payload.bytes(1), payload.bytes(2));
    }
}
