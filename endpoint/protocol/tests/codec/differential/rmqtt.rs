//! `rmqtt-codec` as an independent decoder and encoder.
//!
//! It reads an absent property and one at its default as the same, so what stands at its default
//! is left out of the description, on both sides.

use bytes::BytesMut;
use landfall_protocol::{Packet, Version, packet::PublishProperties};
use rmqtt_codec::{types, v3, v5};
use tokio_util::codec::{Decoder, Encoder};

use crate::describe::{Line, describe};

use super::Oracle;

pub(super) struct Rmqtt;

enum Decoded {
    V3(v3::Packet),
    V5(v5::Packet),
}

fn decode(bytes: &[u8], version: Version) -> Result<Decoded, String> {
    let mut input = BytesMut::from(bytes);
    let decoded = match version {
        Version::V5 => v5::Codec::new(0, 0)
            .decode(&mut input)
            .map(|packet| packet.map(|(packet, _)| Decoded::V5(packet))),
        _ => v3::Codec::new(0)
            .decode(&mut input)
            .map(|packet| packet.map(|(packet, _)| Decoded::V3(packet))),
    };
    match decoded {
        Ok(Some(packet)) => Ok(packet),
        Ok(None) => Err("incomplete".to_owned()),
        Err(error) => Err(format!("{error:?}")),
    }
}

impl Oracle for Rmqtt {
    fn name(&self) -> &'static str {
        "rmqtt-codec"
    }

    fn versions(&self) -> &'static [Version] {
        &[Version::V31, Version::V311, Version::V5]
    }

    fn decode(&self, bytes: &[u8], version: Version) -> Result<String, String> {
        match decode(bytes, version) {
            Ok(Decoded::V3(packet)) => Ok(describe_v3(&packet)),
            Ok(Decoded::V5(packet)) => Ok(describe_v5(&packet)),
            Err(error) => Err(error),
        }
    }

    fn encode_again(&self, bytes: &[u8], version: Version) -> Option<Vec<u8>> {
        let mut out = BytesMut::new();
        match decode(bytes, version).ok()? {
            Decoded::V3(packet) => v3::Codec::new(0).encode(packet, &mut out).ok()?,
            Decoded::V5(packet) => v5::Codec::new(0, 0).encode(packet, &mut out).ok()?,
        }
        Some(out.to_vec())
    }

    fn describe(&self, packet: &Packet<'_>) -> String {
        describe(&without_defaults(packet))
    }
}

/// Takes out what stands at its default.
fn without_defaults<'a>(packet: &Packet<'a>) -> Packet<'a> {
    let mut packet = packet.clone();
    match &mut packet {
        Packet::Connect(connect) => {
            let p = &mut connect.properties;
            p.session_expiry_interval = p.session_expiry_interval.filter(|&n| n > 0);
            p.topic_alias_maximum = p.topic_alias_maximum.filter(|&n| n > 0);
            p.request_response_information = p.request_response_information.filter(|&on| on);
            p.request_problem_information = p.request_problem_information.filter(|&on| !on);
        }
        Packet::ConnAck(connack) => {
            let p = &mut connack.properties;
            p.receive_maximum = p.receive_maximum.filter(|n| n.get() < u16::MAX);
            p.topic_alias_maximum = p.topic_alias_maximum.filter(|&n| n > 0);
            for available in [
                &mut p.retain_available,
                &mut p.wildcard_subscription_available,
                &mut p.subscription_identifiers_available,
                &mut p.shared_subscription_available,
            ] {
                *available = available.filter(|&on| !on);
            }
        }
        Packet::Publish(publish) => {
            let p: &mut PublishProperties<'_> = &mut publish.properties;
            p.payload_is_utf8 = p.payload_is_utf8.filter(|&on| on);
        }
        _ => {}
    }
    packet
}

