//! The process's monotonic clock, in the milliseconds that sessions count.

use std::time::Duration;

use landfall_protocol::session::Time;
use tokio::time::Instant;

/// Milliseconds since the process began to serve.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Time {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(Time::MAX)
    }

    /// The runtime's instant of a time.
    pub fn instant(&self, time: Time) -> Instant {
        self.origin + Duration::from_millis(time)
    }
}
