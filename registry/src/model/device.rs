use std::collections::{BTreeMap, HashSet};

use super::CredentialId;
use crate::document::{Credential, DeviceSpec, DialectSpec, Invalid, Validity, read_stored};
use crate::secret::{Held, Password, SecretBytes, SecretValue};
use crate::store::{Labels, ResourceId, Row};

/// A device, ready to use.
#[derive(Debug)]
pub struct Device {
    application: ResourceId,
    name: Box<str>,
    uid: Box<str>,
    generation: u64,
    labels: BTreeMap<String, String>,
    enabled: bool,
    gateway_names: HashSet<String>,
    gateway_labels: BTreeMap<String, String>,
    aliases: Vec<String>,
    dialect: Option<DialectSpec>,
    passwords: Vec<StoredPassword>,
    keys: Vec<PreSharedKey>,
}

/// A `pass` or `user` credential.
#[derive(Debug)]
pub(crate) struct StoredPassword {
    pub(crate) id: CredentialId,
    pub(crate) password: Password,
    /// Whether the user name names the device within its application.
    unique: bool,
}

/// A `psk` credential.
#[derive(Debug)]
pub struct PreSharedKey {
    id: CredentialId,
    /// The key itself.
    pub key: SecretBytes,
    /// When it may be used; always, if `None`.
    pub validity: Option<Validity>,
}

impl PreSharedKey {
    /// The credential that a log-in with this key uses.
    #[must_use]
    pub fn credential(&self) -> &CredentialId {
        &self.id
    }
}

impl Device {
    pub(crate) fn from_row(row: &Row) -> Result<Device, Invalid> {
        let spec: DeviceSpec<Held> = read_stored(&row.spec)?;
        // Kept for every device in the cache: no room for more than there are.
        let mut passwords = Vec::with_capacity(spec.authentication.credentials.len());
        let mut keys = Vec::new();
        for credential in spec.authentication.credentials {
            match credential {
                Credential::Pass(held) => {
                    passwords.extend(StoredPassword::new(held, None, false));
                }
                Credential::User {
                    username,
                    password,
                    unique,
                } => {
                    passwords.extend(StoredPassword::new(password, Some(username.into()), unique));
                }
                Credential::Psk { key, validity } => {
                    if let SecretValue::Key(value) = key.value {
                        let id = CredentialId {
                            secret: key.id,
                            user: None,
                        };
                        keys.push(PreSharedKey {
                            id,
                            key: value,
                            validity,
                        });
                    }
                }
            }
        }
        Ok(Device {
            application: row.parent,
            name: row.name.as_str().into(),
            uid: row.uid.as_str().into(),
            generation: row.generation,
            labels: Labels::parse(&row.labels)?,
            enabled: !spec.core.disabled,
            gateway_names: spec.gateway_selector.match_names.into_iter().collect(),
            gateway_labels: spec.gateway_selector.match_labels,
            aliases: spec.alias,
            dialect: spec.mqtt.dialect,
            passwords,
            keys,
        })
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `metadata.generation`: grows with every change of the spec.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// `metadata.labels`.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// Whether it may connect, and others may speak for it, as far as its own document says: not
    /// `spec.core.disabled`. Its application has a say too.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// `spec.alias`.
    #[must_use]
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    /// `spec.mqtt.dialect` as it stands; see [`crate::effective_dialect`].
    #[must_use]
    pub fn dialect(&self) -> Option<DialectSpec> {
        self.dialect
    }

    /// `psk` credentials, in the document's order, whether valid now or not.
    #[must_use]
    pub fn pre_shared_keys(&self) -> &[PreSharedKey] {
        &self.keys
    }

    /// User names that name this device within its application (`unique: true`).
    pub fn unique_user_names(&self) -> impl Iterator<Item = &str> {
        self.passwords
            .iter()
            .filter(|password| password.unique)
            .filter_map(|p| p.id.user.as_deref())
    }

    /// Whether `gateway` may speak for this device: a device of the same application that
    /// `spec.gatewaySelector` names by `matchNames` or by `matchLabels`. A device needs no
    /// selector to speak for itself, and this says nothing of that.
    #[must_use]
    pub fn selects_gateway(&self, gateway: &Device) -> bool {
        self.application == gateway.application
            && (self.gateway_names.contains(&*gateway.name) || self.selects_labels(&gateway.labels))
    }

    /// The devices that `matchNames` selects as gateways.
    pub fn gateway_names(&self) -> impl Iterator<Item = &str> {
        self.gateway_names.iter().map(String::as_str)
    }

    /// Whether there are `matchLabels`, so that gateways may be selected that are not named.
    #[must_use]
    pub fn selects_by_labels(&self) -> bool {
        !self.gateway_labels.is_empty()
    }

    fn selects_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        !self.gateway_labels.is_empty()
            && self
                .gateway_labels
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    }

    /// Whether a credential by which a connection logged in is still one of this device.
    #[must_use]
    pub fn credential_stands(&self, credential: &CredentialId) -> bool {
        self.passwords
            .iter()
            .any(|password| password.id == *credential)
            || self.keys.iter().any(|key| key.id == *credential)
    }

    /// The stored passwords for a user name, or for the device itself.
    pub(crate) fn passwords(&self, user: Option<&str>) -> impl Iterator<Item = &StoredPassword> {
        self.passwords
            .iter()
            .filter(move |password| password.id.user.as_deref() == user)
    }
}

impl StoredPassword {
    fn new(held: Held, user: Option<Box<str>>, unique: bool) -> Option<StoredPassword> {
        match held.value {
            SecretValue::Password(password) => Some(StoredPassword {
                id: CredentialId {
                    secret: held.id,
                    user,
                },
                password,
                unique,
            }),
            // The reader of stored documents lets nothing else in.
            SecretValue::Key(_) | SecretValue::Text(_) => None,
        }
    }
}
