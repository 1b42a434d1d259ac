//! Held commands that other instances are asked about.

use std::sync::Arc;

use async_nats::Message;
use serde::Serialize;

use super::{Listener, parsed};
use crate::api::HeldEntry;
use crate::cluster::wire::{HeldPage, HeldQuestion, Holds, RevokeQuestion};
use crate::command::held::HeldCommand;

/// Bytes of a page, about: a message of NATS holds four times as many.
const PAGE: usize = 256 << 10;
/// What one command takes of it beside its texts.
const ENTRY: usize = 256;

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
                let held = this.shared.hub.held(&application, &device).await;
                let page = held.map(|held| page(held, after, &this.shared.instance));
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

/// Some of an instance's commands, above a number.
fn page(held: Vec<HeldCommand>, after: Option<i64>, instance: &str) -> HeldPage {
    let mut left = PAGE;
    let mut last = None;
    let mut page = HeldPage {
        held: Vec::new(),
        more_after: None,
    };
    for command in held {
        let id = command.id;
        if after.is_some_and(|after| id <= after) {
            continue;
        }
        left = left.saturating_sub(length(&command));
        if left == 0 && last.is_some() {
            page.more_after = last;
            break;
        }
        page.held.push(HeldEntry::of(command, instance));
        last = Some(id);
    }
    page
}

fn length(command: &HeldCommand) -> usize {
    let content_type = command.held.content_type.as_ref().map_or(0, String::len);
    ENTRY + command.held.command.len() + content_type
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::command::held::NewHeld;

    fn commands(numbers: std::ops::RangeInclusive<i64>) -> Vec<HeldCommand> {
        let now = SystemTime::now();
        let held = NewHeld {
            application: "app".into(),
            device: "d".into(),
            device_uid: String::new(),
            command: "x".repeat(200),
            payload: vec![0; PAGE].into(),
            content_type: None,
            user_properties: Vec::new(),
            expires: now,
        };
        let of = |id| HeldCommand {
            id,
            created: now,
            held: held.clone(),
        };
        numbers.map(of).collect()
    }

    #[test]
    fn pages_are_bounded_and_leave_nothing_out_nor_tell_it_twice() {
        let (mut after, mut counts) = (None, Vec::new());
        loop {
            let HeldPage { held, more_after } = page(commands(1..=1_000), after, "one");
            assert!(!held.is_empty() && serde_json::to_vec(&held).unwrap().len() <= PAGE);
            counts.push(held.len());
            match more_after {
                Some(more) => after = Some(more),
                None => break,
            }
        }
        assert!(counts.len() > 1, "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), 1_000);
        assert_eq!(after, i64::try_from(1_000 - counts[counts.len() - 1]).ok());
    }
}
