//! Devices that are registered when a gateway first speaks for them, and the bounds of that.
//!
//! "When a gateway publishes a message or subscribes to a topic on behalf of another device, that
//! device will automatically be registered if it does not already exist" (Watson IoT Platform,
//! "Gateway auto-registration"). A connection's publishes are registered for one after the other, as
//! reading stops meanwhile; the filters of a SUBSCRIBE several at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use landfall_registry::{
    AutoRegister, Behind, Device, DialectSpec, Found, RegisterError, Registry, Unavailable,
};
use tokio::task::JoinSet;

use super::verdict::{RefusedBecause, Verdict};
use crate::dialect::{self, Own};

/// What the registry said of a device that is spoken for.
#[derive(Debug)]
pub(super) enum Asked {
    /// It was looked up.
    Device(Option<Found>),
    /// It was to be registered.
    Registered(Result<Found, RegisterError>),
}

/// What a gateway's connection may register, and whom it has spoken for.
#[derive(Debug)]
pub(super) struct Registrar {
    options: AutoRegister,
    /// "The count is reset on gateway disconnect."
    active: HashSet<Box<str>>,
    /// Until when devices are refused that could not be registered; at most as many as may be
    /// active.
    paused: HashMap<Box<str>, Instant>,
}

impl Registrar {
    /// For a gateway of an application that lets its gateways register devices.
    pub(super) fn of(dialect: &DialectSpec, client_id: &str, own: Own<'_>) -> Option<Box<Self>> {
        let options = options(dialect, client_id, own)?;
        Some(Box::new(Self {
            options,
            active: HashSet::new(),
            paused: HashMap::new(),
        }))
    }

    /// The same after a change of documents; whom it has spoken for stays.
    pub(super) fn update(
        this: Option<Box<Self>>,
        dialect: &DialectSpec,
        client_id: &str,
        own: Own<'_>,
    ) -> Option<Box<Self>> {
        let Some(mut this) = this else {
            return Self::of(dialect, client_id, own);
        };
        this.options = options(dialect, client_id, own)?;
        Some(this)
    }

    /// Counts a device that is spoken for. False: one too many.
    pub(super) fn admit(&mut self, device: &str) -> bool {
        if self.active.contains(device) {
            return true;
        }
        let room = self.room() > 0;
        if room {
            self.active.insert(device.into());
        }
        room
    }

    fn room(&self) -> usize {
        let most = usize::try_from(self.options.max_active).unwrap_or(usize::MAX);
        most.saturating_sub(self.active.len())
    }

    /// What to do about a device that does not let the gateway speak: register it, or not.
    pub(super) fn judge(&mut self, known: Option<&Device>, name: &str) -> Verdict {
        if !known.is_none_or(|device| self.may_join(device)) {
            return RefusedBecause::Gateway.into();
        }
        if !self.active.contains(name) && self.room() == 0 {
            return RefusedBecause::TooManyActive.into();
        }
        if self.is_paused(name) {
            return RefusedBecause::NotRegistered.into();
        }
        Verdict::Register(name.into())
    }

    /// Whether the gateway may be added to a device.
    fn may_join(&self, device: &Device) -> bool {
        self.options.roaming && device.enabled() && device.is_registered_by_gateway()
    }

    /// "If the gateway fails to automatically register a device, then it will not attempt to
    /// register that device again for a short period of time."
    fn is_paused(&mut self, name: &str) -> bool {
        match self.paused.get(name) {
            Some(until) if *until > Instant::now() => true,
            Some(_) => {
                self.paused.remove(name);
                false
            }
            None => false,
        }
    }

    /// A device was not registered.
    pub(super) fn failed(&mut self, name: &str, error: &RegisterError) -> RefusedBecause {
        if *error == RegisterError::NotSelected {
            return RefusedBecause::Gateway;
        }
        let now = Instant::now();
        self.paused.retain(|_, until| *until > now);
        if self.paused.len() < usize::try_from(self.options.max_active).unwrap_or(usize::MAX) {
            self.paused
                .insert(name.into(), now + self.options.retry_pause);
        }
        match error {
            RegisterError::TooMany => RefusedBecause::TooManyDevices,
            _ => RefusedBecause::NotRegistered,
        }
    }

    /// What registers devices, of which as many may be new as there is room for.
    pub(super) fn clerk(&self, registry: &Registry, own: Own<'_>) -> Clerk {
        Clerk {
            registry: registry.clone(),
            application: own.application.into(),
            gateway: own.device.into(),
            options: self.options,
        }
    }

    /// Of the names of a SUBSCRIBE those that may be registered.
    pub(super) fn registrable(&mut self, names: &[Box<str>]) -> HashSet<Box<str>> {
        let mut room = self.room();
        let mut chosen = HashSet::new();
        for name in names {
            if self.is_paused(name) || chosen.contains(name) {
                continue;
            }
            if !self.active.contains(name) {
                if room == 0 {
                    continue;
                }
                room -= 1;
            }
            chosen.insert(name.clone());
        }
        chosen
    }
}

fn options(dialect: &DialectSpec, client_id: &str, own: Own<'_>) -> Option<AutoRegister> {
    match dialect {
        DialectSpec::WatsonIot { auto_register } if dialect::is_gateway(client_id, own) => {
            *auto_register
        }
        _ => None,
    }
}

