//! Reason codes of SUBACK and UNSUBACK.

use std::fmt;

use crate::ReasonCode;

/// One reason code for each filter of a SUBSCRIBE or UNSUBSCRIBE, in order.
///
/// For encoding it is made from a slice: `reasons.as_slice().into()`.
#[derive(Clone, Copy)]
pub struct ReasonCodes<'a>(Codes<'a>);

#[derive(Clone, Copy)]
enum Codes<'a> {
    Given(&'a [ReasonCode]),
    /// As in the packet, each found right.
    Decoded(&'a [u8]),
}

impl<'a> ReasonCodes<'a> {
    pub(in crate::codec) const fn decoded(bytes: &'a [u8]) -> Self {
        Self(Codes::Decoded(bytes))
    }

    /// How many there are; none in an UNSUBACK of 3.x.
    pub const fn len(&self) -> usize {
        match self.0 {
            Codes::Given(codes) => codes.len(),
            Codes::Decoded(bytes) => bytes.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The codes, in the order of the filters.
    pub fn iter(&self) -> impl Iterator<Item = ReasonCode> + use<'a> {
        let (given, decoded) = match self.0 {
            Codes::Given(codes) => (codes, [].as_slice()),
            Codes::Decoded(bytes) => ([].as_slice(), bytes),
        };
        given
            .iter()
            .copied()
            .chain(decoded.iter().copied().map(ReasonCode))
    }
}

impl Default for ReasonCodes<'_> {
    fn default() -> Self {
        Self(Codes::Given(&[]))
    }
}

impl<'a> From<&'a [ReasonCode]> for ReasonCodes<'a> {
    fn from(codes: &'a [ReasonCode]) -> Self {
        Self(Codes::Given(codes))
    }
}

impl<'a, const N: usize> From<&'a [ReasonCode; N]> for ReasonCodes<'a> {
    fn from(codes: &'a [ReasonCode; N]) -> Self {
        Self(Codes::Given(codes))
    }
}

impl PartialEq for ReasonCodes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ReasonCodes<'_> {}

impl fmt::Debug for ReasonCodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
