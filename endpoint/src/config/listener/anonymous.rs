//! `anonymous_device`.

use landfall_registry::name;
use toml::Spanned;

use crate::config::error::Flaw;

/// The device that log-ins without credentials become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnonymousDevice {
    /// Its name within the application, decoded.
    pub device: String,
    /// Its application.
    pub application: String,
}

impl AnonymousDevice {
    /// As in a user name: split at the first `@`; the device part may be percent-encoded.
    pub(super) fn parse(text: &Spanned<String>) -> Result<Self, Flaw> {
        let flaw = |reason: &str| {
            Flaw::at(
                text,
                format_args!(
                    "anonymous_device is written \"device@application\", not `{}`: {reason}",
                    text.get_ref()
                ),
            )
        };
        let (device, application) =
            name::split_user_name(text.get_ref()).ok_or_else(|| flaw("there is no `@`"))?;
        name::check_device(&device).map_err(|rule| flaw(&format!("the device {rule}")))?;
        name::check_application(application)
            .map_err(|rule| flaw(&format!("the application {rule}")))?;
        Ok(Self {
            device: device.into_owned(),
            application: application.to_owned(),
        })
    }
}
