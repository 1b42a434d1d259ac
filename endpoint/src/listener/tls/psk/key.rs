//! The key of one handshake: looked up by us, asked for by OpenSSL.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use landfall_registry::secret::SecretBytes;
use landfall_registry::{CredentialId, Registry, Unavailable};

use super::named;
use crate::auth::{Named, Proven};

/// Length of the key that an unknown identity gets.
const RANDOM_KEY: usize = 32;

/// What one handshake knows of its key; shared by the look-up and OpenSSL's callback.
#[derive(Clone, Default)]
pub(super) struct Exchange(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    offered: Option<Offered>,
    unavailable: Option<Unavailable>,
}

/// An identity, and the key that the client should have.
pub(super) struct Offered {
    identity: Vec<u8>,
    key: SecretBytes,
    /// `None`: nobody has this identity, and the key is random.
    owner: Option<(Named, CredentialId)>,
}

impl Exchange {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// OpenSSL asks: writes the key of an identity, and says how long it is; 0 is none.
    pub(super) fn answer(&self, identity: &[u8], room: &mut [u8]) -> usize {
        let state = self.state();
        let Some(offered) = state
            .offered
            .as_ref()
            .filter(|offered| offered.identity == identity)
        else {
            return 0;
        };
        let key = offered.key.expose();
        match room.get_mut(..key.len()) {
            Some(room) => {
                room.copy_from_slice(key);
                key.len()
            }
            None => 0,
        }
    }

    /// Whose key the client has shown to have.
    pub(super) fn taken(&self) -> Option<Proven> {
        let (named, credential) = self.state().offered.as_ref()?.owner.clone()?;
        Some(Proven::PreSharedKey {
            application: named.application,
            device: named.device,
            credential,
        })
    }

    /// For the log.
    pub(super) fn offered(&self) -> Option<String> {
        self.state().offered.as_ref().map(ToString::to_string)
    }

    /// Why the key could not be looked up.
    pub(super) fn unavailable(&self) -> Option<Unavailable> {
        self.state().unavailable.take()
    }
}

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some((named, _)) => write!(f, "identity {}@{}", named.device, named.application),
            None => write!(
                f,
                "unknown identity, disabled, or no valid key: {}",
                String::from_utf8_lossy(&self.identity).escape_debug()
            ),
        }
    }
}

/// Looks keys up in the registry.
pub(super) struct Keys {
    registry: Registry,
    exchange: Exchange,
}

impl Keys {
    pub(super) fn new(registry: Registry, exchange: Exchange) -> Self {
        Self { registry, exchange }
    }

    /// Looks up the key of an identity, for OpenSSL to ask for.
    pub(super) async fn look_up(&self, identity: Vec<u8>) {
        let mut owner = None;
        if let Some(named) = named(&identity) {
            let key =
                self.registry
                    .pre_shared_key(&named.application, &named.device, SystemTime::now());
            match key.await {
                Ok(Some((key, credential))) => owner = Some((key, (named, credential))),
                Ok(None) => {}
                Err(error) => self.exchange.state().unavailable = Some(error),
            }
        }
        let (key, owner) = match owner {
            Some((key, owner)) => (key, Some(owner)),
            None => (random(), None),
        };
        self.exchange.state().offered = Some(Offered {
            identity,
            key,
            owner,
        });
    }
}

/// Without randomness there is no key, and OpenSSL ends the handshake.
fn random() -> SecretBytes {
    let mut key = vec![0; RANDOM_KEY];
    match getrandom::fill(&mut key) {
        Ok(()) => SecretBytes::new(key),
        Err(_) => SecretBytes::new(Vec::new()),
    }
}
