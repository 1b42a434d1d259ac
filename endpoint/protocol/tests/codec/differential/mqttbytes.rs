//! `mqttbytes` as an independent decoder and encoder.

use std::panic;

use bytes::BytesMut;
use landfall_protocol::{Packet, Version};
use mqttbytes::{Error, v4, v5};

use crate::describe::{Line, describe};

use super::Oracle;

pub(super) struct Mqttbytes;

enum Decoded {
    V4(v4::Packet),
    V5(Box<v5::Packet>),
}

fn decode(bytes: &[u8], version: Version) -> Result<Decoded, String> {
    let read = || {
        let mut input = BytesMut::from(bytes);
        match version {
            Version::V5 => {
                v5::read(&mut input, usize::MAX).map(|packet| Decoded::V5(Box::new(packet)))
            }
            _ => v4::read(&mut input, usize::MAX).map(Decoded::V4),
        }
    };
    // Some malformed packets make it panic.
    match panic::catch_unwind(read) {
        Ok(read) => read.map_err(|error: Error| format!("{error:?}")),
        Err(_) => Err("panic".to_owned()),
    }
}

impl Oracle for Mqttbytes {
    fn name(&self) -> &'static str {
        "mqttbytes"
    }

    fn versions(&self) -> &'static [Version] {
        &[Version::V311, Version::V5]
    }

    fn decode(&self, bytes: &[u8], version: Version) -> Result<String, String> {
        match decode(bytes, version) {
            Ok(Decoded::V4(packet)) => Ok(describe_v4(&packet)),
            Ok(Decoded::V5(packet)) => Ok(describe_v5(&packet)),
            Err(error) => Err(error),
        }
    }

    fn encode_again(&self, bytes: &[u8], version: Version) -> Option<Vec<u8>> {
        let mut out = BytesMut::new();
        match decode(bytes, version).ok()? {
            Decoded::V4(packet) => write_v4(&packet, &mut out).ok()?,
            Decoded::V5(packet) => write_v5(&packet, &mut out).ok()?,
        };
        Some(out.to_vec())
    }

    fn describe(&self, packet: &Packet<'_>) -> String {
        describe(&as_it_is_kept(packet))
    }
}

/// It does not tell an empty user name or password from an absent one.
fn as_it_is_kept<'a>(packet: &Packet<'a>) -> Packet<'a> {
    let mut packet = packet.clone();
    if let Packet::Connect(connect) = &mut packet {
        connect.user_name = connect.user_name.filter(|name| !name.is_empty());
        connect.password = connect.password.filter(|password| !password.is_empty());
    }
    packet
}

fn write_v4(packet: &v4::Packet, out: &mut BytesMut) -> Result<usize, Error> {
    use v4::Packet as P;
    match packet {
        P::Connect(packet) => packet.write(out),
        P::ConnAck(packet) => packet.write(out),
        P::Publish(packet) => packet.write(out),
        P::PubAck(packet) => packet.write(out),
        P::PubRec(packet) => packet.write(out),
        P::PubRel(packet) => packet.write(out),
        P::PubComp(packet) => packet.write(out),
        P::Subscribe(packet) => packet.write(out),
        P::SubAck(packet) => packet.write(out),
        P::Unsubscribe(packet) => packet.write(out),
        P::UnsubAck(packet) => packet.write(out),
        P::PingReq => v4::PingReq.write(out),
        P::PingResp => v4::PingResp.write(out),
        P::Disconnect => v4::Disconnect.write(out),
    }
}

fn write_v5(packet: &v5::Packet, out: &mut BytesMut) -> Result<usize, Error> {
    use v5::Packet as P;
    match packet {
        P::Connect(packet) => packet.write(out),
        P::ConnAck(packet) => packet.write(out),
        P::Publish(packet) => packet.write(out),
        P::PubAck(packet) => packet.write(out),
        P::PubRec(packet) => packet.write(out),
        P::PubRel(packet) => packet.write(out),
        P::PubComp(packet) => packet.write(out),
        P::Subscribe(packet) => packet.write(out),
        P::SubAck(packet) => packet.write(out),
        P::Unsubscribe(packet) => packet.write(out),
        P::UnsubAck(packet) => packet.write(out),
        P::PingReq => v5::PingReq.write(out),
        P::PingResp => v5::PingResp.write(out),
        P::Disconnect(packet) => packet.write(out),
    }
}

fn user<'a>(line: &mut Line, properties: impl IntoIterator<Item = &'a (String, String)>) {
    let pairs = properties.into_iter();
    line.user(pairs.map(|(name, value)| (name.as_str(), value.as_str())));
}

/// A boolean property that is kept as the byte it was.
fn boolean(byte: Option<u8>) -> Option<String> {
    byte.map(|byte| match byte {
        0 => "false".to_owned(),
        1 => "true".to_owned(),
        other => other.to_string(),
    })
}

