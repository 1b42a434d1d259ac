//! Random CONNECT and CONNACK packets.

use landfall_protocol::{
    Packet, QoS, ReasonCode, Version,
    packet::{ConnAck, ConnAckProperties, Connect, ConnectProperties, PublishProperties, Will},
};
use proptest::{option, prelude::*, sample::select};

use super::{
    bytes, maybe, message_properties, text, topic,
    values::{qos, user_properties},
};

const CONNACK_REASONS: [u8; 22] = [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
    0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
];
/// Those that have a return code of their own in 3.x.
const RETURN_CODE_REASONS: [u8; 6] = [0x00, 0x84, 0x85, 0x86, 0x87, 0x88];

pub(super) fn connect(version: Version) -> BoxedStrategy<Packet<'static>> {
    let properties = match version {
        Version::V5 => connect_properties().boxed(),
        _ => Just(ConnectProperties::default()).boxed(),
    };
    (
        any::<bool>(),
        any::<u16>(),
        properties,
        text(),
        option::of(will(version)),
        option::of(text()),
        option::of(bytes()),
    )
        .prop_map(
            move |(clean, keep_alive, properties, client_id, will, user_name, password)| {
                Packet::Connect(Connect {
                    version,
                    clean,
                    keep_alive,
                    properties,
                    client_id,
                    will,
                    user_name,
                    password: password.filter(|_| version == Version::V5 || user_name.is_some()),
                })
            },
        )
        .boxed()
}

fn connect_properties() -> impl Strategy<Value = ConnectProperties<'static>> {
    (
        maybe(any::<u32>()),
        maybe(1..=u16::MAX),
        maybe(1..=u32::MAX),
        maybe(any::<u16>()),
        maybe(any::<bool>()),
        maybe(any::<bool>()),
        user_properties(),
        maybe((text(), option::of(bytes()))),
    )
        .prop_map(
            |(expiry, receive, size, alias, response, problem, user_properties, authentication)| {
                ConnectProperties {
                    session_expiry_interval: expiry,
                    receive_maximum: receive.map(|n| n.try_into().unwrap()),
                    maximum_packet_size: size.map(|n| n.try_into().unwrap()),
                    topic_alias_maximum: alias,
                    request_response_information: response,
                    request_problem_information: problem,
                    user_properties,
                    authentication_method: authentication.map(|(method, _)| method),
                    authentication_data: authentication.and_then(|(_, data)| data),
                }
            },
        )
}

fn will(version: Version) -> BoxedStrategy<Will<'static>> {
    let properties = match version {
        Version::V5 => (maybe(any::<u32>()), message_properties()).boxed(),
        _ => Just((None, PublishProperties::default())).boxed(),
    };
    (topic(), bytes(), qos(), any::<bool>(), properties)
        .prop_map(
            |(topic, payload, qos, retain, (delay_interval, properties))| Will {
                topic,
                payload,
                qos,
                retain,
                delay_interval,
                properties,
            },
        )
        .boxed()
}

pub(super) fn connack(version: Version) -> BoxedStrategy<Packet<'static>> {
    let (reasons, properties) = match version {
        Version::V5 => (&CONNACK_REASONS[..], connack_properties()),
        _ => (
            &RETURN_CODE_REASONS[..],
            Just(ConnAckProperties::default()).boxed(),
        ),
    };
    (any::<bool>(), select(reasons), properties)
        .prop_map(move |(session_present, reason, properties)| {
            Packet::ConnAck(ConnAck {
                session_present: session_present && reason == 0 && version != Version::V31,
                reason: ReasonCode(reason),
                properties,
            })
        })
        .boxed()
}

fn connack_properties() -> BoxedStrategy<ConnAckProperties<'static>> {
    let limits = (
        maybe(any::<u32>()),
        maybe(1..=u16::MAX),
        maybe(select(vec![QoS::AtMostOnce, QoS::AtLeastOnce])),
        maybe(1..=u32::MAX),
        maybe(any::<u16>()),
        maybe(any::<u16>()),
    );
    let available = (
        maybe(any::<bool>()),
        maybe(any::<bool>()),
        maybe(any::<bool>()),
        maybe(any::<bool>()),
    );
    let texts = (maybe(text()), maybe(text()), maybe(text()), maybe(text()));
    let authentication = maybe((text(), option::of(bytes())));
    (limits, available, texts, user_properties(), authentication)
        .prop_map(
            |(
                (expiry, receive, maximum_qos, size, alias, keep_alive),
                (retain, wildcards, identifiers, shared),
                (client, reason, response, server),
                user_properties,
                authentication,
            )| ConnAckProperties {
                session_expiry_interval: expiry,
                receive_maximum: receive.map(|n| n.try_into().unwrap()),
                maximum_qos,
                retain_available: retain,
                maximum_packet_size: size.map(|n| n.try_into().unwrap()),
                assigned_client_identifier: client,
                topic_alias_maximum: alias,
                reason_string: reason,
                user_properties,
                wildcard_subscription_available: wildcards,
                subscription_identifiers_available: identifiers,
                shared_subscription_available: shared,
                server_keep_alive: keep_alive,
                response_information: response,
                server_reference: server,
                authentication_method: authentication.map(|(method, _)| method),
                authentication_data: authentication.and_then(|(_, data)| data),
            },
        )
        .boxed()
}
