//! Whether a stream may go on: tokens are revoked, and expire, while streams last.

use std::{sync::Arc, time::Duration};

use crate::{api::access::Access, server::Shared};

/// Between two looks: less than the second within which a revocation acts, together with the half
/// second for which other instances rely on what they know.
const PERIOD: Duration = Duration::from_millis(250);

/// The token that a stream was opened with.
pub(super) struct Watch {
    pub(super) shared: Arc<Shared>,
    pub(super) access: Access,
}

impl Watch {
    /// Whether the token still stands.
    pub(super) async fn stands(&self) -> bool {
        match self.access.stands(&self.shared.registry).await {
            Ok(stands) => stands,
            Err(error) => {
                tracing::warn!(%error, "a stream of events ends: its token cannot be checked");
                false
            }
        }
    }

    /// Waits until it stands no more.
    pub(super) async fn over(&self) {
        if matches!(self.access, Access::TokenFile) {
            return std::future::pending().await;
        }
        while self.stands().await {
            tokio::time::sleep(PERIOD).await;
        }
    }
}
