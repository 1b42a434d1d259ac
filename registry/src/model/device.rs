use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::document::{
    Credential, DeviceSpec, DialectSpec, Invalid, PayloadEncoding, Validity, read_stored,
};
use crate::secret::{Held, Password, SecretBytes, SecretId, SecretValue};
use crate::store::{Labels, ResourceId, Row};

/// A device, ready to use.
///
/// It lives as long as its connection, and as its place in the cache: small for a device that has a
/// password and nothing else.
#[derive(Debug)]
pub struct Device {
    application: ResourceId,
    name: Box<str>,
    uid: Box<str>,
    generation: u64,
    enabled: bool,
    passwords: Box<[StoredPassword]>,
    further: Option<Box<Further>>,
}

/// What few devices have.
#[derive(Debug, PartialEq, Eq)]
struct Further {
    labels: BTreeMap<String, String>,
    /// Sorted.
    gateway_names: Vec<String>,
    gateway_labels: BTreeMap<String, String>,
    aliases: Vec<String>,
    keys: Vec<PreSharedKey>,
    /// Most follow their application's.
    dialect: Option<DialectSpec>,
    payload_encoding: Option<PayloadEncoding>,
}

impl Further {
    const NOTHING: Further = Further {
        labels: BTreeMap::new(),
        gateway_names: Vec::new(),
        gateway_labels: BTreeMap::new(),
        aliases: Vec::new(),
        keys: Vec::new(),
        dialect: None,
        payload_encoding: None,
    };
}

/// A `pass` or `user` credential.
#[derive(Debug)]
pub(crate) struct StoredPassword {
    pub(crate) secret: SecretId,
    /// `None` for the device's own password.
    pub(crate) user: Option<Box<str>>,
    pub(crate) password: Password,
    /// Whether the user name names the device within its application.
    unique: bool,
}

/// A `psk` credential.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PreSharedKey {
    pub(crate) secret: SecretId,
    pub(crate) key: SecretBytes,
    /// When it may be used; always, if `None`.
    pub(crate) validity: Option<Validity>,
}

impl PreSharedKey {
    pub(crate) fn is_valid(&self, now: SystemTime) -> bool {
        self.validity.is_none_or(|validity| validity.includes(now))
    }
}

