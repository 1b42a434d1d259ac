//! Decoding and encoding, by packet kind and version.
//!
//! `stream` is the hot path as a connection has it: one read buffer with a window of publishes,
//! framed and decoded one after the other, and their acknowledgements written into one buffer.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::num::NonZeroU16;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use landfall_protocol::codec::{
    AckKind, Filters, FiltersBuf, UserProperties, UserPropertiesBuf, decode_connect,
    decode_from_client, encode, encode_ack, split,
};
use landfall_protocol::packet::{
    Ack, ConnAck, Connect, ConnectProperties, Publish, PublishProperties, ReasonProperties, SubAck,
    Subscribe, Subscription,
};
use landfall_protocol::{Packet, PacketId, QoS, ReasonCode, Version};

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];
const MAXIMUM_PACKET_SIZE: u32 = 64 * 1024;
const WINDOW: u16 = 64;
const ID: PacketId = NonZeroU16::MIN;
const READING: &[u8] = br#"{"temperature":21.37,"humidity":48.2,"seq":100007,"pad":"xxxxx"}"#;

/// Backing memory of the packets that carry lists.
struct Lists {
    filters: FiltersBuf,
    properties: UserPropertiesBuf,
}

impl Lists {
    fn new() -> Self {
        let mut filters = FiltersBuf::default();
        filters
            .push(Subscription::new("command/inbox//#", QoS::AtLeastOnce))
            .unwrap();
        let mut properties = UserPropertiesBuf::default();
        properties
            .push(
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            )
            .unwrap();
        Self {
            filters,
            properties,
        }
    }

    fn filters(&self) -> Filters<'_> {
        self.filters.as_list()
    }

    fn properties(&self) -> UserProperties<'_> {
        self.properties.as_list()
    }
}

fn connect(version: Version) -> Packet<'static> {
    Packet::Connect(Connect {
        version,
        clean: true,
        keep_alive: 60,
        properties: ConnectProperties::default(),
        client_id: "sensor01-1",
        will: None,
        user_name: Some("sensor01@demo"),
        password: Some(b"sensor01-secret"),
    })
}

fn publish(qos: QoS) -> Publish<'static> {
    Publish {
        qos,
        topic: "telemetry",
        packet_id: (qos != QoS::AtMostOnce).then_some(ID),
        payload: READING,
        ..Publish::default()
    }
}

fn ack() -> Ack<'static> {
    Ack {
        packet_id: ID,
        reason: ReasonCode::SUCCESS,
        properties: ReasonProperties::default(),
    }
}

/// What a device sends, by name.
fn from_client<'a>(lists: &'a Lists, version: Version) -> Vec<(&'static str, Packet<'a>)> {
    let mut packets = vec![
        ("publish_qos0", Packet::Publish(publish(QoS::AtMostOnce))),
        ("publish_qos1", Packet::Publish(publish(QoS::AtLeastOnce))),
        ("pubrel", Packet::PubRel(ack())),
        ("puback", Packet::PubAck(ack())),
        (
            "subscribe",
            Packet::Subscribe(Subscribe {
                packet_id: ID,
                subscription_identifier: None,
                user_properties: UserProperties::default(),
                filters: lists.filters(),
            }),
        ),
        ("pingreq", Packet::PingReq),
    ];
    if version == Version::V5 {
        let properties = PublishProperties {
            content_type: Some("application/json"),
            user_properties: lists.properties(),
            ..PublishProperties::default()
        };
        let publish = Publish {
            properties,
            ..publish(QoS::AtLeastOnce)
        };
        packets.push(("publish_qos1_properties", Packet::Publish(publish)));
    }
    packets
}

/// What a server sends, by name.
fn from_server(reasons: &[ReasonCode]) -> [(&'static str, Packet<'_>); 5] {
    [
        ("connack", Packet::ConnAck(ConnAck::default())),
        ("puback", Packet::PubAck(ack())),
        (
            "suback",
            Packet::SubAck(SubAck {
                packet_id: ID,
                properties: ReasonProperties::default(),
                reasons: reasons.into(),
            }),
        ),
        ("command", Packet::Publish(publish(QoS::AtLeastOnce))),
        ("pingresp", Packet::PingResp),
    ]
}

fn bytes(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    encode(packet, version, &mut out).unwrap();
    out
}

fn decode(criterion: &mut Criterion) {
    let lists = Lists::new();
    let mut group = criterion.benchmark_group("decode");
    for version in VERSIONS {
        let input = bytes(&connect(version), version);
        group.bench_with_input(
            BenchmarkId::new("connect", version.as_str()),
            &input,
            |bencher, input| {
                bencher.iter(|| {
                    let raw = split(black_box(input), MAXIMUM_PACKET_SIZE)
                        .unwrap()
                        .unwrap();
                    // By reference: moving the large enum would cost more than decoding.
                    black_box(&decode_connect(&raw).unwrap());
                });
            },
        );
        for (name, packet) in from_client(&lists, version) {
            let input = bytes(&packet, version);
            group.bench_with_input(
                BenchmarkId::new(name, version.as_str()),
                &input,
                |bencher, input| {
                    bencher.iter(|| {
                        let raw = split(black_box(input), MAXIMUM_PACKET_SIZE)
                            .unwrap()
                            .unwrap();
                        black_box(&decode_from_client(&raw, version).unwrap());
                    });
                },
            );
        }
    }
}

fn encode_packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for version in VERSIONS {
        for (name, packet) in from_server(&[ReasonCode::SUCCESS]) {
            group.bench_with_input(
                BenchmarkId::new(name, version.as_str()),
                &packet,
                |bencher, packet| {
                    let mut out = Vec::with_capacity(1024);
                    bencher.iter(|| {
                        out.clear();
                        encode(black_box(packet), version, &mut out).unwrap();
                        black_box(&out);
                    });
                },
            );
        }
    }
}

fn stream(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(WINDOW.into()));
    for version in VERSIONS {
        let input: Vec<u8> = (1..=WINDOW)
            .flat_map(|id| {
                let publish = Publish {
                    packet_id: NonZeroU16::new(id),
                    ..publish(QoS::AtLeastOnce)
                };
                bytes(&Packet::Publish(publish), version)
            })
            .collect();
        group.bench_with_input(
            BenchmarkId::new("publish_to_puback", version.as_str()),
            &input,
            |bencher, input| {
                bencher.iter_batched_ref(
                    || Vec::with_capacity(usize::from(WINDOW) * 4),
                    |answers| acknowledge_all(black_box(input), version, answers),
                    BatchSize::SmallInput,
                );
            },
        );
    }
}

/// Decodes every publish of `input` and acknowledges it.
fn acknowledge_all(mut input: &[u8], version: Version, answers: &mut Vec<u8>) {
    while let Some(raw) = split(input, MAXIMUM_PACKET_SIZE).unwrap() {
        if let Packet::Publish(publish) = decode_from_client(&raw, version).unwrap() {
            black_box((publish.topic, publish.payload));
            let id = publish.packet_id.unwrap();
            encode_ack(AckKind::PubAck, id, ReasonCode::SUCCESS, version, answers);
        }
        input = input.get(raw.size..).unwrap_or_default();
    }
}

criterion_group!(benches, decode, encode_packets, stream);
criterion_main!(benches);
