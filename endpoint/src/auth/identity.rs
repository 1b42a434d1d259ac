//! CONNECT's user name, client id and password → the device that is claimed, and the proof of it.

use landfall_protocol::packet::Connect;

use crate::dialect::{self, Claimed, ClaimedProof, LogInForm, NotAClaim, Signature};
use crate::percent;
use crate::telemetry::LogInMethod;

/// The device a client says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Application.
    pub application: String,
    /// Device within the application.
    pub device: String,
    /// What shows it.
    pub proof: Proof,
    /// The dialect in whose form it is claimed, by its name: the device must speak it.
    pub dialect: Option<&'static str>,
}

/// What a client shows for its claim.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// A password of the device.
    Password(Vec<u8>),
    /// A user name and its password, against a `user` credential of the device.
    User {
        /// User name.
        user: String,
        /// Password.
        password: Vec<u8>,
    },
    /// A signature with a key of the device, which stands in the password.
    Signature(Signature),
    /// None: the listener says who anonymous clients are.
    Anonymous,
}

impl Proof {
    /// What it is, for the metric.
    pub const fn method(&self) -> LogInMethod {
        match self {
            Self::Password(_) | Self::User { .. } => LogInMethod::Password,
            Self::Signature(_) => LogInMethod::Signature,
            Self::Anonymous => LogInMethod::Anonymous,
        }
    }
}

impl std::fmt::Debug for Proof {
    /// Shows no password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::User { .. } => "User",
            Self::Signature(_) => "Signature",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// Why a CONNECT claims no device. The client is told "bad user name or password" for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Neither user name nor another identity.
    #[error("no user name, and anonymous clients are not served here")]
    NoUserName,
    /// A user name without a password.
    #[error("no password")]
    NoPassword,
    /// The form is a dialect's, but it claims nothing.
    #[error("{0}")]
    Dialect(#[from] NotAClaim),
    /// Neither user name nor client id has the form `<device>@<application>`.
    #[error("neither user name nor client id is <device>@<application>")]
    NoApplication,
    /// The percent-encoding of the device part is broken.
    #[error("the device's name is not well percent-encoded")]
    Encoding,
}

/// The device that a user name names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Application.
    pub application: String,
    /// Device within the application.
    pub device: String,
}

impl Named {
    /// The device that CONNECT names, by a user name `<device>@<application>` or in the form of a
    /// dialect.
    pub fn of(connect: &Connect<'_>) -> Option<Self> {
        let user_name = user_name(connect)?;
        match dialect::claimed(&form(connect, user_name)) {
            Some((_, Ok(claimed))) => Some(Self {
                application: claimed.application,
                device: claimed.device,
            }),
            _ => Self::read(user_name),
        }
    }

    /// Reads `<device>@<application>`, as it stands in a user name or a pre-shared key's identity.
    pub fn read(text: &str) -> Option<Self> {
        let (device, application) = split_identity(text).ok()??;
        Some(Self {
            application,
            device,
        })
    }
}

/// The user name, if there is one: an empty one means none, and AWS clients append what they
/// are (`?SDK=…`) and whom they ask (`?x-amz-…`).
fn user_name<'a>(connect: &Connect<'a>) -> Option<&'a str> {
    let text = connect.user_name?;
    let is_appended = |at: &usize| {
        let rest = text.get(*at..).unwrap_or_default();
        rest.starts_with("?SDK=") || rest.starts_with("?x-amz-")
    };
    let appended = text.match_indices('?').map(|(at, _)| at).find(is_appended);
    let name = appended.map_or(text, |start| text.get(..start).unwrap_or(text));
    (!name.is_empty()).then_some(name)
}

fn form<'a>(connect: &Connect<'a>, user_name: &'a str) -> LogInForm<'a> {
    LogInForm {
        client_id: connect.client_id,
        user_name,
        password: connect.password,
    }
}

