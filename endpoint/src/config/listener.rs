//! `[[listeners]]`: where devices connect.

use std::net::SocketAddr;

use landfall_registry::name;
use serde::{Deserialize, Deserializer, de::Error};
use toml::Spanned;

use super::{error::Flaw, value};

/// One address that devices connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerConfig {
    /// IP address and port. Port 0 takes a free one. No default. Danger: elsewhere than on
    /// loopback, passwords and data cross the network in clear text.
    pub bind: SocketAddr,
    /// What is spoken there. Default `mqtt`.
    pub transport: Transport,
    /// `anonymous_device = "device@application"`: log-ins without any credentials become this
    /// device. Default: they are refused. Allowed on loopback binds only, because whoever reaches
    /// the listener is that device.
    pub anonymous_device: Option<AnonymousDevice>,
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// MQTT directly over TCP.
    #[default]
    Mqtt,
}

/// The device that log-ins without credentials become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnonymousDevice {
    /// Its name within the application, decoded.
    pub device: String,
    /// Its application.
    pub application: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListener {
    #[serde(deserialize_with = "spanned_address")]
    pub(super) bind: Spanned<SocketAddr>,
    #[serde(default)]
    transport: Transport,
    anonymous_device: Option<Spanned<String>>,
    #[serde(default, rename = "tls")]
    _tls: NotAvailable,
}

impl RawListener {
    pub(super) fn resolve(self) -> Result<ListenerConfig, Flaw> {
        let bind = self.bind.into_inner();
        let anonymous_device = match self.anonymous_device {
            Some(text) if !bind.ip().is_loopback() => {
                return Err(Flaw::at(
                    &text,
                    format_args!(
                        "anonymous_device is for loopback binds only: whoever reaches {bind} \
                         would be that device"
                    ),
                ));
            }
            Some(text) => Some(AnonymousDevice::parse(&text)?),
            None => None,
        };
        Ok(ListenerConfig {
            bind,
            transport: self.transport,
            anonymous_device,
        })
    }
}

impl AnonymousDevice {
    /// As in a user name: split at the first `@`; the device part may be percent-encoded.
    fn parse(text: &Spanned<String>) -> Result<Self, Flaw> {
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

impl<'de> Deserialize<'de> for Transport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name.as_str() {
            "mqtt" => Ok(Self::Mqtt),
            "websocket" => Err(D::Error::custom(
                "transport `websocket` is not available in this version; there is `mqtt`",
            )),
            _ => Err(D::Error::custom(format_args!(
                "unknown transport `{name}`; there is `mqtt`"
            ))),
        }
    }
}

/// A section that a later version will have: refused, because ignoring it would be dangerous.
#[derive(Default)]
struct NotAvailable;

impl<'de> Deserialize<'de> for NotAvailable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(
            "TLS (`tls`) is not available in this version: remove the section, and let a proxy on \
             the same host end TLS",
        ))
    }
}

pub(super) fn spanned_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Spanned<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    struct Address(#[serde(deserialize_with = "value::address")] SocketAddr);
    let address = Spanned::<Address>::deserialize(deserializer)?;
    let span = address.span();
    Ok(Spanned::new(span, address.into_inner().0))
}
