//! The constant attributes of a connection's events, kept while it is busy.

use std::sync::Arc;

use landfall_events::event::{Origin, OriginParts};
use landfall_registry::{Application, Device};

/// Devices whose constant attributes a gateway's connection keeps.
const MOST: usize = 64;

/// Of the connected device, and of those it spoke for; without memory until there is an event.
#[derive(Default)]
pub(super) struct Origins(Option<Box<Kept>>);

#[derive(Default)]
struct Kept {
    /// Made with its first event.
    own: Option<Arc<Origin>>,
    /// The latest last.
    others: Vec<(Arc<Device>, Arc<Origin>)>,
}

/// Who is connected to which process.
#[derive(Clone, Copy)]
pub(super) struct Sender<'a> {
    pub(super) instance: &'a str,
    pub(super) application: &'a Application,
    pub(super) device: &'a Device,
}

impl Origins {
    /// Of events of the connected device itself.
    pub(super) fn own(&mut self, sender: Sender<'_>) -> Arc<Origin> {
        let own = &mut self.0.get_or_insert_default().own;
        Arc::clone(own.get_or_insert_with(|| new_origin(sender, sender.device)))
    }

    /// Of events of a device that is spoken for.
    pub(super) fn other(&mut self, sender: Sender<'_>, device: &Arc<Device>) -> Arc<Origin> {
        let others = &mut self.0.get_or_insert_default().others;
        let mut latest_first = others.iter().rev();
        let known = latest_first.find(|(known, _)| Arc::ptr_eq(known, device));
        if let Some((_, origin)) = known {
            return Arc::clone(origin);
        }
        let origin = new_origin(sender, device);
        others.retain(|(known, _)| known.name() != device.name());
        if others.len() >= MOST {
            others.remove(0);
        }
        others.push((Arc::clone(device), Arc::clone(&origin)));
        origin
    }
}

fn new_origin(sender: Sender<'_>, device: &Device) -> Arc<Origin> {
    let Sender {
        instance,
        application,
        device: connected,
    } = sender;
    Origin::new(OriginParts {
        instance,
        application: (application.name(), application.uid()),
        device: (device.name(), device.uid()),
        sender: (connected.name(), connected.uid()),
    })
}
