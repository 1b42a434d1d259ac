//! One event, before it is encoded.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

pub use crate::id::{IdSource, fnv_1a, lasting_id, next_id};
pub use crate::time::{RFC3339_LEN, Timestamp};

use crate::attribute::{is_unreserved, push_json, push_percent_encoded, push_text};

/// Names and server-made ids of the two devices an event is about, and where it entered.
#[derive(Clone, Copy, Debug)]
pub struct OriginParts<'a> {
    /// Configured name of this process.
    pub instance: &'a str,
    /// Application's name and uid.
    pub application: (&'a str, &'a str),
    /// The device the event is from: name and uid.
    pub device: (&'a str, &'a str),
    /// The device that was connected: name and uid.
    pub sender: (&'a str, &'a str),
}

/// The attributes that all events of one connection on behalf of one device share, encoded once.
///
/// The accessors give the attribute values as every encoding writes them: characters that
/// CloudEvents forbids in a string are percent-encoded.
pub struct Origin {
    /// The attribute values in the order of [`NAMES`], then their JSON members; one allocation,
    /// as every connection holds an origin.
    text: Box<str>,
    /// Where each value ends in `text`.
    ends: [usize; NAMES.len()],
}

/// Of every `source`.
const SCHEME: &str = "drogue://";

/// The constant attributes, in the order in which they are kept and written.
pub(crate) const NAMES: [&str; 9] = [
    "source",
    "partitionkey",
    "application",
    "applicationuid",
    "device",
    "deviceuid",
    "sender",
    "senderuid",
    "instance",
];

impl Origin {
    /// Encodes the attributes of `parts`.
    ///
    /// `source` is `drogue://{application}/{device}` and `partitionkey` is
    /// `{application}/{sender}`. They are percent-encoded as Drogue Cloud does it: in the source's
    /// application all but RFC 3986's unreserved characters, elsewhere all but ASCII letters and
    /// digits.
    #[must_use]
    pub fn new(parts: OriginParts<'_>) -> Arc<Self> {
        let (application, application_uid) = parts.application;
        let (device, device_uid) = parts.device;
        let (sender, sender_uid) = parts.sender;

        let mut source = String::with_capacity(SCHEME.len() + application.len() + 1 + device.len());
        source.push_str(SCHEME);
        push_percent_encoded(&mut source, application, is_unreserved);
        source.push('/');
        push_percent_encoded(&mut source, device, |byte| byte.is_ascii_alphanumeric());

        let mut partition_key = String::with_capacity(application.len() + 1 + sender.len());
        push_percent_encoded(&mut partition_key, application, |byte| {
            byte.is_ascii_alphanumeric()
        });
        partition_key.push('/');
        push_percent_encoded(&mut partition_key, sender, |byte| {
            byte.is_ascii_alphanumeric()
        });

        Self::encode([
            &source,
            &partition_key,
            application,
            application_uid,
            device,
            device_uid,
            sender,
            sender_uid,
            parts.instance,
        ])
    }

    fn encode(values: [&str; NAMES.len()]) -> Arc<Self> {
        // Exactly what names and values without any special character need.
        let member = |(name, value): (&&str, &&str)| name.len() + value.len() + r#","":"""#.len();
        let values_len: usize = values.iter().map(|value| value.len()).sum();
        let members_len: usize = NAMES.iter().zip(&values).map(member).sum();
        let mut text = String::with_capacity(values_len + members_len);
        let mut ends = [0; NAMES.len()];
        for (value, end) in values.iter().zip(&mut ends) {
            push_text(&mut text, value);
            *end = text.len();
        }
        let mut text = text.into_bytes();
        for (name, value) in NAMES.iter().zip(values) {
            text.extend_from_slice(b",\"");
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":\"");
            push_json(&mut text, value);
            text.push(b'"');
        }
        Arc::new(Self {
            // It is made of texts.
            text: String::from_utf8(text).unwrap_or_default().into_boxed_str(),
            ends,
        })
    }

    /// `drogue://{application}/{device}`, percent-encoded.
    #[must_use]
    pub fn source(&self) -> &str {
        self.value(0)
    }

    /// `{application}/{sender}`, percent-encoded: events of one sender keep their order.
    #[must_use]
    pub fn partition_key(&self) -> &str {
        self.value(1)
    }

    /// Name of the application.
    #[must_use]
    pub fn application(&self) -> &str {
        self.value(2)
    }

    /// Server-made id of the application.
    #[must_use]
    pub fn application_uid(&self) -> &str {
        self.value(3)
    }

    /// Name of the device the event is from.
    #[must_use]
    pub fn device(&self) -> &str {
        self.value(4)
    }

    /// Server-made id of the device the event is from.
    #[must_use]
    pub fn device_uid(&self) -> &str {
        self.value(5)
    }

    /// Name of the device that was connected.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.value(6)
    }

    /// Server-made id of the device that was connected.
    #[must_use]
    pub fn sender_uid(&self) -> &str {
        self.value(7)
    }

    /// Configured name of the process that the event entered.
    #[must_use]
    pub fn instance(&self) -> &str {
        self.value(8)
    }

    /// All constant attributes as `(name, value)`.
    pub fn attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        NAMES
            .into_iter()
            .enumerate()
            .map(|(index, name)| (name, self.value(index)))
    }

    /// The constant attributes as JSON members, each with a comma in front.
    pub(crate) fn json(&self) -> &str {
        let [.., values_end] = self.ends;
        self.text.get(values_end..).unwrap_or_default()
    }

    fn value(&self, index: usize) -> &str {
        let end = |index| self.ends.get(index).copied().unwrap_or_default();
        let start = index.checked_sub(1).map_or(0, end);
        self.text.get(start..end(index)).unwrap_or_default()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.attributes()).finish()
    }
}