impl Claim {
    /// Reads the claim: the form of a dialect, if client id and user name have one; else
    /// `<device>@<application>` as user name with the device's password, else any
    /// user name with `<device>@<application>` as client id. Without a user name (or with an empty
    /// one) the client is the listener's anonymous device, if it has one.
    ///
    /// # Errors
    ///
    /// [`ClaimError`]: wrong or missing credentials.
    pub fn of(
        connect: &Connect<'_>,
        anonymous: Option<&(String, String)>,
    ) -> Result<Self, ClaimError> {
        let Some(user) = user_name(connect) else {
            return Self::anonymous(anonymous);
        };
        let of_dialect = dialect::claimed(&form(connect, user));
        let password = connect.password.ok_or(ClaimError::NoPassword)?.to_vec();
        if let Some((dialect, claimed)) = of_dialect {
            return Ok(Self::of_dialect(dialect, claimed?, password));
        }
        if let Some((device, application)) = split_identity(user)? {
            return Ok(Self {
                application,
                device,
                proof: Proof::Password(password),
                dialect: None,
            });
        }
        match split_identity(connect.client_id)? {
            Some((device, application)) => {
                let proof = Proof::User {
                    user: user.to_owned(),
                    password,
                };
                Ok(Self {
                    application,
                    device,
                    proof,
                    dialect: None,
                })
            }
            None => Err(ClaimError::NoApplication),
        }
    }

    fn of_dialect(dialect: &'static str, claimed: Claimed, password: Vec<u8>) -> Self {
        let Claimed {
            application,
            device,
            proof,
        } = claimed;
        Self {
            application,
            device,
            proof: match proof {
                ClaimedProof::Password => Proof::Password(password),
                ClaimedProof::Signature(signature) => Proof::Signature(signature),
            },
            dialect: Some(dialect),
        }
    }

    fn anonymous(anonymous: Option<&(String, String)>) -> Result<Self, ClaimError> {
        let (device, application) = anonymous.cloned().ok_or(ClaimError::NoUserName)?;
        Ok(Self {
            application,
            device,
            proof: Proof::Anonymous,
            dialect: None,
        })
    }
}

/// Splits at the first `@`; the device part may be percent-encoded.
///
/// # Errors
///
/// [`ClaimError::Encoding`] if the percent-encoding is broken.
fn split_identity(text: &str) -> Result<Option<(String, String)>, ClaimError> {
    let Some((device, application)) = text.split_once('@') else {
        return Ok(None);
    };
    if device.is_empty() || application.is_empty() {
        return Ok(None);
    }
    let device = percent::decode(device).ok_or(ClaimError::Encoding)?;
    Ok(Some((device.into_owned(), application.to_owned())))
}

#[cfg(test)]
mod tests {
    use landfall_protocol::Version;
    use landfall_protocol::packet::ConnectProperties;

    use super::*;

    fn connect<'a>(client_id: &'a str, user: Option<&'a str>) -> Connect<'a> {
        Connect {
            version: Version::V5,
            clean: true,
            keep_alive: 0,
            properties: ConnectProperties::default(),
            client_id,
            will: None,
            user_name: user,
            password: Some(b"secret"),
        }
    }

    fn claimed(client_id: &str, user: &str) -> Result<(String, String), ClaimError> {
        Claim::of(&connect(client_id, Some(user)), None).map(|c| (c.device, c.application))
    }

    #[test]
    fn user_name_is_device_at_application() {
        let claim = Claim::of(&connect("any", Some("sensor01@demo")), None).unwrap();
        assert_eq!((&*claim.device, &*claim.application), ("sensor01", "demo"));
        assert_eq!(claim.proof, Proof::Password(b"secret".to_vec()));
    }

    #[test]
    fn user_name_is_split_at_its_first_at_sign() {
        assert_eq!(claimed("", "a@b@c"), Ok(("a".into(), "b@c".into())));
        assert_eq!(claimed("", "a%40x@b"), Ok(("a@x".into(), "b".into())));
    }