fn describe_v4(packet: &v4::Packet) -> String {
    use v4::Packet as P;
    let mut line;
    match packet {
        P::Connect(connect) => {
            line = Line::new("CONNECT");
            line.word("version", "3.1.1")
                .flag("clean", connect.clean_session)
                .word("keep-alive", connect.keep_alive)
                .text("client", Some(&connect.client_id));
            if let Some(will) = &connect.last_will {
                let mut inner = Line::new("WILL");
                inner
                    .qos(will.qos as u8)
                    .flag("retain", will.retain)
                    .text("topic", Some(&will.topic))
                    .bytes("payload", Some(&will.message));
                line.word("will", format!("({})", inner.finish()));
            }
            if let Some(login) = &connect.login {
                credentials(&mut line, &login.username, &login.password);
            }
        }
        P::ConnAck(connack) => {
            let reason = [0x00, 0x84, 0x85, 0x88, 0x86, 0x87];
            line = Line::new("CONNACK");
            line.flag("session-present", connack.session_present)
                .reason(reason[connack.code as usize]);
        }
        P::Publish(publish) => {
            line = Line::new("PUBLISH");
            line.flag("dup", publish.dup)
                .qos(publish.qos as u8)
                .flag("retain", publish.retain)
                .text("topic", Some(&publish.topic))
                .option("id", Some(publish.pkid).filter(|&id| id > 0))
                .bytes("payload", Some(&publish.payload));
        }
        P::PubAck(ack) => return format!("PUBACK id={}", ack.pkid),
        P::PubRec(ack) => return format!("PUBREC id={}", ack.pkid),
        P::PubRel(ack) => return format!("PUBREL id={}", ack.pkid),
        P::PubComp(ack) => return format!("PUBCOMP id={}", ack.pkid),
        P::Subscribe(subscribe) => {
            line = Line::new("SUBSCRIBE");
            line.word("id", subscribe.pkid);
            for filter in &subscribe.filters {
                line.filter(&filter.path, filter.qos as u8, false, false, 0);
            }
        }
        P::SubAck(suback) => {
            line = Line::new("SUBACK");
            line.word("id", suback.pkid);
            for code in &suback.return_codes {
                let code = match code {
                    v4::SubscribeReasonCode::Success(qos) => *qos as u8,
                    v4::SubscribeReasonCode::Failure => 0x80,
                };
                line.word("code", format!("0x{code:02X}"));
            }
        }
        P::Unsubscribe(unsubscribe) => {
            line = Line::new("UNSUBSCRIBE");
            line.word("id", unsubscribe.pkid);
            for filter in &unsubscribe.topics {
                line.text("filter", Some(filter));
            }
        }
        P::UnsubAck(unsuback) => return format!("UNSUBACK id={}", unsuback.pkid),
        P::PingReq => return "PINGREQ".to_owned(),
        P::PingResp => return "PINGRESP".to_owned(),
        P::Disconnect => return "DISCONNECT".to_owned(),
    }
    line.finish()
}

fn credentials(line: &mut Line, user_name: &str, password: &str) {
    line.text("name", Some(user_name).filter(|name| !name.is_empty()))
        .bytes(
            "password",
            Some(password.as_bytes()).filter(|password| !password.is_empty()),
        );
}

/// An acknowledgement: its four kinds are four types of the same fields.
macro_rules! ack {
    ($name:literal, $ack:expr) => {{
        let mut line = Line::new($name);
        line.word("id", $ack.pkid).reason($ack.reason as u8);
        if let Some(p) = &$ack.properties {
            line.text("reason-string", p.reason_string.as_deref());
            user(&mut line, &p.user_properties);
        }
        line
    }};
}

fn describe_v5(packet: &v5::Packet) -> String {
    use v5::Packet as P;
    let mut line;
    match packet {
        P::Connect(connect) => line = connect_v5(connect),
        P::ConnAck(connack) => line = connack_v5(connack),
        P::Publish(publish) => line = publish_v5(publish),
        P::PubAck(ack) => line = ack!("PUBACK", ack),
        P::PubRec(ack) => line = ack!("PUBREC", ack),
        P::PubRel(ack) => line = ack!("PUBREL", ack),
        P::PubComp(ack) => line = ack!("PUBCOMP", ack),
        P::Subscribe(subscribe) => {
            line = Line::new("SUBSCRIBE");
            line.word("id", subscribe.pkid);
            if let Some(p) = &subscribe.properties {
                line.option("subscription", p.id);
                user(&mut line, &p.user_properties);
            }
            for filter in &subscribe.filters {
                let retain_handling = match filter.retain_forward_rule {
                    v5::RetainForwardRule::OnEverySubscribe => 0,
                    v5::RetainForwardRule::OnNewSubscribe => 1,
                    v5::RetainForwardRule::Never => 2,
                };
                line.filter(
                    &filter.path,
                    filter.qos as u8,
                    filter.nolocal,
                    filter.preserve_retain,
                    retain_handling,
                );
            }
        }
        P::SubAck(suback) => {
            line = Line::new("SUBACK");
            line.word("id", suback.pkid);
            if let Some(p) = &suback.properties {
                line.text("reason-string", p.reason_string.as_deref());
                user(&mut line, &p.user_properties);
            }
            for code in &suback.return_codes {
                line.word("code", format!("0x{:02X}", *code as u8));
            }
        }
        P::Unsubscribe(unsubscribe) => {
            line = Line::new("UNSUBSCRIBE");
            line.word("id", unsubscribe.pkid);
            if let Some(p) = &unsubscribe.properties {
                user(&mut line, &p.user_properties);
            }
            for filter in &unsubscribe.filters {
                line.text("filter", Some(filter));
            }
        }
        P::UnsubAck(unsuback) => {
            line = Line::new("UNSUBACK");
            line.word("id", unsuback.pkid);
            if let Some(p) = &unsuback.properties {
                line.text("reason-string", p.reason_string.as_deref());
                user(&mut line, &p.user_properties);
            }
            for code in &unsuback.reasons {
                line.word("code", format!("0x{:02X}", *code as u8));
            }
        }
        P::PingReq => line = Line::new("PINGREQ"),
        P::PingResp => line = Line::new("PINGRESP"),
        P::Disconnect(disconnect) => {
            line = Line::new("DISCONNECT");
            line.reason(disconnect.reason_code as u8);
            if let Some(p) = &disconnect.properties {
                line.option("session-expiry", p.session_expiry_interval)
                    .text("reason-string", p.reason_string.as_deref());
                user(&mut line, &p.user_properties);
                line.text("server", p.server_reference.as_deref());
            }
        }
    }
    line.finish()
}

