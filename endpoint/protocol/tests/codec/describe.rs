//! A packet as one line of text that leaves out what is absent: what the data files expect, and
//! what packets of other implementations are compared by.

use std::fmt::Display;

use landfall_protocol::{
    Packet, QoS, ReasonCode,
    packet::{
        Ack, Auth, ConnAck, Connect, Disconnect, Publish, PublishProperties, ReasonProperties,
        SubAck, Subscribe, Subscription, Unsubscribe, UserProperties, Will,
    },
};

/// Builds a description word by word.
pub(crate) struct Line(String);

impl Line {
    pub(crate) fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }

    pub(crate) fn word(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.0 += &format!(" {name}={value}");
        self
    }

    pub(crate) fn flag(&mut self, name: &str, set: bool) -> &mut Self {
        if set {
            self.0 += &format!(" {name}");
        }
        self
    }

    pub(crate) fn option(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.word(name, value);
        }
        self
    }

    pub(crate) fn qos(&mut self, qos: u8) -> &mut Self {
        self.option("qos", Some(qos).filter(|&qos| qos > 0))
    }

    pub(crate) fn reason(&mut self, reason: u8) -> &mut Self {
        let reason = Some(reason).filter(|&reason| reason > 0);
        self.option("reason", reason.map(|reason| format!("0x{reason:02X}")))
    }

    pub(crate) fn text(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        self.option(name, value.map(|value| format!("{value:?}")))
    }

    pub(crate) fn bytes(&mut self, name: &str, value: Option<&[u8]>) -> &mut Self {
        let value = value.map(|value| format!("\"{}\"", value.escape_ascii()));
        self.option(name, value)
    }

    pub(crate) fn user<'a>(
        &mut self,
        properties: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> &mut Self {
        for (name, value) in properties {
            self.0 += &format!(" user={name:?}:{value:?}");
        }
        self
    }

    fn user_properties(&mut self, properties: &UserProperties<'_>) -> &mut Self {
        self.user(properties.iter())
    }

    fn reason_properties(&mut self, properties: &ReasonProperties<'_>) -> &mut Self {
        self.text("reason-string", properties.reason_string)
            .user_properties(&properties.user_properties)
    }

    /// The properties of a message, be it a PUBLISH or a will.
    fn message_properties(&mut self, p: &PublishProperties<'_>) -> &mut Self {
        self.option("utf8", p.payload_is_utf8)
            .option("expiry", p.message_expiry_interval)
            .option("alias", p.topic_alias)
            .text("response", p.response_topic)
            .bytes("correlation", p.correlation_data)
            .user_properties(&p.user_properties);
        for identifier in p.subscription_identifiers.iter() {
            self.word("subscription", identifier);
        }
        self.text("type", p.content_type)
    }

    /// One filter of a SUBSCRIBE: its options follow it.
    pub(crate) fn filter(
        &mut self,
        filter: &str,
        qos: u8,
        no_local: bool,
        retain_as_published: bool,
        retain_handling: u8,
    ) -> &mut Self {
        self.word("filter", format!("{filter:?}"))
            .qos(qos)
            .flag("no-local", no_local)
            .flag("retain-as-published", retain_as_published)
            .option(
                "retain-handling",
                Some(retain_handling).filter(|&handling| handling > 0),
            )
    }
}

/// The whole packet as one line.
pub(crate) fn describe(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Connect(connect) => describe_connect(connect),
        Packet::ConnAck(connack) => describe_connack(connack),
        Packet::Publish(publish) => describe_publish(publish),
        Packet::PubAck(ack) => describe_ack("PUBACK", ack),
        Packet::PubRec(ack) => describe_ack("PUBREC", ack),
        Packet::PubRel(ack) => describe_ack("PUBREL", ack),
        Packet::PubComp(ack) => describe_ack("PUBCOMP", ack),
        Packet::Subscribe(subscribe) => describe_subscribe(subscribe),
        Packet::SubAck(suback) => describe_suback("SUBACK", suback),
        Packet::Unsubscribe(unsubscribe) => describe_unsubscribe(unsubscribe),
        Packet::UnsubAck(unsuback) => describe_suback("UNSUBACK", unsuback),
        Packet::PingReq => "PINGREQ".to_owned(),
        Packet::PingResp => "PINGRESP".to_owned(),
        Packet::Disconnect(disconnect) => describe_disconnect(disconnect),
        Packet::Auth(auth) => describe_auth(auth),
    }
}

