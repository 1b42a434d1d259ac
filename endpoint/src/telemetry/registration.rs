//! Devices that gateways have registered.

use std::time::Instant;

use landfall_registry::RegisterError;

use super::Telemetry;
use crate::connection::Link;

/// A gateway spoke for a device that was to be registered.
pub struct DeviceRegistered<'a> {
    /// The gateway's connection.
    pub link: &'a Link,
    /// The device.
    pub device: &'a str,
    /// Why it was not registered.
    pub error: Option<&'a RegisterError>,
}

impl DeviceRegistered<'_> {
    /// Counts and logs.
    pub fn emit(self, telemetry: &Telemetry) {
        let outcome = match self.error {
            None => "registered",
            Some(RegisterError::NotSelected) => "not_selected",
            Some(RegisterError::TooMany) => "too_many",
            Some(RegisterError::Write(_) | RegisterError::Unavailable(_)) => "failed",
        };
        telemetry.registrations.with_label_values(&[outcome]).inc();
        let who = &self.link.identity;
        let (application, gateway) = (&*who.application, &*who.device);
        match self.error {
            None => tracing::info!(
                application,
                gateway,
                device = self.device,
                "device registered"
            ),
            Some(error) => {
                if let Some(line) = telemetry.lines.registrations.ask(Instant::now()) {
                    tracing::warn!(
                        application,
                        gateway,
                        device = self.device,
                        %error,
                        left_out = line.left_out(),
                        "device not registered"
                    );
                }
            }
        }
    }
}