fn publish_v5(publish: &v5::Publish) -> Line {
    let mut line = Line::new("PUBLISH");
    line.flag("dup", publish.dup)
        .qos(publish.qos as u8)
        .flag("retain", publish.retain)
        .text("topic", Some(&publish.topic))
        .option("id", Some(publish.pkid).filter(|&id| id > 0));
    if let Some(p) = &publish.properties {
        line.option("utf8", boolean(p.payload_format_indicator))
            .option("expiry", p.message_expiry_interval)
            .option("alias", p.topic_alias)
            .text("response", p.response_topic.as_deref())
            .bytes("correlation", p.correlation_data.as_deref());
        user(&mut line, &p.user_properties);
        for identifier in &p.subscription_identifiers {
            line.word("subscription", identifier);
        }
        line.text("type", p.content_type.as_deref());
    }
    line.bytes("payload", Some(&publish.payload));
    line
}

fn connect_v5(connect: &v5::Connect) -> Line {
    let mut line = Line::new("CONNECT");
    line.word("version", "5")
        .flag("clean", connect.clean_session)
        .word("keep-alive", connect.keep_alive);
    if let Some(p) = &connect.properties {
        line.option("session-expiry", p.session_expiry_interval)
            .option("receive-maximum", p.receive_maximum)
            .option("maximum-packet-size", p.max_packet_size)
            .option("topic-alias-maximum", p.topic_alias_max)
            .option("response-information", boolean(p.request_response_info))
            .option("problem-information", boolean(p.request_problem_info));
        user(&mut line, &p.user_properties);
        line.text("method", p.authentication_method.as_deref())
            .bytes("data", p.authentication_data.as_deref());
    }
    line.text("client", Some(&connect.client_id));
    if let Some(will) = &connect.last_will {
        let mut inner = Line::new("WILL");
        inner.qos(will.qos as u8).flag("retain", will.retain);
        if let Some(p) = &will.properties {
            inner
                .option("delay", p.delay_interval)
                .option("utf8", boolean(p.payload_format_indicator))
                .option("expiry", p.message_expiry_interval)
                .text("response", p.response_topic.as_deref())
                .bytes("correlation", p.correlation_data.as_deref());
            user(&mut inner, &p.user_properties);
            inner.text("type", p.content_type.as_deref());
        }
        inner
            .text("topic", Some(&will.topic))
            .bytes("payload", Some(&will.message));
        line.word("will", format!("({})", inner.finish()));
    }
    if let Some(login) = &connect.login {
        credentials(&mut line, &login.username, &login.password);
    }
    line
}

fn connack_v5(connack: &v5::ConnAck) -> Line {
    let mut line = Line::new("CONNACK");
    line.flag("session-present", connack.session_present)
        .reason(connack.code as u8);
    if let Some(p) = &connack.properties {
        line.option("session-expiry", p.session_expiry_interval)
            .option("receive-maximum", p.receive_max)
            .option("maximum-qos", p.max_qos)
            .option("retain-available", boolean(p.retain_available))
            .option("maximum-packet-size", p.max_packet_size)
            .text("client", p.assigned_client_identifier.as_deref())
            .option("topic-alias-maximum", p.topic_alias_max)
            .text("reason-string", p.reason_string.as_deref());
        user(&mut line, &p.user_properties);
        line.option("wildcards", boolean(p.wildcard_subscription_available))
            .option("identifiers", boolean(p.subscription_identifiers_available))
            .option("shared", boolean(p.shared_subscription_available))
            .option("keep-alive", p.server_keep_alive)
            .text("response-information", p.response_information.as_deref())
            .text("server", p.server_reference.as_deref())
            .text("method", p.authentication_method.as_deref())
            .bytes("data", p.authentication_data.as_deref());
    }
    line
}
