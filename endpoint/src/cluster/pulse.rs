//! Whether this process itself has hung: then it knows nothing of the others until it has heard them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::peers::{PATIENCE, SIGN};
use super::standing::HEARD;

/// Beats as long as the process is not frozen, twice a second.
pub(super) struct Pulse(Mutex<Beats>);

struct Beats {
    last: Instant,
    /// When it last went on after a long pause.
    woke: Option<Instant>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Beats {
            last: Instant::now(),
            woke: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Beats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True: the process may have hung for so long since the last one that others have given it up, who
    /// may have heard its last sign of life earlier than this beat.
    pub(super) fn beat(&self) -> bool {
        let mut beats = self.lock();
        let now = Instant::now();
        let pause = now - beats.last;
        if pause > PATIENCE {
            beats.woke = Some(now);
        }
        beats.last = now;
        pause > PATIENCE - 2 * SIGN
    }

    /// Until when what others have said meanwhile is still to be heard; `None`: it has not hung.
    pub(super) fn hears_until(&self) -> Option<Instant> {
        let beats = self.lock();
        let now = Instant::now();
        let woke = match now - beats.last > PATIENCE {
            true => now,
            false => beats.woke?,
        };
        Some(woke + HEARD).filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_hung_listens_for_a_moment_before_it_speaks() {
        let pulse = Pulse::new();
        for _ in 0..3 {
            advance(PATIENCE / 2).await;
            assert!(!pulse.beat());
            assert_eq!(pulse.hears_until(), None);
        }
        advance(PATIENCE * 2).await;
        assert!(pulse.hears_until().is_some(), "before the next beat");
        assert!(pulse.beat());
        assert_eq!(pulse.hears_until(), Some(Instant::now() + HEARD));
        advance(HEARD - Duration::from_millis(1)).await;
        assert!(pulse.beat(), "long enough for others to have given it up");
        assert!(pulse.hears_until().is_some());
        advance(Duration::from_millis(1)).await;
        assert_eq!(pulse.hears_until(), None);
    }
}