/// Registers devices behind one gateway.
#[derive(Clone)]
pub(super) struct Clerk {
    registry: Registry,
    application: Arc<str>,
    gateway: Arc<str>,
    options: AutoRegister,
}

impl Clerk {
    /// Registers one, or adds the gateway to it.
    pub(super) async fn register(self, device: Box<str>) -> Result<Found, RegisterError> {
        let behind = Behind {
            application: &self.application,
            device: &device,
            gateway: &self.gateway,
            roaming: self.options.roaming,
            at_most: self.options.max_devices,
        };
        self.registry.register_behind(behind).await
    }

    /// Looks devices up, and registers those of `registrable` that are not there or may be joined;
    /// as many at once as may be pending. The answers are in the order of the names.
    pub(super) async fn find_all(
        self,
        names: Vec<Box<str>>,
        registrable: HashSet<Box<str>>,
    ) -> Result<Vec<Asked>, Unavailable> {
        let at_once = usize::try_from(self.options.max_pending)
            .unwrap_or(1)
            .max(1);
        let mut found = Vec::with_capacity(names.len());
        for chunk in names.chunks(at_once) {
            let mut tasks = JoinSet::new();
            for (index, name) in chunk.iter().enumerate() {
                let (clerk, name) = (self.clone(), name.clone());
                let registers = registrable.contains(&name);
                tasks.spawn(async move { (index, clerk.find(name, registers).await) });
            }
            let mut answers: Vec<(usize, Asked)> = Vec::with_capacity(chunk.len());
            while let Some(joined) = tasks.join_next().await {
                // A task that panicked has logged it; the client tries again.
                if let Ok((index, answer)) = joined {
                    answers.push((index, answer?));
                } else {
                    answers.push((usize::MAX, Asked::Device(None)));
                }
            }
            answers.sort_by_key(|(index, _)| *index);
            found.extend(answers.into_iter().map(|(_, answer)| answer));
        }
        Ok(found)
    }

    async fn find(self, name: Box<str>, registers: bool) -> Result<Asked, Unavailable> {
        let found = self.registry.device(&self.application, &name).await?;
        if !registers {
            return Ok(Asked::Device(found));
        }
        let joins = |device: &Device| {
            self.options.roaming && device.enabled() && device.is_registered_by_gateway()
        };
        match found {
            Some(found) if !joins(&found.device) => Ok(Asked::Device(Some(found))),
            _ => Ok(Asked::Registered(self.register(name).await)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OWN: Own<'_> = Own {
        application: "org1",
        device: "gate:g1",
    };

    fn registrar(options: AutoRegister) -> Box<Registrar> {
        let dialect = DialectSpec::WatsonIot {
            auto_register: Some(options),
        };
        Registrar::of(&dialect, "g:org1:gate:g1", OWN).unwrap()
    }

    #[test]
    fn only_gateways_of_applications_that_opt_in_register_devices() {
        let on = DialectSpec::WatsonIot {
            auto_register: Some(AutoRegister::default()),
        };
        let off = DialectSpec::WatsonIot {
            auto_register: None,
        };
        assert!(Registrar::of(&on, "g:org1:gate:g1", OWN).is_some());
        assert!(Registrar::of(&on, "d:org1:gate:g1", OWN).is_none());
        assert!(Registrar::of(&on, "g:org1:gate:g2", OWN).is_none());
        assert!(Registrar::of(&off, "g:org1:gate:g1", OWN).is_none());
        assert!(Registrar::of(&DialectSpec::DrogueV1, "g:org1:gate:g1", OWN).is_none());
    }

    #[test]
    fn no_more_devices_are_active_than_may() {
        let mut registrar = registrar(AutoRegister {
            max_active: 2,
            ..AutoRegister::default()
        });
        assert!(registrar.admit("t:1") && registrar.admit("t:2") && registrar.admit("t:1"));
        assert!(!registrar.admit("t:3"));
        assert!(matches!(
            registrar.judge(None, "t:3"),
            Verdict::Refused(_, RefusedBecause::TooManyActive, _)
        ));
        assert!(matches!(registrar.judge(None, "t:2"), Verdict::Register(_)));
        let names = ["t:1", "t:3"].map(Box::from);
        assert_eq!(registrar.registrable(&names), HashSet::from(["t:1".into()]));
    }

    #[test]
    fn a_device_that_could_not_be_registered_is_left_alone_for_a_while() {
        let mut registrar = registrar(AutoRegister {
            retry_pause: Duration::from_secs(3_600),
            ..AutoRegister::default()
        });
        let because = registrar.failed("t:1", &RegisterError::TooMany);
        assert_eq!(because, RefusedBecause::TooManyDevices);
        assert!(matches!(
            registrar.judge(None, "t:1"),
            Verdict::Refused(_, RefusedBecause::NotRegistered, _)
        ));
        assert!(matches!(registrar.judge(None, "t:2"), Verdict::Register(_)));
        registrar.failed("t:2", &RegisterError::NotSelected);
        assert!(matches!(registrar.judge(None, "t:2"), Verdict::Register(_)));
    }

    #[test]
    fn the_pause_ends() {
        let mut registrar = registrar(AutoRegister {
            retry_pause: Duration::ZERO,
            ..AutoRegister::default()
        });
        registrar.failed("t:1", &RegisterError::TooMany);
        assert!(matches!(registrar.judge(None, "t:1"), Verdict::Register(_)));
    }
}
