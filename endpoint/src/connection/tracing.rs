//! The spans of a connection's publishes, as the sinks answer.

use landfall_events::sink::Sequence;

use super::Link;
use super::link::Refused;
use super::uplink::Uplink;

impl Uplink {
    /// Whether publishes are being traced at the moment.
    pub(super) fn is_tracing(&self) -> bool {
        self.spans.as_ref().is_some_and(|spans| spans.any())
    }

    /// Ends the spans of what sinks have accepted; all required ones have up to this publish.
    pub(super) fn end_spans(&mut self, link: &Link, up_to: Sequence) {
        if let Some(spans) = self.spans.as_mut().filter(|spans| spans.any()) {
            for slot in 0..self.route.len() {
                spans.accepted_by(slot, link.accepted_by(slot));
            }
            spans.accepted(up_to);
        }
    }

    /// A sink will never take this publish.
    pub(super) fn note_refusal(&mut self, refused: &Refused) {
        let required = self.requires(refused.slot);
        if let Some(spans) = &mut self.spans {
            spans.refused(refused.slot, refused.sequence, refused.refusal, required);
        }
    }
}
