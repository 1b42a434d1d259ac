//! A ring of PUBLISH packets encoded once, from which any run is one slice.

use super::{Payload, Qos, Version, publish};

/// `len` PUBLISH packets of one topic, encoded twice in a row.
///
/// Packet `i` has the packet id `i + 1`, so that a window of `len` messages uses each id again
/// exactly when it is free. Because the ring is stored twice, a run that wraps is still one slice:
/// sending k messages costs one copy or one write, and no encoding.
pub(crate) struct Train {
    bytes: Vec<u8>,
    packet_size: usize,
    len: usize,
}

impl Train {
    /// `len` is at most 65,535, the number of packet ids; the caller has checked it.
    pub(crate) fn new(version: Version, topic: &str, qos: Qos, payload: Payload, len: u16) -> Self {
        let ring: Vec<u8> = (1..=len)
            .flat_map(|id| publish(version, topic, qos, id, &payload.bytes(u32::from(id))))
            .collect();
        let len = usize::from(len);
        Self {
            packet_size: ring.len().checked_div(len).unwrap_or(0),
            bytes: ring.repeat(2),
            len,
        }
    }

    /// The packets of `count` messages starting with message number `first` of the connection.
    ///
    /// `count` is at most the ring's length.
    pub(crate) fn run(&self, first: u64, count: usize) -> &[u8] {
        debug_assert!(count <= self.len);
        let slot = usize::try_from(first % self.len as u64).unwrap_or(0);
        let start = slot * self.packet_size;
        self.bytes
            .get(start..start + count * self.packet_size)
            .unwrap_or_default()
    }

    /// Bytes of one PUBLISH packet, header included.
    pub(crate) fn packet_size(&self) -> usize {
        self.packet_size
    }

    /// Packets in the ring.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: Payload = Payload {
        size: 64,
        binary: false,
    };

    fn packet(id: u16) -> Vec<u8> {
        publish(
            Version::V311,
            "telemetry",
            Qos::AtLeastOnce,
            id,
            &PAYLOAD.bytes(u32::from(id)),
        )
    }

    #[test]
    fn a_run_is_the_packets_of_consecutive_ids() {
        let train = Train::new(Version::V311, "telemetry", Qos::AtLeastOnce, PAYLOAD, 4);
        assert_eq!(train.run(0, 2), [packet(1), packet(2)].concat());
        assert_eq!(train.packet_size(), packet(1).len());
    }

    #[test]
    fn a_run_that_wraps_is_still_one_slice() {
        let train = Train::new(Version::V311, "telemetry", Qos::AtLeastOnce, PAYLOAD, 4);
        assert_eq!(train.run(7, 3), [packet(4), packet(1), packet(2)].concat());
        assert_eq!(
            train.run(3, 4),
            [packet(4), packet(1), packet(2), packet(3)].concat()
        );
    }

    #[test]
    fn ids_reach_the_last_one() {
        let train = Train::new(Version::V5, "t", Qos::AtLeastOnce, PAYLOAD, u16::MAX);
        let last = train.run(65_534, 1);
        assert_eq!(
            last,
            publish(
                Version::V5,
                "t",
                Qos::AtLeastOnce,
                u16::MAX,
                &PAYLOAD.bytes(65_535)
            )
        );
    }
}
