//! The gateway rule: for whom a connection may speak, and whose inbox it may read.

use std::sync::Arc;

use landfall_events::event::Origin;
use landfall_registry::{Device, Registry};

use super::origins::Sender;
use super::registering::{Asked, Clerk, Registrar};
use super::uplink::{Arrival, Uplink};
use super::verdict::{RefusedBecause, Verdict};
use crate::dialect::Cause;

impl Uplink {
    /// Whom it has devices registered by, if it may.
    pub(super) fn registrar(&mut self) -> Option<&mut Registrar> {
        self.registrar.as_deref_mut()
    }

    /// What registers devices, if it may.
    pub(super) fn clerk(&self, registry: &Registry) -> Option<Clerk> {
        let registrar = self.registrar.as_deref()?;
        Some(registrar.clerk(registry, self.own()))
    }

    /// The constant attributes for the device that is spoken for, if that is allowed.
    pub(super) fn origin(
        &mut self,
        spoken_for: Option<&str>,
        arrival: &Arrival<'_>,
    ) -> Result<Arc<Origin>, Verdict> {
        let instance = &arrival.shared.instance;
        let Some(name) = spoken_for.filter(|name| *name != self.device.name()) else {
            return Ok(self.own_origin(instance));
        };
        let cached;
        let known = match arrival.asked {
            Some(Asked::Device(found)) => found,
            Some(Asked::Registered(Ok(found))) => {
                return self.speak_for(&found.device, instance);
            }
            Some(Asked::Registered(Err(error))) => {
                let failed = self.registrar().map(|it| it.failed(name, error));
                return Err(failed.unwrap_or(RefusedBecause::Gateway).into());
            }
            None => {
                let registry = &arrival.shared.registry;
                cached = registry.device_if_cached(self.application.name(), name);
                match &cached {
                    Some(found) => found,
                    None => return Err(Verdict::Ask(name.into())),
                }
            }
        };
        match known {
            // "The devices which allow other devices to act on their behalf, must indicate this by
            // explicitly selecting a device as their gateway" (Drogue Cloud, MQTT endpoint).
            Some(found) if found.device.enabled() && found.device.selects_gateway(&self.device) => {
                self.speak_for(&found.device, instance)
            }
            known => Err(match self.registrar() {
                Some(it) => it.judge(known.as_ref().map(|found| &*found.device), name),
                None => RefusedBecause::Gateway.into(),
            }),
        }
    }

    /// Whether the inbox of a device may be read that the registry was asked about.
    pub(super) fn may_read(&mut self, name: &str, asked: &Asked) -> Result<(), Cause> {
        let refused = |because: RefusedBecause| because.cause().unwrap_or(Cause::NotAuthorized);
        let found = match asked {
            Asked::Device(Some(found)) | Asked::Registered(Ok(found)) => found,
            Asked::Device(None) => {
                let verdict = self.registrar().map(|it| it.judge(None, name));
                return Err(match verdict {
                    Some(Verdict::Refused(_, because, _)) => refused(because),
                    _ => Cause::NotAuthorized,
                });
            }
            Asked::Registered(Err(error)) => {
                let because = self.registrar().map(|it| it.failed(name, error));
                return Err(because.map_or(Cause::NotAuthorized, refused));
            }
        };
        if !found.device.selects_gateway(&self.device) {
            return Err(Cause::NotAuthorized);
        }
        match self.registrar().is_none_or(|it| it.admit(name)) {
            true => Ok(()),
            false => Err(Cause::TooManyActive),
        }
    }

    /// A device that lets this one speak for it.
    fn speak_for(&mut self, device: &Arc<Device>, instance: &str) -> Result<Arc<Origin>, Verdict> {
        if self.registrar().is_some_and(|it| !it.admit(device.name())) {
            return Err(RefusedBecause::TooManyActive.into());
        }
        let sender = Sender {
            instance,
            application: &self.application,
            device: &self.device,
        };
        Ok(self.origins.other(sender, device))
    }
}
