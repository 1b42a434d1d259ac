//! Topic filters of SUBSCRIBE and UNSUBSCRIBE.

use std::fmt;

use crate::{
    Malformed, PeerError, ProtocolError, QoS, Version,
    codec::{EncodeError, output::Output, reader::Reader},
    packet::Subscription,
    topic,
};

/// The topic filters of a SUBSCRIBE, with their options, or of an UNSUBSCRIBE, without.
#[derive(Clone, Copy)]
pub struct Filters<'a> {
    entries: &'a [u8],
    layout: Layout,
    count: u32,
}

/// What stands in an entry after the filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::codec) enum Layout {
    /// The byte of subscription options (SUBSCRIBE).
    Options,
    /// Nothing (UNSUBSCRIBE).
    FilterOnly,
}

impl<'a> Filters<'a> {
    /// Checks a payload of filters.
    pub(in crate::codec) fn decode(
        payload: &'a [u8],
        layout: Layout,
        version: Version,
    ) -> Result<Self, PeerError> {
        let mut reader = Reader::new(payload);
        let mut count = 0;
        while reader.any_left() {
            // [MQTT-3.8.3-1], [MQTT-3.10.3-1]
            let filter = reader.string()?;
            topic::check_filter(filter, version)?;
            if layout == Layout::Options {
                let subscription = with_options(filter, reader.u8()?, version)?;
                // [MQTT-3.8.3-4]
                if subscription.no_local && topic::Shared::parse(filter)?.is_some() {
                    return Err(ProtocolError::NoLocalOnShared.into());
                }
            }
            count += 1;
        }
        if count == 0 {
            // [MQTT-3.8.3-2], [MQTT-3.10.3-2]
            return Err(ProtocolError::NoFilter.into());
        }
        Ok(Self {
            entries: payload,
            layout,
            count,
        })
    }

    /// How many there are; at least one in a packet that was decoded.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The subscriptions, in order. Those of an UNSUBSCRIBE have QoS 0 and no option set.
    pub fn iter(&self) -> impl Iterator<Item = Subscription<'a>> + use<'a> {
        let mut reader = Reader::new(self.entries);
        let layout = self.layout;
        std::iter::from_fn(move || {
            let filter = reader.string().ok()?;
            match layout {
                // Options of a 3.x SUBSCRIBE are a subset of those of MQTT 5.
                Layout::Options => with_options(filter, reader.u8().ok()?, Version::V5).ok(),
                Layout::FilterOnly => Some(Subscription::new(filter, QoS::AtMostOnce)),
            }
        })
    }

    pub(in crate::codec) fn write<O: Output>(
        &self,
        out: &mut O,
        layout: Layout,
        version: Version,
    ) -> Result<(), EncodeError> {
        for subscription in self.iter() {
            out.string(subscription.filter)?;
            if layout == Layout::Options {
                out.u8(options_byte(&subscription, version));
            }
        }
        Ok(())
    }
}

/// Reads the options byte of a SUBSCRIBE entry (MQTT 5, 3.8.3.1; in 3.x only a QoS).
fn with_options(
    filter: &str,
    options: u8,
    version: Version,
) -> Result<Subscription<'_>, PeerError> {
    let reserved = if version == Version::V5 { 0xC0 } else { 0xFC };
    // [MQTT-3.8.3-5]; 3.1.1: [MQTT-3-8.3-4]
    if options & reserved != 0 {
        return Err(Malformed::Reserved.into());
    }
    let qos = match options & 0b11 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        2 => QoS::ExactlyOnce,
        // MQTT 5, 3.8.3.1
        _ if version == Version::V5 => return Err(ProtocolError::QoS.into()),
        // 3.1.1: [MQTT-3-8.3-4]
        _ => return Err(Malformed::QoS.into()),
    };
    let retain_handling = options >> 4;
    if retain_handling == 3 {
        // MQTT 5, 3.8.3.1
        return Err(ProtocolError::RetainHandling.into());
    }
    Ok(Subscription {
        filter,
        qos,
        no_local: options & 0x04 != 0,
        retain_as_published: options & 0x08 != 0,
        retain_handling,
    })
}

/// The inverse of [`with_options`].
fn options_byte(subscription: &Subscription<'_>, version: Version) -> u8 {
    let qos = subscription.qos as u8;
    if version != Version::V5 {
        return qos;
    }
    qos | u8::from(subscription.no_local) << 2
        | u8::from(subscription.retain_as_published) << 3
        | (subscription.retain_handling & 0b11) << 4
}

impl PartialEq for Filters<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Filters<'_> {}

impl fmt::Debug for Filters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Collects topic filters for a SUBSCRIBE or UNSUBSCRIBE to be encoded.
#[derive(Clone, Debug, Default)]
pub struct FiltersBuf {
    entries: Vec<u8>,
    count: u32,
}

impl FiltersBuf {
    /// An empty list; it allocates nothing.
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            count: 0,
        }
    }

    /// Appends one. An UNSUBSCRIBE and the older versions leave out the options they do not have.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if the filter is no string of MQTT; the list is then as before.
    pub fn push(&mut self, subscription: Subscription<'_>) -> Result<(), EncodeError> {
        self.entries.string(subscription.filter)?;
        self.entries.u8(options_byte(&subscription, Version::V5));
        self.count += 1;
        Ok(())
    }

    /// The list, for a packet.
    pub fn as_list(&self) -> Filters<'_> {
        Filters {
            entries: &self.entries,
            layout: Layout::Options,
            count: self.count,
        }
    }
}