/// The kind of an event: its `type` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType<'a> {
    /// `io.drogue.event.v1`: a device published, or its will was.
    Event,
    /// `io.drogue.connection.v1`: a device's first connection came, or its last one went.
    Connection,
    /// What a rule made of it. CloudEvents has no empty type: an empty text counts as
    /// [`EventType::Event`].
    Other(&'a str),
}

impl<'a> EventType<'a> {
    /// The value of the `type` attribute.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        match self {
            Self::Event | Self::Other("") => "io.drogue.event.v1",
            Self::Connection => "io.drogue.connection.v1",
            Self::Other(text) => text,
        }
    }
}

/// Name and text of an extension that only some events have.
pub type Extension<'a> = (Cow<'a, str>, Cow<'a, str>);

/// An event's payload, as it will be encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Data<'a> {
    /// The payload was empty: the event has no data.
    None,
    /// A JSON text ([`crate::json::is_json`]); stands as JSON in JSON encodings.
    Json(&'a [u8]),
    /// Any other bytes; stand as Base64 in JSON encodings.
    Binary(&'a [u8]),
}

impl Data<'_> {
    /// Length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Json(bytes) | Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is no payload.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shows the length only: what devices send is not for logs.
impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::None => "None",
            Self::Json(_) => "Json",
            Self::Binary(_) => "Binary",
        };
        write!(f, "{kind}({} bytes)", self.len())
    }
}

/// An event about to be encoded; borrows all it can.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Shared attributes.
    pub origin: &'a Origin,
    /// Kind.
    pub event_type: EventType<'a>,
    /// Unique, time-ordered; see [`next_id`], and [`lasting_id`] of what may be said again.
    pub id: Uuid,
    /// When the packet arrived.
    pub time: Timestamp,
    /// The channel. Left out when empty; characters that CloudEvents forbids are percent-encoded.
    pub subject: &'a str,
    /// Media type of the payload, as [`crate::content::judge`] gives it.
    pub data_content_type: Option<&'a str>,
    /// Where the schema of the payload is found. CloudEvents wants an absolute URI, and SDKs refuse
    /// the whole event otherwise: any other text is left out.
    pub data_schema: Option<&'a str>,
    /// W3C trace context of the publish: the extension `traceparent`. Left out when empty.
    pub trace_parent: Option<&'a str>,
    /// The same: the extension `tracestate`.
    pub trace_state: Option<&'a str>,
    /// The publish, or the will, was to be retained: the extension `mqttretain` is true.
    pub retain: bool,
    /// What a dialect or a rule adds, each name once. Left out are empty texts, and names that
    /// are not free ([`crate::is_free_extension`]).
    pub extensions: &'a [Extension<'a>],
    /// The payload.
    pub data: Data<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_and_partition_key_are_percent_encoded_as_drogue_does() {
        let origin = Origin::new(OriginParts {
            instance: "landfall",
            application: ("my-app_1.x~ä", "app-uid"),
            device: ("sensor-01.é", "dev-uid"),
            sender: ("gate way/01", "gw-uid"),
        });
        assert_eq!(
            origin.source(),
            "drogue://my-app_1.x~%C3%A4/sensor%2D01%2E%C3%A9"
        );
        assert_eq!(
            origin.partition_key(),
            "my%2Dapp%5F1%2Ex%7E%C3%A4/gate%20way%2F01"
        );
    }

    #[test]
    fn each_attribute_reads_back_as_it_was_given() {
        let origin = Origin::new(OriginParts {
            instance: "in",
            application: ("app", "app-uid"),
            device: ("de\"v", "dev-uid"),
            sender: ("send", ""),
        });
        let attributes: Vec<_> = origin.attributes().collect();
        assert_eq!(
            attributes,
            [
                ("source", "drogue://app/de%22v"),
                ("partitionkey", "app/send"),
                ("application", "app"),
                ("applicationuid", "app-uid"),
                ("device", "de\"v"),
                ("deviceuid", "dev-uid"),
                ("sender", "send"),
                ("senderuid", ""),
                ("instance", "in"),
            ]
        );
        assert_eq!(origin.application(), "app");
        assert_eq!(origin.application_uid(), "app-uid");
        assert_eq!(origin.device(), "de\"v");
        assert_eq!(origin.device_uid(), "dev-uid");
        assert_eq!(origin.sender(), "send");
        assert_eq!(origin.sender_uid(), "");
        assert_eq!(origin.instance(), "in");
    }

    #[test]
    fn debug_output_shows_no_payload() {
        let shown = format!("{:?}", Data::Binary(b"password"));
        assert_eq!(shown, "Binary(8 bytes)");
    }
}
