//! A session that the others are told of before it begins.

use std::sync::Arc;

use super::Cluster;
use super::directory::entry;
use crate::records::Epoch;

/// A session that is about to begin. If it does not, the others are told when this is dropped.
pub struct Claim {
    cluster: Arc<Cluster>,
    application: String,
    device: String,
    epoch: Epoch,
    has_begun: bool,
}

impl Claim {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        application: &str,
        device: &str,
        epoch: Epoch,
    ) -> Self {
        let session = entry(application, device, epoch);
        cluster.directory.enter_own(session);
        Self {
            cluster: Arc::clone(cluster),
            application: application.to_owned(),
            device: device.to_owned(),
            epoch,
            has_begun: false,
        }
    }

    /// The session is in the table: its end is told as that of every other.
    pub fn begun(mut self) {
        self.has_begun = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.has_begun {
            self.cluster
                .left(&self.application, &self.device, self.epoch);
        }
    }
}
