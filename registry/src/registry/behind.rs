//! Devices that are registered when a gateway first speaks for them.

use serde_json::{Value, json};

use super::Registry;
use super::show::Secrets;
use super::write::WriteError;
use crate::document::{Address, DeviceDocument};
use crate::error::Unavailable;
use crate::model::{Device, Found};
use crate::store::ResourceId;

/// The label of devices that were registered so, and its value. Documents made by hand that carry
/// it are treated like them.
pub const REGISTERED_BY: (&str, &str) = ("landfall/registered-by", "gateway");

/// How often a document is read again that somebody else changed meanwhile.
const ATTEMPTS: usize = 4;

/// What a gateway may do for a device that does not let it speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind<'a> {
    /// The application of both.
    pub application: &'a str,
    /// The device that is spoken for.
    pub device: &'a str,
    /// The gateway.
    pub gateway: &'a str,
    /// Whether it is added to a device that another gateway registered.
    pub roaming: bool,
    /// Most devices of the application; one more is not registered. Devices made by hand count.
    pub at_most: Option<u32>,
}

/// Why a gateway may not speak for a device now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The device exists, and it is not for this gateway: made by hand, disabled, or of another
    /// gateway without roaming.
    #[error("the device does not select the gateway")]
    NotSelected,
    /// The application has as many devices as may be registered.
    #[error("the application has as many devices as may be registered")]
    TooMany,
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Device {
    /// Whether it was registered when a gateway first spoke for it.
    #[must_use]
    pub fn is_registered_by_gateway(&self) -> bool {
        let (label, value) = REGISTERED_BY;
        self.labels().get(label).is_some_and(|given| given == value)
    }
}

impl Registry {
    /// Makes a gateway one of a device's: creates the device with
    /// `gatewaySelector.matchNames: [gateway]`, or adds the gateway to one that was made so.
    ///
    /// # Errors
    /// [`RegisterError`]; nothing was written then.
    pub async fn register_behind(&self, behind: Behind<'_>) -> Result<Found, RegisterError> {
        for _ in 0..ATTEMPTS {
            let found = self.device(behind.application, behind.device).await?;
            let written = match found {
                Some(found) if !found.device.enabled() => return Err(RegisterError::NotSelected),
                Some(found) => match self.gateway_of(&found, &behind).await? {
                    true => return Ok(found),
                    false => self.add_gateway(&behind).await,
                },
                None => self.create_behind(&behind).await,
            };
            match written {
                // Somebody else was faster: look again.
                Err(RegisterError::Write(
                    WriteError::AlreadyExists | WriteError::Conflict | WriteError::NotFound,
                )) => {}
                written => written?,
            }
        }
        Err(WriteError::Conflict.into())
    }

    /// Whether the gateway may speak for the device already; an error if it cannot be added.
    async fn gateway_of(&self, found: &Found, behind: &Behind<'_>) -> Result<bool, RegisterError> {
        let gateway = self.device(behind.application, behind.gateway).await?;
        let gateway = gateway.ok_or(RegisterError::NotSelected)?.device;
        if found.device.selects_gateway(&gateway) {
            return Ok(true);
        }
        match behind.roaming && found.device.is_registered_by_gateway() {
            true => Ok(false),
            false => Err(RegisterError::NotSelected),
        }
    }

    async fn create_behind(&self, behind: &Behind<'_>) -> Result<(), RegisterError> {
        if let Some(at_most) = behind.at_most
            && self.count_devices(behind.application, at_most).await? >= u64::from(at_most)
        {
            return Err(RegisterError::TooMany);
        }
        let (label, value) = REGISTERED_BY;
        let document = json!({
            "metadata": { "name": behind.device, "labels": { label: value } },
            "spec": { "gatewaySelector": { "matchNames": [behind.gateway] } },
        });
        let document = read(document, behind)?;
        self.create_device(document).await?;
        Ok(())
    }

    async fn add_gateway(&self, behind: &Behind<'_>) -> Result<(), RegisterError> {
        let (application, device) = (behind.application, behind.device);
        let stored = self
            .get_device(application, device, Secrets::Hidden)
            .await?;
        let stored = stored.ok_or(WriteError::NotFound)?;
        let mut document = serde_json::to_value(&stored).map_err(|error| {
            Unavailable(format!("the device's document cannot be shown: {error}"))
        })?;
        let names = document.pointer_mut("/spec/gatewaySelector/matchNames");
        match names {
            Some(Value::Array(names)) => names.push(behind.gateway.into()),
            // It selects by labels, or nobody any more: that is an edit by hand.
            _ => return Err(RegisterError::NotSelected),
        }
        self.replace_device(read(document, behind)?).await?;
        Ok(())
    }

    /// Number of an application's devices, as far as `at_most`.
    async fn count_devices(&self, application: &str, at_most: u32) -> Result<u64, Unavailable> {
        let store = &self.0.store;
        match store.get(ResourceId::ROOT, application).await? {
            Some(application) => store.count(application.id, at_most).await,
            None => Ok(0),
        }
    }
}

fn read(document: Value, behind: &Behind<'_>) -> Result<DeviceDocument, RegisterError> {
    let address = Address {
        application: Some(behind.application),
        name: Some(behind.device),
    };
    let document = DeviceDocument::read(document, address).map_err(WriteError::Invalid)?;
    Ok(document)
}
