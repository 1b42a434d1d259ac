//! `spec` of a device.

use serde::Serialize;
use serde_json::{Map, Value};

use super::credential::{self, Credential};
use super::mqtt::Mqtt;
use super::reader::{At, Fields, boolean, list, quote, string};
use super::{foreign, label};
use crate::name;
use crate::secret::{ReadSecret, Slot};
use std::collections::BTreeMap;

/// Most names in a gateway selector; a bigger fleet of gateways is selected by labels.
const MAX_GATEWAYS: usize = 1000;
const MAX_ALIASES: usize = 64;
/// Longest alias in bytes: a certificate's subject can be longer than a name.
pub(crate) const MAX_ALIAS: usize = 1024;

/// `spec` of a device; `S` is the state of the secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceSpec<S> {
    /// Switches common to applications and devices.
    #[serde(skip_serializing_if = "Core::is_default")]
    pub core: Core,
    /// How the device proves who it is.
    #[serde(skip_serializing_if = "Authentication::is_empty")]
    pub authentication: Authentication<S>,
    /// Which devices may speak for this one.
    #[serde(skip_serializing_if = "GatewaySelector::is_empty")]
    pub gateway_selector: GatewaySelector,
    /// Other names of the device, unique among names, aliases and unique user names of its
    /// application: a certificate's subject, in its own order, with comma and space.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alias: Vec<String>,
    /// The topic API that the device speaks.
    #[serde(skip_serializing_if = "Mqtt::is_empty")]
    pub mqtt: Mqtt,
    /// Sections that this server does not know, kept as they came.
    #[serde(flatten)]
    pub foreign: Map<String, Value>,
}

impl<S> Default for DeviceSpec<S> {
    fn default() -> DeviceSpec<S> {
        DeviceSpec {
            core: Core::default(),
            authentication: Authentication {
                credentials: Vec::new(),
            },
            gateway_selector: GatewaySelector::default(),
            alias: Vec::new(),
            mqtt: Mqtt::default(),
            foreign: Map::new(),
        }
    }
}

/// `spec.core`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Core {
    /// A disabled device, or any device of a disabled application, may not connect and nobody may
    /// speak for it.
    pub disabled: bool,
}

impl Core {
    pub(crate) fn is_default(&self) -> bool {
        !self.disabled
    }

    pub(crate) fn read(value: Value, at: &At<'_>) -> Option<Core> {
        let mut fields = Fields::open(value, at, "{ disabled: true }")?;
        let disabled = fields.optional("disabled", boolean).unwrap_or_default();
        fields.close();
        Some(Core { disabled })
    }
}

/// `spec.authentication`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Authentication<S> {
    /// At most 16; any one of them is enough.
    pub credentials: Vec<Credential<S>>,
}

impl<S> Authentication<S> {
    fn is_empty(&self) -> bool {
        self.credentials.is_empty()
    }
}

/// `spec.gatewaySelector`: a device of the same application that either part names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySelector {
    /// Devices by name, at most 1000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_names: Vec<String>,
    /// Devices that carry all of these labels; an empty map selects none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

impl GatewaySelector {
    fn is_empty(&self) -> bool {
        self.match_names.is_empty() && self.match_labels.is_empty()
    }

    fn read(value: Value, at: &At<'_>) -> Option<GatewaySelector> {
        const NAMES: &str = "[gateway01]";
        let mut fields = Fields::open(value, at, "{ matchNames: [gateway01] }")?;
        let match_names = fields
            .optional("matchNames", |value, at| {
                list(value, at, MAX_GATEWAYS, NAMES, gateway_name)
            })
            .unwrap_or_default();
        let match_labels = fields
            .optional("matchLabels", label::labels)
            .unwrap_or_default();
        fields.close();
        Some(GatewaySelector {
            match_names,
            match_labels,
        })
    }
}

fn gateway_name(value: Value, at: &At<'_>) -> Option<String> {
    let name = string(value, at, "gateway01")?;
    match name::check_device(&name) {
        Ok(()) => Some(name),
        Err(reason) => at.refuse(format!("{} {reason}", quote(&name)), "gateway01"),
    }
}