impl Device {
    pub(crate) fn from_row(row: &Row) -> Result<Device, Invalid> {
        let spec: DeviceSpec<Held> = read_stored(&row.spec)?;
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
                        keys.push(PreSharedKey {
                            secret: key.id,
                            key: value,
                            validity,
                        });
                    }
                }
            }
        }
        let mut gateway_names: Vec<String> = spec.gateway_selector.match_names;
        gateway_names.sort_unstable();
        gateway_names.dedup();
        let further = Further {
            labels: Labels::parse(&row.labels)?,
            gateway_names,
            gateway_labels: spec.gateway_selector.match_labels,
            aliases: spec.alias,
            keys,
            dialect: spec.mqtt.dialect,
            payload_encoding: spec.mqtt.payload_encoding,
        };
        Ok(Device {
            application: row.parent,
            name: row.name.as_str().into(),
            uid: row.uid.as_str().into(),
            generation: row.generation,
            enabled: !spec.core.disabled,
            // Without spare room.
            passwords: passwords.into(),
            further: (further != Further::NOTHING).then(|| Box::new(further)),
        })
    }

    fn further(&self) -> &Further {
        static NOTHING: Further = Further::NOTHING;
        self.further.as_deref().unwrap_or(&NOTHING)
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
        &self.further().labels
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
        &self.further().aliases
    }

    /// `spec.mqtt.dialect` as it stands; see [`crate::effective_dialect`].
    #[must_use]
    pub fn dialect(&self) -> Option<DialectSpec> {
        self.further().dialect
    }

    /// `spec.mqtt.payloadEncoding` as it stands; see [`crate::effective_payload_encoding`].
    #[must_use]
    pub fn payload_encoding(&self) -> Option<PayloadEncoding> {
        self.further().payload_encoding
    }

    /// Whether this is its name or one of its aliases.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        *self.name == *name || self.aliases().iter().any(|alias| alias == name)
    }

    /// Whether this is its name, one of its aliases, or one of its unique user names.
    #[must_use]
    pub fn is_known_as(&self, name: &str) -> bool {
        let mut passwords = self.passwords.iter();
        self.answers_to(name) || passwords.any(|password| password.is_of_unique_user(name))
    }

    /// `psk` credentials, in the document's order, whether valid now or not.
    pub(crate) fn pre_shared_keys(&self) -> &[PreSharedKey] {
        &self.further().keys
    }

    /// The key to be used at a time: of those that are valid then the one whose validity began
    /// earliest, and of these the one that lasts longest. A key without a validity always began
    /// earlier, and lasts longer.
    pub(crate) fn pre_shared_key(&self, now: SystemTime) -> Option<&PreSharedKey> {
        let valid = self
            .pre_shared_keys()
            .iter()
            .filter(|key| key.is_valid(now));
        valid.min_by_key(|key| {
            key.validity
                .map(|validity| (validity.not_before, Reverse(validity.not_after)))
        })
    }

    /// Whether `gateway` may speak for this device: a device of the same application that
    /// `spec.gatewaySelector` names by `matchNames` or by `matchLabels`. A device needs no
    /// selector to speak for itself, and this says nothing of that.
    #[must_use]
    pub fn selects_gateway(&self, gateway: &Device) -> bool {
        let names = &self.further().gateway_names;
        let is_named = || {
            names
                .binary_search_by(|name| (**name).cmp(&gateway.name))
                .is_ok()
        };
        self.application == gateway.application
            && (is_named() || self.selects_labels(gateway.labels()))
    }

    /// The devices that `matchNames` selects as gateways.
    pub fn gateway_names(&self) -> impl Iterator<Item = &str> {
        self.further().gateway_names.iter().map(String::as_str)
    }

    /// Whether there are `matchLabels`, so that gateways may be selected that are not named.
    #[must_use]
    pub fn selects_by_labels(&self) -> bool {
        !self.further().gateway_labels.is_empty()
    }

    fn selects_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let wanted = &self.further().gateway_labels;
        !wanted.is_empty()
            && wanted
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    }

    pub(crate) fn has_password(&self, secret: SecretId, user: Option<&str>) -> bool {
        let mut passwords = self.passwords.iter();
        passwords.any(|stored| stored.secret == secret && stored.user.as_deref() == user)
    }

    /// The passwords of the device itself, and of the unique user of the name by which it was
    /// found; or those of the `user` that is named beside it.
    pub(crate) fn passwords<'a>(
        &'a self,
        known_as: &'a str,
        user: Option<&'a str>,
    ) -> impl Iterator<Item = &'a StoredPassword> {
        let answers = self.answers_to(known_as);
        self.passwords.iter().filter(move |stored| match user {
            Some(user) => answers && stored.user.as_deref() == Some(user),
            None => (answers && stored.user.is_none()) || stored.is_of_unique_user(known_as),
        })
    }
}

impl StoredPassword {
    fn new(held: Held, user: Option<Box<str>>, unique: bool) -> Option<StoredPassword> {
        match held.value {
            SecretValue::Password(password) => Some(StoredPassword {
                secret: held.id,
                user,
                password,
                unique,
            }),
            // The reader of stored documents lets nothing else in.
            SecretValue::Key(_) | SecretValue::Text(_) => None,
        }
    }

    fn is_of_unique_user(&self, name: &str) -> bool {
        self.unique && self.user.as_deref() == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_small() {
        // With the two counts of an `Arc`, 96 bytes are what an allocator gives.
        let size = size_of::<Device>();
        assert!(
            size <= 80,
            "a device is {size} bytes: what few have belongs into `Further`"
        );
    }
}
