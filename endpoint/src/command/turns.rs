//! Commands that come one behind the other: those of one device are worked on in their order, those
//! of others at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Application and device.
type Key = (String, String);

/// The devices whose commands are under way.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Key, Queue>>>);

struct Queue {
    /// Those under way.
    length: usize,
    /// Closed when the last of them is done.
    last: oneshot::Receiver<()>,
}

/// A command's place behind those of its device that came before it.
pub(super) struct Turn {
    turns: Turns,
    key: Key,
    before: Option<oneshot::Receiver<()>>,
    /// Dropped when it is done: the next one's turn.
    _done: oneshot::Sender<()>,
}

impl Turns {
    /// A place behind the device's commands; `None`: `most` of them are under way.
    pub(super) fn queue(&self, (application, device): (&str, &str), most: usize) -> Option<Turn> {
        let key = (application.to_owned(), device.to_owned());
        let (done, last) = oneshot::channel();
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match devices.get_mut(&key) {
            Some(queue) if queue.length >= most => return None,
            Some(queue) => {
                queue.length += 1;
                Some(std::mem::replace(&mut queue.last, last))
            }
            None => {
                devices.insert(key.clone(), Queue { length: 1, last });
                None
            }
        };
        Some(Turn {
            turns: self.clone(),
            key,
            before,
            _done: done,
        })
    }
}

impl Turn {
    /// Waits until it is this command's turn.
    pub(super) async fn come(&mut self) {
        if let Some(before) = self.before.take() {
            // Told by the sender's end.
            let _ = before.await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let devices = self.turns.0.lock();
        let mut devices = devices.unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = devices.get_mut(&self.key) {
            queue.length -= 1;
            if queue.length == 0 {
                devices.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_of_one_device_come_in_their_order_whoever_is_polled_first() {
        let turns = Turns::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        let work = |number: usize, mut turn: Turn| {
            let order = Arc::clone(&order);
            async move {
                turn.come().await;
                tokio::task::yield_now().await;
                order.lock().unwrap().push(number);
            }
        };
        let one = work(1, turns.queue(("app", "d"), 9).unwrap());
        let two = work(2, turns.queue(("app", "d"), 9).unwrap());
        let three = work(3, turns.queue(("app", "d"), 9).unwrap());
        tokio::join!(three, two, one);
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        assert!(turns.0.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_device_has_so_many_places_and_others_theirs() {
        let turns = Turns::default();
        let first = turns.queue(("app", "d"), 2).unwrap();
        let second = turns.queue(("app", "d"), 2).unwrap();
        assert!(turns.queue(("app", "d"), 2).is_none());
        let mut other = turns.queue(("app", "e"), 2).unwrap();
        other.come().await;
        drop(first);
        let mut third = turns.queue(("app", "d"), 2).unwrap();
        drop(second);
        third.come().await;
    }
}