impl<S> DeviceSpec<S> {
    pub(crate) fn read(value: Value, at: &At<'_>) -> Option<DeviceSpec<S>>
    where
        S: ReadSecret + PartialEq,
    {
        let mut fields = Fields::open(value, at, "{ authentication: {} }")?;
        let core = fields.optional("core", Core::read).unwrap_or_default();
        let authentication = fields.optional("authentication", credential::read);
        let legacy = fields.optional("credentials", credential::read);
        let gateway_selector = fields
            .optional("gatewaySelector", GatewaySelector::read)
            .unwrap_or_default();
        let alias = fields
            .optional("alias", |value, at| {
                list(
                    value,
                    at,
                    MAX_ALIASES,
                    "[\"O=Example, CN=sensor01\"]",
                    alias,
                )
            })
            .unwrap_or_default();
        let mqtt = fields.optional("mqtt", Mqtt::read).unwrap_or_default();
        let foreign = foreign::sections(fields, at);

        let credentials = merge_legacy(authentication, legacy, at)?;
        let authentication = Authentication { credentials };
        Some(DeviceSpec {
            core,
            authentication,
            gateway_selector,
            alias,
            mqtt,
            foreign,
        })
    }
}

/// Drogue Cloud read `spec.credentials` where `spec.authentication` was absent, and its tools
/// wrote the same list into both for a while.
fn merge_legacy<S: PartialEq>(
    authentication: Option<Vec<Credential<S>>>,
    legacy: Option<Vec<Credential<S>>>,
    at: &At<'_>,
) -> Option<Vec<Credential<S>>> {
    match (authentication, legacy) {
        (Some(credentials), Some(legacy)) if credentials != legacy => at.key("credentials").refuse(
            "differs from authentication.credentials, of which it is the older name: keep one",
            "authentication: { credentials: [] }",
        ),
        (credentials, legacy) => Some(credentials.or(legacy).unwrap_or_default()),
    }
}

fn alias(value: Value, at: &At<'_>) -> Option<String> {
    const EXAMPLE: &str = "\"O=Example, CN=sensor01\"";
    let alias = string(value, at, EXAMPLE)?;
    if !(1..=MAX_ALIAS).contains(&alias.len()) || alias.chars().any(char::is_control) {
        let reason = format!("must be 1 to {MAX_ALIAS} bytes without control characters");
        return at.refuse(reason, EXAMPLE);
    }
    Some(alias)
}

impl<S> DeviceSpec<S> {
    /// The same spec with every secret turned into another state; `None` if any could not be.
    pub(crate) fn map_secrets<T>(
        self,
        f: &mut dyn FnMut(&Slot, S) -> Option<T>,
    ) -> Option<DeviceSpec<T>> {
        let DeviceSpec {
            core,
            authentication,
            gateway_selector,
            alias,
            mqtt,
            foreign,
        } = self;
        let credentials = authentication.credentials.into_iter().enumerate();
        // All are turned, so that all problems are found.
        let turned: Vec<_> = credentials
            .map(|(index, credential)| {
                let slot = credential.slot(&credential_path(index));
                credential.map(|secret| f(&slot, secret))
            })
            .collect();
        let credentials = turned.into_iter().collect::<Option<_>>()?;
        let authentication = Authentication { credentials };
        Some(DeviceSpec {
            core,
            authentication,
            gateway_selector,
            alias,
            mqtt,
            foreign,
        })
    }

    /// Shows every secret with its place.
    pub(crate) fn visit_secrets(&self, visit: &mut dyn FnMut(&Slot, &S)) {
        for (index, credential) in self.authentication.credentials.iter().enumerate() {
            visit(
                &credential.slot(&credential_path(index)),
                credential.secret(),
            );
        }
    }

    /// The other names that this device claims in its application, each with its place.
    pub(crate) fn other_names(&self) -> impl Iterator<Item = (String, &str)> {
        let aliases = self.alias.iter().enumerate();
        let aliases =
            aliases.map(|(index, alias)| (format!("spec.alias[{index}]"), alias.as_str()));
        let credentials = self.authentication.credentials.iter().enumerate();
        let unique = credentials.filter_map(|(index, credential)| match credential {
            Credential::User {
                username,
                unique: true,
                ..
            } => Some((
                format!("{}.user.username", credential_path(index)),
                username.as_str(),
            )),
            _ => None,
        });
        aliases.chain(unique)
    }
}

fn credential_path(index: usize) -> String {
    format!("spec.authentication.credentials[{index}]")
}