fn describe_v3(packet: &v3::Packet) -> String {
    use v3::Packet as P;
    match packet {
        P::Connect(connect) => {
            let version = match connect.protocol.level() {
                3 => "3.1",
                4 => "3.1.1",
                other => panic!("level {other}"),
            };
            let mut line = Line::new("CONNECT");
            line.word("version", version)
                .flag("clean", connect.clean_session)
                .word("keep-alive", connect.keep_alive)
                .text("client", Some(&connect.client_id));
            if let Some(will) = &connect.last_will {
                let mut inner = Line::new("WILL");
                inner
                    .qos(will.qos.into())
                    .flag("retain", will.retain)
                    .text("topic", Some(&will.topic))
                    .bytes("payload", Some(&will.message));
                line.word("will", format!("({})", inner.finish()));
            }
            line.text("name", connect.username.as_deref())
                .bytes("password", connect.password.as_deref());
            line.finish()
        }
        P::ConnectAck(connack) => {
            let reason = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87, 0xFF];
            let mut line = Line::new("CONNACK");
            line.flag("session-present", connack.session_present)
                .reason(reason[usize::from(u8::from(connack.return_code))]);
            line.finish()
        }
        P::Publish(publish) => describe_publish(publish),
        P::PublishAck { packet_id } => format!("PUBACK id={packet_id}"),
        P::PublishReceived { packet_id } => format!("PUBREC id={packet_id}"),
        P::PublishRelease { packet_id } => format!("PUBREL id={packet_id}"),
        P::PublishComplete { packet_id } => format!("PUBCOMP id={packet_id}"),
        P::Subscribe {
            packet_id,
            topic_filters,
        } => {
            let mut line = Line::new("SUBSCRIBE");
            line.word("id", packet_id);
            for (filter, qos) in topic_filters {
                line.filter(filter, (*qos).into(), false, false, 0);
            }
            line.finish()
        }
        P::SubscribeAck { packet_id, status } => {
            let mut line = Line::new("SUBACK");
            line.word("id", packet_id);
            for code in status {
                let code = match code {
                    v3::SubscribeReturnCode::Success(qos) => u8::from(*qos),
                    v3::SubscribeReturnCode::Failure => 0x80,
                };
                line.word("code", format!("0x{code:02X}"));
            }
            line.finish()
        }
        P::Unsubscribe {
            packet_id,
            topic_filters,
        } => {
            let mut line = Line::new("UNSUBSCRIBE");
            line.word("id", packet_id);
            for filter in topic_filters {
                line.text("filter", Some(filter));
            }
            line.finish()
        }
        P::UnsubscribeAck { packet_id } => format!("UNSUBACK id={packet_id}"),
        P::PingRequest => "PINGREQ".to_owned(),
        P::PingResponse => "PINGRESP".to_owned(),
        P::Disconnect => "DISCONNECT".to_owned(),
    }
}

fn describe_publish(publish: &types::Publish) -> String {
    let mut line = Line::new("PUBLISH");
    line.flag("dup", publish.dup)
        .qos(publish.qos.into())
        .flag("retain", publish.retain)
        .text("topic", Some(&publish.topic))
        .option("id", publish.packet_id);
    if let Some(p) = &publish.properties {
        line.option("utf8", Some(true).filter(|_| p.is_utf8_payload))
            .option("expiry", p.message_expiry_interval)
            .option("alias", p.topic_alias)
            .text("response", p.response_topic.as_deref())
            .bytes("correlation", p.correlation_data.as_deref());
        user(&mut line, &p.user_properties);
        for identifier in &p.subscription_ids {
            line.word("subscription", identifier);
        }
        line.text("type", p.content_type.as_deref());
    }
    line.bytes("payload", Some(&publish.payload));
    line.finish()
}

fn user(line: &mut Line, properties: &v5::UserProperties) {
    line.user(properties.iter().map(|(name, value)| (&**name, &**value)));
}

fn describe_v5(packet: &v5::Packet) -> String {
    use v5::Packet as P;
    let mut line;
    match packet {
        P::Connect(connect) => return describe_connect_v5(connect),
        P::ConnectAck(connack) => return describe_connack_v5(connack),
        P::Publish(publish) => return describe_publish(publish),
        P::PublishAck(ack) | P::PublishReceived(ack) => {
            line = Line::new(match packet {
                P::PublishAck(_) => "PUBACK",
                _ => "PUBREC",
            });
            line.word("id", ack.packet_id)
                .reason(ack.reason_code.into())
                .text("reason-string", ack.reason_string.as_deref());
            user(&mut line, &ack.properties);
        }
        P::PublishRelease(ack) | P::PublishComplete(ack) => {
            line = Line::new(match packet {
                P::PublishRelease(_) => "PUBREL",
                _ => "PUBCOMP",
            });
            line.word("id", ack.packet_id)
                .reason(ack.reason_code.into())
                .text("reason-string", ack.reason_string.as_deref());
            user(&mut line, &ack.properties);
        }
        P::Subscribe(subscribe) => {
            line = Line::new("SUBSCRIBE");
            line.word("id", subscribe.packet_id)
                .option("subscription", subscribe.id);
            user(&mut line, &subscribe.user_properties);
            for (filter, options) in &subscribe.topic_filters {
                line.filter(
                    filter,
                    options.qos.into(),
                    options.no_local,
                    options.retain_as_published,
                    options.retain_handling.into(),
                );
            }
        }
        P::SubscribeAck(suback) => {
            line = Line::new("SUBACK");
            line.word("id", suback.packet_id)
                .text("reason-string", suback.reason_string.as_deref());
            user(&mut line, &suback.properties);
            for code in &suback.status {
                line.word("code", format!("0x{:02X}", u8::from(*code)));
            }
        }
        P::Unsubscribe(unsubscribe) => {
            line = Line::new("UNSUBSCRIBE");
            line.word("id", unsubscribe.packet_id);
            user(&mut line, &unsubscribe.user_properties);
            for filter in &unsubscribe.topic_filters {
                line.text("filter", Some(filter));
            }
        }
        P::UnsubscribeAck(unsuback) => {
            line = Line::new("UNSUBACK");
            line.word("id", unsuback.packet_id)
                .text("reason-string", unsuback.reason_string.as_deref());
            user(&mut line, &unsuback.properties);
            for code in &unsuback.status {
                line.word("code", format!("0x{:02X}", u8::from(*code)));
            }
        }
        P::PingRequest => line = Line::new("PINGREQ"),
        P::PingResponse => line = Line::new("PINGRESP"),
        P::Disconnect(disconnect) => {
            line = Line::new("DISCONNECT");
            line.reason(disconnect.reason_code.into())
                .option("session-expiry", disconnect.session_expiry_interval_secs)
                .text("reason-string", disconnect.reason_string.as_deref());
            user(&mut line, &disconnect.user_properties);
            line.text("server", disconnect.server_reference.as_deref());
        }
        P::Auth(auth) => {
            line = Line::new("AUTH");
            line.reason(auth.reason_code.into())
                .text("method", auth.auth_method.as_deref())
                .bytes("data", auth.auth_data.as_deref())
                .text("reason-string", auth.reason_string.as_deref());
            user(&mut line, &auth.user_properties);
        }
    }
    line.finish()
}

