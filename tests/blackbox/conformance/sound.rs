//! The codec's cases of packets that it takes, sent by a client that is logged in or is about to: to a
//! server, too, none is malformed, and however one arrives, what is told is the same.

use super::peer::{Arrival, Peer, Way};
use super::script::{describe, log_in, of};
use crate::case::{self, Case, Expected, Sender};
use crate::wire::{Client, Received, Version, kind};

/// Each of them that a client may send.
pub(super) fn cases() -> Vec<Case> {
    let is_sound = |case: &Case| {
        matches!(case.expected, Expected::Decoded(..))
            && case.sender != Sender::Server
            && case.maximum == u32::MAX
    };
    case::all().into_iter().filter(is_sound).collect()
}

/// What is told of the packet, and of a PINGREQ behind it, in the order of names: a sink may be slower
/// than a ping.
pub(super) fn told(case: &Case, peer: &Peer<'_>, way: Way, arrival: Arrival) -> Vec<String> {
    const PINGREQ: [u8; 2] = [0xC0, 0];
    let version = of(case.version);
    let mut client = peer.open(way, version);
    let (connect, packet, answers) = match case.sender {
        Sender::Connecting => (Vec::new(), case.bytes.clone(), 1),
        _ => (log_in(version), case.bytes.clone(), answers(&case.bytes)),
    };
    let mut told = Vec::new();
    if arrival == Arrival::Glued {
        client.send(&[&connect[..], &packet, &PINGREQ].concat());
        let connacks = usize::from(!connect.is_empty());
        collect(&mut client, version, connacks + answers, true, &mut told);
    } else {
        if !connect.is_empty() {
            arrival.send(&mut client, &connect);
            collect(&mut client, version, 1, false, &mut told);
        }
        arrival.send(&mut client, &packet);
        collect(&mut client, version, answers, false, &mut told);
        client.send(&PINGREQ);
        collect(&mut client, version, 0, true, &mut told);
    }
    if told.iter().any(|told| told == "closed") {
        // What is behind the packet may be answered before it is refused, or not at all.
        told.retain(|told| told != "PINGRESP");
    }
    told.sort_unstable();
    told.dedup_by(|a, b| a == "closed" && a == b);
    told
}

/// How many answers a packet of a client that is let in has.
fn answers(packet: &[u8]) -> usize {
    match packet.first() {
        Some(first) if first >> 4 == kind::PUBLISH => usize::from(first & 0b110 != 0),
        // PUBREL, SUBSCRIBE, UNSUBSCRIBE.
        Some(0x62 | 0x82 | 0xA2) => 1,
        _ => 0,
    }
}

/// Reads so many answers, and a PINGRESP if one is due, or all up to the end.
fn collect(
    client: &mut Client,
    version: Version,
    mut answers: usize,
    mut ping: bool,
    told: &mut Vec<String>,
) {
    while answers > 0 || ping {
        match client.receive_or_silence() {
            Some(Received::Packet(packet)) => {
                if packet.kind() == kind::PINGRESP {
                    ping = false;
                } else {
                    answers = answers.saturating_sub(1);
                }
                told.push(describe(&packet, version));
            }
            Some(Received::Closed) => {
                told.push("closed".to_owned());
                return;
            }
            None => {
                told.push("nothing".to_owned());
                return;
            }
        }
    }
}
