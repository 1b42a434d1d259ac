//! Subscription identifiers of a PUBLISH to a client (MQTT 5, 3.3.2.3.8).

use std::{fmt, num::NonZeroU32};

use crate::codec::{EncodeError, output::Output, property::id, reader::Reader};

use super::Values;

/// The identifiers of all subscriptions that a delivered message matched.
#[derive(Clone, Copy, Default)]
pub struct SubscriptionIdentifiers<'a> {
    /// Whole properties; others may stand among them.
    block: &'a [u8],
    count: u32,
}

impl<'a> SubscriptionIdentifiers<'a> {
    /// The `count` subscription identifiers of a block that was found right.
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

    /// The identifiers, 1 to 268,435,455, in order.
    pub fn iter(&self) -> impl Iterator<Item = NonZeroU32> + use<'a> {
        Values::new(self.block, id::SUBSCRIPTION_IDENTIFIER)
            .filter_map(|value| NonZeroU32::new(Reader::new(value).variable_byte_integer().ok()?))
    }

    pub(in crate::codec) fn write<O: Output>(&self, out: &mut O) {
        for value in Values::new(self.block, id::SUBSCRIPTION_IDENTIFIER) {
            out.u8(id::SUBSCRIPTION_IDENTIFIER);
            out.bytes(value);
        }
    }
}

impl PartialEq for SubscriptionIdentifiers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for SubscriptionIdentifiers<'_> {}

impl fmt::Debug for SubscriptionIdentifiers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Collects subscription identifiers for a PUBLISH to be encoded.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionIdentifiersBuf {
    block: Vec<u8>,
    count: u32,
}

impl SubscriptionIdentifiersBuf {
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
    /// [`EncodeError::IntegerTooLarge`] above 268,435,455; the list is then as before.
    pub fn push(&mut self, identifier: NonZeroU32) -> Result<(), EncodeError> {
        let before = self.block.len();
        self.block.push(id::SUBSCRIPTION_IDENTIFIER);
        let pushed = self.block.variable_byte_integer(identifier.get());
        if pushed.is_err() {
            self.block.truncate(before);
        } else {
            self.count += 1;
        }
        pushed
    }

    /// Removes all; the memory is kept.
    pub fn clear(&mut self) {
        self.block.clear();
        self.count = 0;
    }

    /// The list, for a packet.
    pub fn as_list(&self) -> SubscriptionIdentifiers<'_> {
        SubscriptionIdentifiers::in_block(&self.block, self.count)
    }
}
