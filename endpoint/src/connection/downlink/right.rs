//! Whether a gateway may have a command at the moment of its delivery: the device's document may
//! have changed since the hub looked.

use std::pin::Pin;
use std::task::{Context, Poll};

use landfall_protocol::QoS;
use landfall_registry::{Device, Found, Registry, Unavailable};

use crate::command::{Handed, SessionFailure};

/// The registry's answer about a device.
type Lookup = Pin<Box<dyn Future<Output = Result<Option<Found>, Unavailable>> + Send>>;

/// A command that waits for the registry's answer; those behind it wait too, so that their order
/// is kept.
pub(super) struct Checking {
    handed: Handed,
    lookup: Lookup,
}

/// Whether a command may be delivered.
pub(super) enum Right {
    /// It may.
    Given(Handed),
    /// It may not, or nobody knows.
    Refused(Handed, SessionFailure),
    /// The registry has been asked, and will wake the connection.
    Unknown(Checking),
}

/// Looks whether `gateway` may have the command: its own, or one of a device that selects it.
pub(super) fn right(
    handed: Handed,
    gateway: &Device,
    application: &str,
    registry: &Registry,
    cx: &mut Context<'_>,
) -> Right {
    let device = &handed.command.device;
    if **device == *gateway.name() {
        return Right::Given(handed);
    }
    match registry.device_if_cached(application, device) {
        Some(found) => judge(handed, found.as_ref(), gateway),
        None => {
            let (registry, application) = (registry.clone(), application.to_owned());
            let device = device.clone();
            let lookup = Box::pin(async move { registry.device(&application, &device).await });
            Checking { handed, lookup }.poll(gateway, cx)
        }
    }
}

fn judge(handed: Handed, found: Option<&Found>, gateway: &Device) -> Right {
    if found.is_some_and(|found| found.device.selects_gateway(gateway)) {
        Right::Given(handed)
    } else {
        Right::Refused(handed, SessionFailure::NotSelected)
    }
}

impl Checking {
    /// Nobody will get it: its sender may safely send it again.
    pub(super) fn give_up(self) {
        self.handed
            .report(QoS::AtMostOnce, Err(SessionFailure::Gone));
    }

    /// Looks whether the registry has answered.
    pub(super) fn poll(mut self, gateway: &Device, cx: &mut Context<'_>) -> Right {
        match self.lookup.as_mut().poll(cx) {
            Poll::Pending => Right::Unknown(self),
            Poll::Ready(Ok(found)) => judge(self.handed, found.as_ref(), gateway),
            Poll::Ready(Err(_)) => Right::Refused(self.handed, SessionFailure::Unavailable),
        }
    }
}
