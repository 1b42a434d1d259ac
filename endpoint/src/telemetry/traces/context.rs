//! The trace that a publish belongs to, as its device says (W3C Trace Context, level 1).

use std::fmt::Write as _;

/// A trace's id.
pub(super) type TraceId = [u8; 16];
/// A span's id within its trace.
pub(super) type SpanId = [u8; 8];

/// What `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceParent {
    pub(super) trace: TraceId,
    /// The span of the device that the publish belongs to.
    pub(super) parent: SpanId,
    /// Whether the trace is being recorded.
    pub(super) sampled: bool,
}

impl TraceParent {
    /// Reads a header's value (3.2). `None`: it is none, and the trace is not continued.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let [version] = bytes(fields.next()?)?;
        let trace: TraceId = bytes(fields.next()?)?;
        let parent: SpanId = bytes(fields.next()?)?;
        let [flags] = bytes(fields.next()?)?;
        // 3.2.2.1: version 0xff is forbidden; 3.2.4: later versions may have more fields.
        if version == 0xff || (version == 0 && fields.next().is_some()) {
            return None;
        }
        // 3.2.2.3, 3.2.2.4: all zeroes are no ids.
        if trace == [0; 16] || parent == [0; 8] {
            return None;
        }
        Some(Self {
            trace,
            parent,
            sampled: flags & 1 == 1,
        })
    }
}

/// The value of `traceparent` for what a span causes; the trace is recorded.
pub(super) fn trace_parent(trace: &TraceId, span: &SpanId) -> String {
    format!("00-{}-{}-01", hex(trace), hex(span))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Two lower-case hexadecimal digits for each byte (3.2.2).
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_parent_is_read_and_written() {
        let parent = TraceParent::parse(GIVEN).unwrap();
        assert!(parent.sampled);
        assert_eq!(trace_parent(&parent.trace, &parent.parent), GIVEN);
        let unsampled = GIVEN.replace("-01", "-00");
        assert!(!TraceParent::parse(&unsampled).unwrap().sampled);
        assert!(TraceParent::parse(&GIVEN.replace("00-", "cc-")).is_some());
        let longer = format!("{}-more", GIVEN.replace("00-0", "01-0"));
        assert!(TraceParent::parse(&longer).is_some());
    }

    #[test]
    fn what_is_none_is_not_continued() {
        let zeroes = "0".repeat(32);
        for wrong in [
            String::new(),
            GIVEN.to_uppercase(),
            GIVEN.replace("00-0", "ff-0"),
            format!("{GIVEN}-more"),
            GIVEN.replace("0af7651916cd43dd8448eb211c80319c", &zeroes),
            GIVEN.replace("b7ad6b7169203331", "0000000000000000"),
            GIVEN.replace("b7ad6b7169203331", "b7ad6b716920333"),
            GIVEN.replace("-01", ""),
        ] {
            assert_eq!(TraceParent::parse(&wrong), None, "{wrong}");
        }
    }
}