    #[test]
    fn any_user_name_goes_with_a_client_id_of_device_at_application() {
        let claim = Claim::of(&connect("dev@app", Some("operator")), None).unwrap();
        assert_eq!((&*claim.device, &*claim.application), ("dev", "app"));
        let user = "operator".to_owned();
        assert_eq!(
            claim.proof,
            Proof::User {
                user,
                password: b"secret".to_vec()
            }
        );
    }

    #[test]
    fn refuses_claims_without_application_password_or_user() {
        assert_eq!(claimed("dev", "user"), Err(ClaimError::NoApplication));
        assert_eq!(claimed("dev", "@app"), Err(ClaimError::NoApplication));
        assert_eq!(claimed("", "%zz@app"), Err(ClaimError::Encoding));
        assert_eq!(claimed("", "%ff@app"), Err(ClaimError::Encoding));
        let without = Connect {
            password: None,
            ..connect("", Some("a@b"))
        };
        assert_eq!(Claim::of(&without, None), Err(ClaimError::NoPassword));
        assert_eq!(
            Claim::of(&connect("a@b", None), None),
            Err(ClaimError::NoUserName)
        );
    }

    #[test]
    fn an_anonymous_client_is_the_listeners_device() {
        let anonymous = ("dev".to_owned(), "app".to_owned());
        let claim = Claim::of(&connect("", Some("")), Some(&anonymous)).unwrap();
        assert_eq!((&*claim.device, claim.proof), ("dev", Proof::Anonymous));
    }

    #[test]
    fn what_aws_clients_append_to_a_user_name_is_ignored() {
        for (user, device) in [
            ("sensor01@demo?SDK=Python&Version=1.4.9", "sensor01"),
            (
                "sensor01@demo?x-amz-customauthorizer-name=a&SDK=x",
                "sensor01",
            ),
        ] {
            assert_eq!(
                claimed("", user),
                Ok((device.into(), "demo".into())),
                "{user}"
            );
        }
        let sdk = connect("a@b", Some("?SDK=Python&Version=1.4.9"));
        assert_eq!(Claim::of(&sdk, None), Err(ClaimError::NoUserName));
        assert_eq!(Named::of(&sdk), None);
        assert_eq!(claimed("", "a@b?sdk=c"), Ok(("a".into(), "b?sdk=c".into())));
    }

    #[test]
    fn a_user_name_names_a_device_whatever_proves_it() {
        let without_password = Connect {
            password: None,
            ..connect("x@y", Some("a%40b@c"))
        };
        let named = Named::of(&without_password).unwrap();
        assert_eq!((&*named.device, &*named.application), ("a@b", "c"));
        assert_eq!(Named::of(&connect("x@y", Some("operator"))), None);
    }

    #[test]
    fn the_form_of_a_dialect_claims_its_device() {
        let watson = connect("g:org1:pump:p7", Some("use-token-auth"));
        let claim = Claim::of(&watson, None).unwrap();
        assert_eq!((&*claim.device, &*claim.application), ("pump:p7", "org1"));
        assert_eq!(claim.dialect, Some("watsonIoT"));
        assert_eq!(Named::of(&watson).unwrap().device, "pump:p7");
        let azure = connect("d1", Some("hub1.example.com/d1/?api-version=2021-04-12"));
        let claim = Claim::of(&azure, None).unwrap();
        assert_eq!((&*claim.device, &*claim.application), ("d1", "hub1"));
        assert_eq!(claim.dialect, Some("azureIotHub"));
        let plain = Claim::of(&connect("g:org1:pump:p7", Some("a@b")), None).unwrap();
        assert_eq!((&*plain.device, plain.dialect), ("a", None));
        let bad = connect("g:org1::p7", Some("use-token-auth"));
        assert!(matches!(Claim::of(&bad, None), Err(ClaimError::Dialect(_))));
    }

    #[test]
    fn debug_output_shows_no_password() {
        let claim = Claim::of(&connect("", Some("a@b")), None).unwrap();
        assert!(!format!("{claim:?}").contains("secret"));
    }
}
