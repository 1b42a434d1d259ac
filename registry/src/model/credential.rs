use std::time::SystemTime;

use time::OffsetDateTime;

use super::{Application, Device};
use crate::certificate::{AnchorId, Template};
use crate::document::Validity;
use crate::secret::SecretId;

/// Which credential a log-in used, so that its revocation can be noticed
/// ([`Found::stands`](super::Found::stands)).
///
/// A credential is another one when its password, key or user name changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialId {
    pub(crate) proof: Proof,
    /// The alias or unique user name by which the device was found, unless it was its own name.
    pub(crate) known_as: Option<Box<str>>,
}

/// What was proved. Every connection keeps one for all its life: what few of them have is boxed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Knowledge of the device's own password.
    Password(SecretId),
    /// Knowledge of a user's password.
    UserPassword(Box<UserPassword>),
    /// Knowledge of a key.
    Key(Box<Key>),
    /// Possession of a certificate that an authority vouches for.
    Certificate(Box<VouchedFor>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserPassword {
    pub(crate) secret: SecretId,
    pub(crate) user: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) secret: SecretId,
    /// Its validity at that time.
    pub(crate) validity: Option<Validity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VouchedFor {
    pub(crate) anchor: AnchorId,
    /// How the authority named the device; `None`, if the whole subject did.
    pub(crate) template: Option<Template>,
}

impl CredentialId {
    pub(crate) fn stands(
        &self,
        application: &Application,
        device: &Device,
        now: SystemTime,
    ) -> bool {
        if !self
            .known_as
            .as_deref()
            .is_none_or(|name| device.is_known_as(name))
        {
            return false;
        }
        match &self.proof {
            Proof::Password(secret) => device.has_password(*secret, None),
            Proof::UserPassword(proved) => device.has_password(proved.secret, Some(&*proved.user)),
            Proof::Key(proved) => device.pre_shared_keys().iter().any(|key| {
                // Time alone ends no connection; an edit that ends the validity does.
                key.secret == proved.secret
                    && (key.validity == proved.validity || key.is_valid(now))
            }),
            Proof::Certificate(vouched) => application.anchors().iter().any(|anchor| {
                let named_so = |template: &Template| template == anchor.template();
                anchor.id() == vouched.anchor && vouched.template.as_ref().is_none_or(named_so)
            }),
        }
    }
}

impl Validity {
    pub(crate) fn includes(&self, now: SystemTime) -> bool {
        (self.not_before..=self.not_after).contains(&OffsetDateTime::from(now))
    }
}