fn describe_connect(connect: &Connect<'_>) -> String {
    let p = &connect.properties;
    let mut line = Line::new("CONNECT");
    line.word("version", connect.version.as_str())
        .flag("clean", connect.clean)
        .word("keep-alive", connect.keep_alive)
        .option("session-expiry", p.session_expiry_interval)
        .option("receive-maximum", p.receive_maximum)
        .option("maximum-packet-size", p.maximum_packet_size)
        .option("topic-alias-maximum", p.topic_alias_maximum)
        .option("response-information", p.request_response_information)
        .option("problem-information", p.request_problem_information)
        .user_properties(&p.user_properties)
        .text("method", p.authentication_method)
        .bytes("data", p.authentication_data)
        .text("client", Some(connect.client_id));
    if let Some(will) = &connect.will {
        line.word("will", format!("({})", describe_will(will)));
    }
    line.text("name", connect.user_name)
        .bytes("password", connect.password)
        .0
        .clone()
}

fn describe_will(will: &Will<'_>) -> String {
    let mut line = Line::new("WILL");
    line.qos(will.qos as u8)
        .flag("retain", will.retain)
        .option("delay", will.delay_interval)
        .message_properties(&will.properties)
        .text("topic", Some(will.topic))
        .bytes("payload", Some(will.payload));
    line.finish()
}

fn describe_connack(connack: &ConnAck<'_>) -> String {
    let p = &connack.properties;
    let mut line = Line::new("CONNACK");
    line.flag("session-present", connack.session_present)
        .reason(connack.reason.0)
        .option("session-expiry", p.session_expiry_interval)
        .option("receive-maximum", p.receive_maximum)
        .option("maximum-qos", p.maximum_qos.map(|qos| qos as u8))
        .option("retain-available", p.retain_available)
        .option("maximum-packet-size", p.maximum_packet_size)
        .text("client", p.assigned_client_identifier)
        .option("topic-alias-maximum", p.topic_alias_maximum)
        .text("reason-string", p.reason_string)
        .user_properties(&p.user_properties)
        .option("wildcards", p.wildcard_subscription_available)
        .option("identifiers", p.subscription_identifiers_available)
        .option("shared", p.shared_subscription_available)
        .option("keep-alive", p.server_keep_alive)
        .text("response-information", p.response_information)
        .text("server", p.server_reference)
        .text("method", p.authentication_method)
        .bytes("data", p.authentication_data);
    line.finish()
}

fn describe_publish(publish: &Publish<'_>) -> String {
    let mut line = Line::new("PUBLISH");
    line.flag("dup", publish.dup)
        .qos(publish.qos as u8)
        .flag("retain", publish.retain)
        .text("topic", Some(publish.topic))
        .option("id", publish.packet_id)
        .message_properties(&publish.properties)
        .bytes("payload", Some(publish.payload));
    line.finish()
}

fn describe_ack(name: &str, ack: &Ack<'_>) -> String {
    let mut line = Line::new(name);
    line.word("id", ack.packet_id)
        .reason(ack.reason.0)
        .reason_properties(&ack.properties);
    line.finish()
}

fn describe_subscribe(subscribe: &Subscribe<'_>) -> String {
    let mut line = Line::new("SUBSCRIBE");
    line.word("id", subscribe.packet_id)
        .option("subscription", subscribe.subscription_identifier)
        .user_properties(&subscribe.user_properties);
    assert_eq!(subscribe.filters.iter().count(), subscribe.filters.len());
    for Subscription {
        filter,
        qos,
        no_local,
        retain_as_published,
        retain_handling,
    } in subscribe.filters.iter()
    {
        line.filter(
            filter,
            qos as u8,
            no_local,
            retain_as_published,
            retain_handling,
        );
    }
    line.finish()
}

fn describe_unsubscribe(unsubscribe: &Unsubscribe<'_>) -> String {
    let mut line = Line::new("UNSUBSCRIBE");
    line.word("id", unsubscribe.packet_id)
        .user_properties(&unsubscribe.user_properties);
    assert_eq!(
        unsubscribe.filters.iter().count(),
        unsubscribe.filters.len()
    );
    for subscription in unsubscribe.filters.iter() {
        assert_eq!(subscription.qos, QoS::AtMostOnce);
        line.text("filter", Some(subscription.filter));
    }
    line.finish()
}

fn describe_suback(name: &str, suback: &SubAck<'_>) -> String {
    let mut line = Line::new(name);
    line.word("id", suback.packet_id)
        .reason_properties(&suback.properties);
    for ReasonCode(code) in suback.reasons.iter() {
        line.word("code", format!("0x{code:02X}"));
    }
    line.finish()
}

fn describe_disconnect(disconnect: &Disconnect<'_>) -> String {
    let mut line = Line::new("DISCONNECT");
    line.reason(disconnect.reason.0)
        .option("session-expiry", disconnect.session_expiry_interval)
        .reason_properties(&disconnect.properties)
        .text("server", disconnect.server_reference);
    line.finish()
}

fn describe_auth(auth: &Auth<'_>) -> String {
    let mut line = Line::new("AUTH");
    line.reason(auth.reason.0)
        .text("method", auth.authentication_method)
        .bytes("data", auth.authentication_data)
        .reason_properties(&auth.properties);
    line.finish()
}
