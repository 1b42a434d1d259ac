//! Many publishes at QoS 1, and which of them were acknowledged.

use super::{Client, Packet, Publish, Received, kind};

/// QoS 1 publishes that a connection has under way: below the announced Receive Maximum of 100.
pub(crate) const WINDOW: usize = 90;

/// One publish: connection and number. It is the payload, as a JSON array.
pub(crate) type Id = (usize, u16);

/// Publishes with a full window until everything is acknowledged or the connection ends.
pub(crate) fn publish_all(
    mut client: Client,
    connection: usize,
    numbers: &[u16],
    mut acknowledge: impl FnMut(Id),
) {
    let (mut sent, mut taken) = (0, 0);
    while taken < numbers.len() {
        let room = (taken + WINDOW).min(numbers.len());
        if sent < room {
            let mut bytes = Vec::new();
            for number in &numbers[sent..room] {
                bytes.extend(numbered(connection, *number).encode(client.version()));
            }
            client.send(&bytes);
            sent = room;
        }
        for packet in client.receive_all() {
            let Received::Packet(packet) = packet else {
                return;
            };
            assert_acknowledges(&packet, numbers[taken]);
            acknowledge((connection, numbers[taken]));
            taken += 1;
        }
    }
}

fn numbered(connection: usize, number: u16) -> Publish {
    let payload = format!("[{connection},{number}]");
    Publish::new("load", payload.as_bytes()).qos(1, number)
}

/// Acknowledgements come in the order of the publishes [MQTT-4.6.0-2].
fn assert_acknowledges(packet: &Packet, number: u16) {
    assert_eq!(
        (packet.kind(), packet.id(), packet.reason()),
        (kind::PUBACK, number, 0)
    );
}