fn describe_connect_v5(connect: &v5::Connect) -> String {
    let mut line = Line::new("CONNECT");
    line.word("version", "5")
        .flag("clean", connect.clean_start)
        .word("keep-alive", connect.keep_alive)
        .option(
            "session-expiry",
            Some(connect.session_expiry_interval_secs).filter(|&n| n > 0),
        )
        .option("receive-maximum", connect.receive_max)
        .option("maximum-packet-size", connect.max_packet_size)
        .option(
            "topic-alias-maximum",
            Some(connect.topic_alias_max).filter(|&n| n > 0),
        )
        .option(
            "response-information",
            Some(true).filter(|_| connect.request_response_info),
        )
        .option(
            "problem-information",
            Some(false).filter(|_| !connect.request_problem_info),
        );
    user(&mut line, &connect.user_properties);
    line.text("method", connect.auth_method.as_deref())
        .bytes("data", connect.auth_data.as_deref())
        .text("client", Some(&connect.client_id));
    if let Some(will) = &connect.last_will {
        let mut inner = Line::new("WILL");
        inner
            .qos(will.qos.into())
            .flag("retain", will.retain)
            .option("delay", will.will_delay_interval_sec)
            .option("utf8", will.is_utf8_payload)
            .option("expiry", will.message_expiry_interval)
            .text("response", will.response_topic.as_deref())
            .bytes("correlation", will.correlation_data.as_deref());
        user(&mut inner, &will.user_properties);
        inner
            .text("type", will.content_type.as_deref())
            .text("topic", Some(&will.topic))
            .bytes("payload", Some(&will.message));
        line.word("will", format!("({})", inner.finish()));
    }
    line.text("name", connect.username.as_deref())
        .bytes("password", connect.password.as_deref());
    line.finish()
}

fn describe_connack_v5(connack: &v5::ConnectAck) -> String {
    let unavailable = |available: bool| Some(false).filter(|_| !available);
    let mut line = Line::new("CONNACK");
    line.flag("session-present", connack.session_present)
        .reason(connack.reason_code.into())
        .option("session-expiry", connack.session_expiry_interval_secs)
        .option(
            "receive-maximum",
            Some(connack.receive_max).filter(|n| n.get() < u16::MAX),
        )
        .option(
            "maximum-qos",
            Some(u8::from(connack.max_qos)).filter(|&qos| qos < 2),
        )
        .option("retain-available", unavailable(connack.retain_available))
        .option("maximum-packet-size", connack.max_packet_size)
        .text("client", connack.assigned_client_id.as_deref())
        .option(
            "topic-alias-maximum",
            Some(connack.topic_alias_max).filter(|&n| n > 0),
        )
        .text("reason-string", connack.reason_string.as_deref());
    user(&mut line, &connack.user_properties);
    line.option(
        "wildcards",
        unavailable(connack.wildcard_subscription_available),
    )
    .option(
        "identifiers",
        unavailable(connack.subscription_identifiers_available),
    )
    .option("shared", unavailable(connack.shared_subscription_available))
    .option("keep-alive", connack.server_keepalive_sec)
    .text("response-information", connack.response_info.as_deref())
    .text("server", connack.server_reference.as_deref())
    .text("method", connack.auth_method.as_deref())
    .bytes("data", connack.auth_data.as_deref());
    line.finish()
}
