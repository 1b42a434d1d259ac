//! Packets and bytes, counted once per turn of a connection and not once per packet.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

/// Types of MQTT control packets by the number in the fixed header (MQTT 5, 2.1.2).
pub(super) const TYPES: [&str; 16] = [
    "reserved",
    "connect",
    "connack",
    "publish",
    "puback",
    "pubrec",
    "pubrel",
    "pubcomp",
    "subscribe",
    "suback",
    "unsubscribe",
    "unsuback",
    "pingreq",
    "pingresp",
    "disconnect",
    "auth",
];

/// From 100 µs (a sink in memory) to the stall timeout's default.
const SECONDS: [f64; 17] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// What goes over the connections.
pub struct Traffic {
    /// Bytes of MQTT from clients, after TLS and WebSocket.
    pub bytes_received: IntCounter,
    /// Bytes of MQTT to clients, before TLS and WebSocket.
    pub bytes_sent: IntCounter,
    /// Packets to clients.
    pub packets_sent: IntCounter,
    /// Packets from clients, by their number in the fixed header.
    packets_received: [IntCounter; 16],
    /// From the arrival of a QoS 1 or 2 publish's bytes to its acknowledgement's.
    acknowledged: Histogram,
}

/// Packets of one turn, by type.
#[derive(Default)]
pub struct PacketCounts([u32; 16]);

impl PacketCounts {
    /// Counts a packet by the first byte of its fixed header.
    pub fn count(&mut self, first: u8) {
        if let Some(count) = self.0.get_mut(usize::from(first >> 4)) {
            *count += 1;
        }
    }
}

impl Traffic {
    /// Registers the metrics.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let packets = IntCounterVec::new(
            Opts::new(
                "landfall_packets_received_total",
                "MQTT packets of clients that were let in, by type",
            ),
            &["type"],
        )?;
        registry.register(Box::new(packets.clone()))?;
        let acknowledged = Histogram::with_opts(
            HistogramOpts::new(
                "landfall_publish_acknowledge_seconds",
                "From a QoS 1 or 2 publish's arrival to its acknowledgement; of each connection, one \
                 publish at a time",
            )
            .buckets(SECONDS.to_vec()),
        )?;
        registry.register(Box::new(acknowledged.clone()))?;
        Ok(Self {
            bytes_received: counter(
                "landfall_bytes_received_total",
                "Bytes of MQTT from clients, without TLS and WebSocket",
            )?,
            bytes_sent: counter(
                "landfall_bytes_sent_total",
                "Bytes of MQTT to clients, without TLS and WebSocket",
            )?,
            packets_sent: counter(
                "landfall_packets_sent_total",
                "MQTT packets to clients that were let in",
            )?,
            packets_received: TYPES.map(|name| packets.with_label_values(&[name])),
            acknowledged,
        })
    }

    /// Adds the packets of a turn.
    pub fn received(&self, packets: &PacketCounts) {
        for (counter, count) in self.packets_received.iter().zip(packets.0) {
            if count > 0 {
                counter.inc_by(u64::from(count));
            }
        }
    }

    /// A publish was acknowledged.
    pub fn acknowledged(&self, after: Duration) {
        self.acknowledged.observe(after.as_secs_f64());
    }
}
