//! Events about which a rule asks an endpoint, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use landfall_events::event::{Draft, Origin, Timestamp};
use landfall_events::rule::{Parts, Verdict};
use uuid::Uuid;

use crate::rules::Ruleset;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often an endpoint without a verdict is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tries {
    /// Once: nobody waits for an acknowledgement.
    One,
    /// Until it has one.
    Any,
}

/// An event that waits for the endpoints of its application's rules.
pub(super) struct Consultation {
    pub(super) rules: Arc<Ruleset>,
    pub(super) parts: Parts<'static>,
    pub(super) origin: Arc<Origin>,
    pub(super) id: Uuid,
    pub(super) time: Timestamp,
}

/// An event that has passed the rules, or not.
pub(super) struct Ruled {
    pub(super) parts: Parts<'static>,
    pub(super) verdict: Verdict,
    origin: Arc<Origin>,
    id: Uuid,
    time: Timestamp,
}

impl std::fmt::Debug for Consultation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Consultation").field(&self.id).finish()
    }
}

impl Consultation {
    /// Asks, with growing pauses, until there is a verdict. `None`: there is none.
    pub(super) async fn settle(self, tries: Tries) -> Option<Ruled> {
        let mut pause = FIRST_PAUSE;
        loop {
            let parts = self.parts.clone();
            let run = self
                .rules
                .rules
                .run(parts, &self.origin, self.id, self.time);
            match run.await {
                Ok((parts, verdict)) => {
                    self.rules.answered();
                    return Some(Ruled {
                        parts,
                        verdict,
                        origin: self.origin,
                        id: self.id,
                        time: self.time,
                    });
                }
                Err(reason) => self.rules.failed(&reason),
            }
            if tries == Tries::One {
                return None;
            }
            // Half of it is left to chance, so that many connections do not come back at once.
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Ruled {
    /// The event as the rules have left it.
    pub(super) fn draft(&self) -> Draft<'_> {
        self.parts.draft(&self.origin, self.id, self.time)
    }
}
