//! Random packets, each as a peer may send it: whatever these build must decode.

mod connect;
mod values;

use landfall_protocol::{
    Packet, QoS, ReasonCode, Version,
    codec::{FiltersBuf, SubscriptionIdentifiersBuf},
    packet::{
        Ack, Auth, Disconnect, Publish, PublishProperties, ReasonCodes, SubAck, Subscribe,
        Subscription, SubscriptionIdentifiers, Unsubscribe,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::case::Sender;

pub(crate) use values::{bytes, filter, keep, maybe, packet_id, text, topic};
use values::{qos, reason_properties, user_properties};

const ACK_REASONS: [u8; 9] = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const RELEASE_REASONS: [u8; 2] = [0x00, 0x92];
const SUBACK_CODES: [u8; 12] = [
    0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2,
];
const UNSUBACK_CODES: [u8; 7] = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
const CLIENT_DISCONNECT_REASONS: [u8; 8] = [0x00, 0x04, 0x80, 0x82, 0x83, 0x93, 0x98, 0x99];
const SERVER_DISCONNECT_REASONS: [u8; 8] = [0x00, 0x81, 0x87, 0x8B, 0x8D, 0x8E, 0x9C, 0xA2];

/// A packet with who sends it and in which version.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) version: Version,
    pub(crate) sender: Sender,
    pub(crate) packet: Packet<'static>,
}

/// Any packet of any version.
pub(crate) fn sent() -> impl Strategy<Value = Sent> {
    select(vec![Version::V31, Version::V311, Version::V5]).prop_flat_map(sent_in)
}

/// Any packet of one version.
pub(crate) fn sent_in(version: Version) -> impl Strategy<Value = Sent> {
    let from = move |sender| {
        move |packet| Sent {
            version,
            sender,
            packet,
        }
    };
    prop_oneof![
        3 => connect::connect(version).prop_map(from(Sender::Connecting)),
        9 => from_client(version).prop_map(from(Sender::Client)),
        6 => from_server(version).prop_map(from(Sender::Server)),
    ]
}

fn from_client(version: Version) -> BoxedStrategy<Packet<'static>> {
    let common = prop_oneof![
        4 => publish(version, Sender::Client),
        3 => ack(version),
        2 => subscribe(version),
        1 => unsubscribe(version),
        1 => Just(Packet::PingReq),
        1 => client_disconnect(version),
    ];
    if version == Version::V5 {
        prop_oneof![12 => common, 1 => auth(&[0x18, 0x19])].boxed()
    } else {
        common.boxed()
    }
}

fn from_server(version: Version) -> BoxedStrategy<Packet<'static>> {
    let common = prop_oneof![
        3 => connect::connack(version),
        3 => publish(version, Sender::Server),
        2 => ack(version),
        1 => suback(version),
        1 => unsuback(version),
        1 => Just(Packet::PingResp),
    ];
    if version == Version::V5 {
        prop_oneof![
            11 => common,
            1 => auth(&[0x00, 0x18]),
            1 => Just(Packet::Auth(Auth::default())),
            1 => server_disconnect(),
        ]
        .boxed()
    } else {
        common.boxed()
    }
}

/// The properties that PUBLISH and will share.
fn message_properties() -> impl Strategy<Value = PublishProperties<'static>> {
    (
        maybe(any::<bool>()),
        maybe(any::<u32>()),
        maybe(topic()),
        maybe(bytes()),
        user_properties(),
        maybe(text()),
    )
        .prop_map(
            |(
                payload_is_utf8,
                message_expiry_interval,
                response_topic,
                correlation_data,
                user_properties,
                content_type,
            )| PublishProperties {
                payload_is_utf8,
                message_expiry_interval,
                response_topic,
                correlation_data,
                user_properties,
                content_type,
                ..PublishProperties::default()
            },
        )
}

fn subscription_identifiers() -> impl Strategy<Value = SubscriptionIdentifiers<'static>> {
    vec(1..=268_435_455_u32, 0..4).prop_map(|identifiers| {
        let mut list = SubscriptionIdentifiersBuf::new();
        for identifier in identifiers {
            list.push(identifier.try_into().unwrap()).unwrap();
        }
        keep(list).as_list()
    })
}

fn publish(version: Version, sender: Sender) -> BoxedStrategy<Packet<'static>> {
    let properties = match (version, sender) {
        (Version::V5, Sender::Server) => (message_properties(), subscription_identifiers())
            .prop_map(|(properties, subscription_identifiers)| PublishProperties {
                subscription_identifiers,
                ..properties
            })
            .boxed(),
        (Version::V5, _) => message_properties().boxed(),
        _ => Just(PublishProperties::default()).boxed(),
    };
    let alias = if version == Version::V5 {
        option::weighted(0.3, 1..=u16::MAX).boxed()
    } else {
        Just(None).boxed()
    };
    (
        any::<(bool, bool, bool)>(),
        qos(),
        topic(),
        packet_id(),
        properties,
        alias,
        bytes(),
    )
        .prop_map(
            |((dup, retain, drop_topic), qos, topic, packet_id, properties, alias, payload)| {
                let acknowledged = qos != QoS::AtMostOnce;
                Packet::Publish(Publish {
                    dup: dup && acknowledged,
                    qos,
                    retain,
                    topic: if alias.is_some() && drop_topic {
                        ""
                    } else {
                        topic
                    },
                    packet_id: acknowledged.then_some(packet_id),
                    properties: PublishProperties {
                        topic_alias: alias.map(|alias| alias.try_into().unwrap()),
                        ..properties
                    },
                    payload,
                })
            },
        )
        .boxed()
}

