//! Packets as a client sends them.

use super::Version;

/// A CONNECT packet.
#[derive(Clone)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// Seconds; 0 is none.
    pub(crate) keep_alive: u16,
    pub(crate) clean: bool,
    pub(crate) will: Option<Will>,
    /// MQTT 5 properties, encoded.
    pub(crate) properties: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// MQTT 5 will properties, encoded.
    pub(crate) properties: Vec<u8>,
}

/// A PUBLISH packet.
#[derive(Clone, Default)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) id: u16,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    /// MQTT 5 properties, encoded.
    pub(crate) properties: Vec<u8>,
}

/// A SUBSCRIBE packet.
pub(crate) struct Subscribe<'a> {
    pub(crate) id: u16,
    pub(crate) filters: &'a [(&'a str, u8)],
    /// MQTT 5 properties, encoded.
    pub(crate) properties: &'a [u8],
}

impl Connect {
    /// A clean connect of a shared device.
    pub(crate) fn new(version: Version, client_id: &str, user: &str, password: &str) -> Self {
        Self {
            version,
            client_id: client_id.to_owned(),
            user: Some(user.to_owned()),
            password: Some(password.to_owned()),
            keep_alive: 60,
            clean: true,
            will: None,
            properties: Vec::new(),
        }
    }

    pub(crate) fn keep_alive(self, seconds: u16) -> Self {
        Self {
            keep_alive: seconds,
            ..self
        }
    }

    pub(crate) fn will(self, will: Will) -> Self {
        Self {
            will: Some(will),
            ..self
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        put_string(
            &mut body,
            if self.version == Version::V31 {
                "MQIsdp"
            } else {
                "MQTT"
            },
        );
        body.push(self.version as u8);
        body.push(self.flags());
        body.extend(self.keep_alive.to_be_bytes());
        if self.version.is_5() {
            put_properties(&mut body, &self.properties);
        }
        put_string(&mut body, &self.client_id);
        if let Some(will) = &self.will {
            if self.version.is_5() {
                put_properties(&mut body, &will.properties);
            }
            put_string(&mut body, &will.topic);
            put_bytes(&mut body, &will.payload);
        }
        for text in self.user.iter().chain(&self.password) {
            put_string(&mut body, text);
        }
        packet(0x10, &body)
    }

    fn flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |will| {
            0x04 | (will.qos << 3) | (u8::from(will.retain) << 5)
        });
        (u8::from(self.user.is_some()) << 7)
            | (u8::from(self.password.is_some()) << 6)
            | (u8::from(self.clean) << 1)
            | will
    }
}

impl Will {
    pub(crate) fn new(topic: &str, payload: &[u8]) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos: 0,
            retain: false,
            properties: Vec::new(),
        }
    }
}

impl Publish {
    pub(crate) fn new(topic: &str, payload: &[u8]) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            ..Self::default()
        }
    }

    pub(crate) fn qos(self, qos: u8, id: u16) -> Self {
        Self { qos, id, ..self }
    }

    pub(crate) fn properties(self, properties: &[u8]) -> Self {
        Self {
            properties: properties.to_vec(),
            ..self
        }
    }

    pub(crate) fn encode(&self, version: Version) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.topic.len() + self.payload.len() + 8);
        put_string(&mut body, &self.topic);
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        if version.is_5() {
            put_properties(&mut body, &self.properties);
        }
        body.extend(&self.payload);
        let flags = (u8::from(self.dup) << 3) | (self.qos << 1) | u8::from(self.retain);
        packet(0x30 | flags, &body)
    }
}

impl Subscribe<'_> {
    pub(crate) fn encode(&self, version: Version) -> Vec<u8> {
        let mut body = self.id.to_be_bytes().to_vec();
        if version.is_5() {
            put_properties(&mut body, self.properties);
        }
        for (filter, options) in self.filters {
            put_string(&mut body, filter);
            body.push(*options);
        }
        packet(0x82, &body)
    }
}

/// A whole packet: first byte, remaining length, body.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    put_length(&mut packet, body.len());
    packet.extend(body);
    packet
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP without reason code.
pub(crate) fn acknowledgement(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// An MQTT 5 property of a string.
pub(crate) fn string_property(id: u8, value: &str) -> Vec<u8> {
    let mut property = vec![id];
    put_string(&mut property, value);
    property
}

/// Correlation data (MQTT 5, 3.3.2.3.6).
pub(crate) fn correlation(data: &[u8]) -> Vec<u8> {
    let mut property = vec![0x09];
    put_bytes(&mut property, data);
    property
}

/// A variable byte integer [MQTT-1.5.5].
pub(crate) fn put_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let digit = u8::try_from(length % 128).expect("seven bits");
        length /= 128;
        if length == 0 {
            return out.push(digit);
        }
        out.push(digit | 0x80);
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(
        u16::try_from(bytes.len())
            .expect("at most 65,535 bytes")
            .to_be_bytes(),
    );
    out.extend(bytes);
}

fn put_properties(out: &mut Vec<u8>, properties: &[u8]) {
    put_length(out, properties.len());
    out.extend(properties);
}
