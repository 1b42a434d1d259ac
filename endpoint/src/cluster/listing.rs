//! An instance's sessions as another one asks for them: to complete its view of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_nats::Subject;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::directory::Entry;
use super::line::Line;
use super::wire::Asker;
use super::{ANSWER, Cluster};

/// Entries of one message, of 64 KiB: signs of life and questions go in between.
const AT_ONCE: usize = 4_096;

impl Cluster {
    /// Asks an instance for its sessions, and makes the view of it complete. `number` is the
    /// directory's.
    pub(super) async fn ask_for_list(self: Arc<Self>, peer: String, number: u64) {
        let list = self.list_of(&peer).await;
        if list.is_none() {
            tracing::debug!(peer, "another instance's sessions were not listed");
        }
        self.directory.listed(&peer, number, list);
    }

    /// All of an instance's sessions; `None`: it is not there, or not all came.
    async fn list_of(&self, peer: &str) -> Option<BTreeSet<Entry>> {
        let line = self.line()?;
        let inbox = line.new_inbox();
        let mut parts = line.subscribe(inbox.clone()).await.ok()?;
        let asker = Asker {
            id: self.id.clone(),
            instance: self.instance.to_string(),
        };
        let question = serde_json::to_vec(&asker).ok()?;
        let subject = self.to_one(peer, "sessions");
        let asked = line.publish_with_reply(subject, inbox, question.into());
        asked.await.ok()?;
        let mut list = BTreeSet::new();
        loop {
            let part = timeout(ANSWER, parts.next()).await.ok()??.payload;
            match part.first_chunk() {
                // The last message says how many there were.
                Some(count) if part.len() == size_of::<u64>() => {
                    let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
                    return (list.len() == count).then_some(list);
                }
                _ => list.extend(read(&part)?),
            }
        }
    }

    /// Lists this instance's sessions for another one. It is [reckoned with](super::peers::Peers::reckon_with)
    /// by then:
    /// what is claimed from then on it is told of, and everything else is in the list.
    pub(super) async fn list_for(self: Arc<Self>, line: Line, inbox: Subject) {
        let list = self.directory.list_own();
        let parts = list.chunks(AT_ONCE).map(write);
        let count = (list.len() as u64).to_le_bytes();
        let last = Bytes::copy_from_slice(&count);
        for part in parts.chain([last]) {
            let told = line.publish(inbox.clone(), part).await;
            // Not more than one part waits to be sent.
            if told.is_err() || line.flush().await.is_err() {
                tracing::debug!("sessions could not be listed; they are asked for again");
                return;
            }
        }
    }
}

/// Hash and epoch of each, with the least significant byte first.
fn write(entries: &[Entry]) -> Bytes {
    let entries = entries.iter();
    let numbers = entries.flat_map(|(hash, epoch)| [*hash, *epoch]);
    numbers.flat_map(u64::to_le_bytes).collect()
}

fn read(part: &[u8]) -> Option<impl Iterator<Item = Entry>> {
    let (numbers, rest) = part.as_chunks();
    let (entries, odd) = numbers.as_chunks();
    let entry =
        |[hash, epoch]: &[[u8; 8]; 2]| (u64::from_le_bytes(*hash), u64::from_le_bytes(*epoch));
    (rest.is_empty() && odd.is_empty()).then(|| entries.iter().map(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let entries = [(1, 2), (u64::MAX, 0x0102_0304_0506_0708), (0, u64::MAX)];
        let written = write(&entries);
        let all: Vec<Entry> = read(&written).unwrap().collect();
        assert_eq!(all, entries);
        assert!(read(&written[1..]).is_none(), "half a number");
        assert!(read(&written[8..]).is_none(), "half an entry");
    }
}
