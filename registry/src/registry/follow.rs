//! Changes that other instances made.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::Change;
use super::cache::Resources;
use crate::store::{News, Place, ResourceId};
use crate::token::known::KnownTokens;

/// Whatever holds on to what was read from the store.
pub(super) struct Follower {
    pub(super) resources: Arc<Resources>,
    pub(super) tokens: Arc<KnownTokens>,
    pub(super) changes: broadcast::Sender<Change>,
}

impl Follower {
    /// Forgets what is no longer so, and tells everyone.
    pub(super) fn follow(&self, news: News) {
        match news {
            News::Changed { place, parent } => self.forget(&place, Some(parent)),
            News::Everything => {
                self.resources.forget_everything();
                self.tokens.forget();
                // Nobody need be listening.
                let _ = self.changes.send(Change::Everything);
            }
        }
    }

    pub(super) fn forget(&self, place: &Place, parent: Option<ResourceId>) {
        let change = match place {
            Place::Application(application) => {
                self.resources.forget_application(application);
                Change::Application(application.clone())
            }
            Place::Device {
                application,
                device,
            } => {
                // Nothing is known of the devices of an application that was not there.
                if let Some(parent) = parent {
                    self.resources.forget_device(parent, device);
                }
                Change::Device {
                    application: application.clone(),
                    device: device.clone(),
                }
            }
            Place::Token(_) => return self.tokens.forget(),
        };
        let _ = self.changes.send(change);
    }
}
