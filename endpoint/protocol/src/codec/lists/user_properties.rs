//! User properties (MQTT 5, 2.2.2.2 and each packet's own section).

use std::fmt;

use crate::codec::{EncodeError, output::Output, property::id, reader::Reader};

use super::Values;

/// The user properties of a packet, in order; names may repeat.
#[derive(Clone, Copy, Default)]
pub struct UserProperties<'a> {
    /// Whole properties; others may stand among them.
    block: &'a [u8],
    count: u32,
}

impl<'a> UserProperties<'a> {
    /// The `count` user properties of a block that was found right.
    pub(in crate::codec) const fn in_block(block: &'a [u8], count: u32) -> Self {
        let block = if count == 0 { &[] } else { block };
        Self { block, count }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        Values::new(self.block, id::USER_PROPERTY).filter_map(|value| {
            let mut pair = Reader::new(value);
            Some((pair.string().ok()?, pair.string().ok()?))
        })
    }

    /// The value of the first property of this name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|&(candidate, _)| candidate == name)
            .map(|(_, value)| value)
    }

    pub(in crate::codec) fn write<O: Output>(&self, out: &mut O) {
        for value in Values::new(self.block, id::USER_PROPERTY) {
            out.u8(id::USER_PROPERTY);
            out.bytes(value);
        }
    }
}

impl PartialEq for UserProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UserProperties<'_> {}

impl fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Collects user properties for a packet to be encoded.
#[derive(Clone, Debug, Default)]
pub struct UserPropertiesBuf {
    block: Vec<u8>,
    count: u32,
}

impl UserPropertiesBuf {
    /// An empty list; it allocates nothing.
    pub const fn new() -> Self {
        Self {
            block: Vec::new(),
            count: 0,
        }
    }

    /// Appends one.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if name or value is no string of MQTT; the list is then as before.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), EncodeError> {
        let before = self.block.len();
        self.block.push(id::USER_PROPERTY);
        let pushed = self
            .block
            .string(name)
            .and_then(|()| self.block.string(value));
        if pushed.is_err() {
            self.block.truncate(before);
        } else {
            self.count += 1;
        }
        pushed
    }

    /// The list, for a packet.
    pub fn as_list(&self) -> UserProperties<'_> {
        UserProperties::in_block(&self.block, self.count)
    }
}