fn ack(version: Version) -> BoxedStrategy<Packet<'static>> {
    type Wrap = fn(Ack<'static>) -> Packet<'static>;
    let received: Vec<Wrap> = vec![Packet::PubAck, Packet::PubRec];
    let released: Vec<Wrap> = vec![Packet::PubRel, Packet::PubComp];
    prop_oneof![
        (select(received), reason(version, &ACK_REASONS)),
        (select(released), reason(version, &RELEASE_REASONS)),
    ]
    .prop_flat_map(move |(wrap, reason)| {
        (packet_id(), reason_properties(version)).prop_map(move |(packet_id, properties)| {
            wrap(Ack {
                packet_id,
                reason,
                properties,
            })
        })
    })
    .boxed()
}

fn reason(version: Version, reasons: &'static [u8]) -> BoxedStrategy<ReasonCode> {
    match version {
        Version::V5 => select(reasons).prop_map(ReasonCode).boxed(),
        _ => Just(ReasonCode::SUCCESS).boxed(),
    }
}

fn subscription(version: Version) -> BoxedStrategy<Subscription<'static>> {
    (filter(), qos(), any::<(bool, bool)>(), 0..3_u8)
        .prop_map(
            move |(filter, qos, (no_local, retain_as_published), retain_handling)| match version {
                Version::V5 => Subscription {
                    filter,
                    qos,
                    no_local: no_local && !filter.starts_with("$share/"),
                    retain_as_published,
                    retain_handling,
                },
                _ => Subscription::new(filter, qos),
            },
        )
        .boxed()
}

fn subscribe(version: Version) -> BoxedStrategy<Packet<'static>> {
    let identifier = match version {
        Version::V5 => maybe(1..=268_435_455_u32).boxed(),
        _ => Just(None).boxed(),
    };
    (
        packet_id(),
        identifier,
        reason_properties(version),
        vec(subscription(version), 1..5),
    )
        .prop_map(|(packet_id, identifier, properties, subscriptions)| {
            let mut filters = FiltersBuf::new();
            for subscription in subscriptions {
                filters.push(subscription).unwrap();
            }
            Packet::Subscribe(Subscribe {
                packet_id,
                subscription_identifier: identifier.map(|id| id.try_into().unwrap()),
                user_properties: properties.user_properties,
                filters: keep(filters).as_list(),
            })
        })
        .boxed()
}

fn unsubscribe(version: Version) -> BoxedStrategy<Packet<'static>> {
    (packet_id(), reason_properties(version), vec(filter(), 1..5))
        .prop_map(|(packet_id, properties, given)| {
            let mut filters = FiltersBuf::new();
            for filter in given {
                let subscription = Subscription::new(filter, QoS::AtMostOnce);
                filters.push(subscription).unwrap();
            }
            Packet::Unsubscribe(Unsubscribe {
                packet_id,
                user_properties: properties.user_properties,
                filters: keep(filters).as_list(),
            })
        })
        .boxed()
}

fn reason_codes(codes: &'static [u8]) -> impl Strategy<Value = ReasonCodes<'static>> {
    vec(select(codes).prop_map(ReasonCode), 1..5)
        .prop_map(|codes| ReasonCodes::from(keep(codes).as_slice()))
}

fn suback(version: Version) -> BoxedStrategy<Packet<'static>> {
    let codes = match version {
        Version::V31 => &SUBACK_CODES[..3],
        Version::V311 => &SUBACK_CODES[..4],
        Version::V5 => &SUBACK_CODES,
    };
    (packet_id(), reason_properties(version), reason_codes(codes))
        .prop_map(|(packet_id, properties, reasons)| {
            Packet::SubAck(SubAck {
                packet_id,
                properties,
                reasons,
            })
        })
        .boxed()
}

fn unsuback(version: Version) -> BoxedStrategy<Packet<'static>> {
    let codes = match version {
        Version::V5 => reason_codes(&UNSUBACK_CODES).boxed(),
        _ => Just(ReasonCodes::default()).boxed(),
    };
    (packet_id(), reason_properties(version), codes)
        .prop_map(|(packet_id, properties, reasons)| {
            Packet::UnsubAck(SubAck {
                packet_id,
                properties,
                reasons,
            })
        })
        .boxed()
}

fn client_disconnect(version: Version) -> BoxedStrategy<Packet<'static>> {
    if version != Version::V5 {
        return Just(Packet::Disconnect(Disconnect::default())).boxed();
    }
    (
        reason(version, &CLIENT_DISCONNECT_REASONS),
        maybe(any::<u32>()),
        reason_properties(version),
    )
        .prop_map(|(reason, session_expiry_interval, properties)| {
            Packet::Disconnect(Disconnect {
                reason,
                session_expiry_interval,
                properties,
                server_reference: None,
            })
        })
        .boxed()
}

fn server_disconnect() -> BoxedStrategy<Packet<'static>> {
    (
        reason(Version::V5, &SERVER_DISCONNECT_REASONS),
        reason_properties(Version::V5),
        maybe(text()),
    )
        .prop_map(|(reason, properties, server_reference)| {
            Packet::Disconnect(Disconnect {
                reason,
                session_expiry_interval: None,
                properties,
                server_reference,
            })
        })
        .boxed()
}

fn auth(reasons: &'static [u8]) -> BoxedStrategy<Packet<'static>> {
    (
        reason(Version::V5, reasons),
        text(),
        maybe(bytes()),
        reason_properties(Version::V5),
    )
        .prop_map(|(reason, method, authentication_data, properties)| {
            Packet::Auth(Auth {
                reason,
                authentication_method: Some(method),
                authentication_data,
                properties,
            })
        })
        .boxed()
}
