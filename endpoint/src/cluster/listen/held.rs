//! Held commands that other instances are asked about.

use std::sync::Arc;

use async_nats::Message;
use serde::Serialize;

use super::{Listener, parsed};
use crate::api::held_page;
use crate::cluster::wire::{HeldQuestion, Holds, RevokeQuestion};

impl Listener {
    /// An instance holds its first command.
    pub(super) fn holds(&self, message: &Message) {
        if let Some(holds) = parsed::<Holds>(&message.payload) {
            self.cluster.peers.holds(&holds.id, holds.holds_for);
        }
    }

    /// Says aside what is held here for a device.
    pub(super) fn held(self: &Arc<Self>, message: Message) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(HeldQuestion {
                application,
                device,
                after,
            }) = parsed(&message.payload)
            {
                let page = held_page(&this.shared, &application, &device, after).await;
                this.reply(message, &page.ok()).await;
            }
        });
    }

    /// Revokes aside what is held here.
    pub(super) fn revoke(self: &Arc<Self>, message: Message) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(RevokeQuestion {
                application,
                device,
                number,
            }) = parsed(&message.payload)
            {
                let hub = &this.shared.hub;
                let revoked = hub.revoke(&application, &device, number).await;
                this.reply(message, &revoked.ok()).await;
            }
        });
    }

    async fn reply(&self, message: Message, answer: &impl Serialize) {
        if let (Some(asker), Ok(answer)) = (message.reply, serde_json::to_vec(answer)) {
            // An asker that is gone asks no more.
            let _ = self.line.publish(asker, answer.into()).await;
        }
    }
}
