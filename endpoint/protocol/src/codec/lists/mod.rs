//! Lists within a packet: slices of it, checked when it was decoded and taken apart only while they
//! are iterated, so that decoding allocates nothing. For encoding, a `…Buf` collects one.

mod filters;
mod reason_codes;
mod subscription_identifiers;
mod user_properties;

pub(in crate::codec) use filters::Layout;
pub use filters::{Filters, FiltersBuf};
pub use reason_codes::ReasonCodes;
pub use subscription_identifiers::{SubscriptionIdentifiers, SubscriptionIdentifiersBuf};
pub use user_properties::{UserProperties, UserPropertiesBuf};

use super::{property, reader::Reader};

/// The values of one property wherever it stands within a block of properties.
struct Values<'a> {
    block: Reader<'a>,
    id: u8,
}

impl<'a> Values<'a> {
    const fn new(block: &'a [u8], id: u8) -> Self {
        Self {
            block: Reader::new(block),
            id,
        }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    /// Ends at the first byte that is no property; a block that was decoded has none.
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let id = self.block.u8().ok()?;
            let value = property::take_value(id, &mut self.block).ok()?;
            if id == self.id {
                return Some(value);
            }
        }
    }
}
