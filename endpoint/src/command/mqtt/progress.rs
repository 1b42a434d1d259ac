//! Which messages are under way, across lost connections: the broker sends those again that it has
//! no acknowledgement of, and they must not be begun twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is under way, by packet id.
pub(super) struct Progress<C>(Mutex<State<C>>);

struct State<C> {
    /// The connection, while there is one.
    client: Option<C>,
    /// Counts connections.
    connection: u64,
    last_token: u64,
    messages: HashMap<u16, Entry>,
}

struct Entry {
    token: u64,
    /// The connection that it came on last.
    connection: u64,
    finished: bool,
}

/// A message that was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    id: u16,
    number: u64,
}

/// What is to be done about a message that came.
#[derive(Debug)]
pub(super) enum Began<C> {
    /// Work on it.
    New(Token),
    /// Nothing: it is being worked on.
    UnderWay,
    /// It is done: acknowledge it.
    Finished(C),
}

impl<C> Default for Progress<C> {
    fn default() -> Self {
        Self(Mutex::new(State {
            client: None,
            connection: 0,
            last_token: 0,
            messages: HashMap::new(),
        }))
    }
}

impl<C: Clone> Progress<C> {
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection has begun. `session_present`: the broker still knows what it has sent.
    pub(super) fn connected(&self, client: C, session_present: bool) {
        let mut state = self.lock();
        state.client = Some(client);
        state.connection += 1;
        if !session_present {
            // Packet ids mean other messages from now on.
            state.messages.clear();
        }
    }

    /// The connection is lost.
    pub(super) fn disconnected(&self) {
        self.lock().client = None;
    }

    /// The connection, if there is one.
    pub(super) fn client(&self) -> Option<C> {
        self.lock().client.clone()
    }

    /// A message has come.
    pub(super) fn begin(&self, id: u16, dup: bool) -> Began<C> {
        let mut state = self.lock();
        let connection = state.connection;
        if dup && let Some(known) = state.messages.get_mut(&id) {
            known.connection = connection;
            if !known.finished {
                return Began::UnderWay;
            }
            state.messages.remove(&id);
            return match &state.client {
                Some(client) => Began::Finished(client.clone()),
                None => Began::UnderWay,
            };
        }
        state.last_token += 1;
        let token = state.last_token;
        let entry = Entry {
            token,
            connection,
            finished: false,
        };
        state.messages.insert(id, entry);
        Began::New(Token { id, number: token })
    }

    /// A message is done; what is returned is to be acknowledged there. Else the broker will send it
    /// again, or has forgotten it.
    pub(super) fn finish(&self, token: Token) -> Option<(C, u16)> {
        let mut state = self.lock();
        let connection = state.connection;
        let client = state.client.clone();
        let entry = state.messages.get_mut(&token.id)?;
        if entry.token != token.number {
            return None;
        }
        match client {
            Some(client) if entry.connection == connection => {
                state.messages.remove(&token.id);
                Some((client, token.id))
            }
            _ => {
                entry.finished = true;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(progress: &Progress<&'static str>, id: u16) -> Token {
        match progress.begin(id, false) {
            Began::New(token) => token,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_is_acknowledged_on_the_connection_that_it_came_on() {
        let progress = Progress::default();
        progress.connected("first", false);
        let token = new(&progress, 7);
        assert_eq!(progress.finish(token), Some(("first", 7)));
        assert_eq!(progress.finish(token), None, "once");
        // The broker uses the id again.
        let token = new(&progress, 7);
        assert_eq!(progress.finish(token), Some(("first", 7)));
    }

    #[test]
    fn what_is_under_way_when_the_connection_is_lost_is_not_begun_again() {
        let progress = Progress::default();
        progress.connected("first", false);
        let (slow, quick) = (new(&progress, 1), new(&progress, 2));
        progress.disconnected();
        assert_eq!(progress.finish(quick), None, "nowhere to tell");
        progress.connected("second", true);
        assert!(matches!(progress.begin(1, true), Began::UnderWay));
        assert!(matches!(progress.begin(2, true), Began::Finished("second")));
        assert_eq!(progress.finish(slow), Some(("second", 1)));
    }

    #[test]
    fn a_session_that_the_broker_forgot_leaves_nothing() {
        let progress = Progress::default();
        progress.connected("first", false);
        let old = new(&progress, 1);
        progress.disconnected();
        progress.connected("second", false);
        let other = new(&progress, 1);
        assert_eq!(progress.finish(old), None);
        assert_eq!(progress.finish(other), Some(("second", 1)));
        // Sent again for a process that knows nothing of it.
        assert!(matches!(progress.begin(9, true), Began::New(_)));
    }
}
