//! Who a client is, if it may connect: what it proved in its handshake, and what CONNECT says.
//!
//! The order of identities: a pre-shared key, a certificate, user name and password, the listener's
//! anonymous device. A key or a certificate decides alone; a user name beside it must not name
//! another device, and its password is not looked at. A certificate that logs nobody in leaves the
//! word to user name and password, if there are any: whoever has those needs no certificate.

use std::time::SystemTime;

use landfall_protocol::ReasonCode;
use landfall_registry::{
    CredentialId, Found, LogIn, LogInError, Presented, Signed, effective_dialect,
};

use super::gate::Request;
use super::throttling::{self, NoLogIn, Shown};
use super::{Door, Origin};
use crate::auth::{self, Claim, Named, Proof, Proven};
use crate::dialect::{self, Own};
use crate::listener::Peer;
use crate::server::{Place, Shared};
use crate::telemetry::{LogInMethod, LogInOutcome};

/// Why a client is kept out: what it is told, and what the log is told.
pub(super) struct Denied {
    pub(super) reason: ReasonCode,
    pub(super) text: Option<&'static str>,
    pub(super) outcome: LogInOutcome,
    pub(super) cause: String,
}

impl Denied {
    fn new(reason: ReasonCode, outcome: LogInOutcome, cause: impl Into<String>) -> Self {
        Self {
            reason,
            text: None,
            outcome,
            cause: cause.into(),
        }
    }

    /// Wrong or missing credentials: the client is told no more than that.
    fn credentials(cause: &impl ToString) -> Self {
        Self::new(
            ReasonCode::BAD_USER_NAME_OR_PASSWORD,
            LogInOutcome::Credentials,
            cause.to_string(),
        )
    }

    fn quota(cause: &str) -> Self {
        Self::new(ReasonCode::QUOTA_EXCEEDED, LogInOutcome::Limit, cause)
    }

    pub(super) fn unavailable(error: &impl ToString) -> Self {
        Self::new(
            ReasonCode::SERVER_UNAVAILABLE,
            LogInOutcome::Unavailable,
            error.to_string(),
        )
    }
}

impl From<NoLogIn> for Denied {
    fn from(error: NoLogIn) -> Self {
        match error {
            NoLogIn::Throttled(reason, cause) => Self::new(reason, LogInOutcome::Throttled, cause),
            NoLogIn::Refused(error) => error.into(),
        }
    }
}

impl From<LogInError> for Denied {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::Refused(cause) => Self::credentials(&cause),
            LogInError::Busy => Self::new(
                ReasonCode::SERVER_BUSY,
                LogInOutcome::Busy,
                "too many log-ins wait for their verification",
            ),
            LogInError::Unavailable(error) => Self::unavailable(&error),
        }
    }
}

/// A device that may connect.
pub(super) struct LoggedIn {
    pub(super) found: Found,
    /// `None` for a listener's anonymous device.
    pub(super) credential: Option<CredentialId>,
    /// What it has logged in with.
    pub(super) method: LogInMethod,
    /// Its place among those of the listener.
    pub(super) place: Option<Place>,
}

/// Who the client is, if it may connect.
pub(super) async fn log_in(
    request: &Request,
    origin: &Origin,
    door: &Door,
    shared: &Shared,
) -> Result<LoggedIn, Denied> {
    may_anybody_connect(origin, shared)?;
    let place = match &door.admitted {
        Some(places) => Some(
            places
                .take()
                .ok_or_else(|| Denied::quota("too many connections through this listener"))?,
        ),
        None => None,
    };
    let (found, credential, method) = identify(request, origin, shared).await?;
    check_application_limit(found.application.name(), shared)?;
    check_will(request, &found)?;
    Ok(LoggedIn {
        found,
        credential,
        method,
        place,
    })
}

/// Whether the application has room for a connection.
pub(super) fn check_application_limit(application: &str, shared: &Shared) -> Result<(), Denied> {
    let limit = shared.config.limits.connections_per_application;
    match limit {
        Some(limit) if shared.sessions.len_of(application) >= limit.get() => {
            Err(Denied::quota("too many connections of this application"))
        }
        _ => Ok(()),
    }
}

fn may_anybody_connect(origin: &Origin, shared: &Shared) -> Result<(), Denied> {
    if shared.is_stopping() {
        return Err(Denied::new(
            ReasonCode::SERVER_UNAVAILABLE,
            LogInOutcome::Stopping,
            "the server stops",
        ));
    }
    if origin.over_rate {
        return Err(Denied::new(
            ReasonCode::CONNECTION_RATE_EXCEEDED,
            LogInOutcome::Rate,
            "too many connections from this address",
        ));
    }
    if shared.sessions.len() >= shared.config.limits.connections.get() {
        return Err(Denied::quota("too many connections"));
    }
    Ok(())
}

async fn identify(
    request: &Request,
    origin: &Origin,
    shared: &Shared,
) -> Result<(Found, Option<CredentialId>, LogInMethod), Denied> {
    let registry = &shared.registry;
    let proven = &origin.proven;
    let (log_in, method) = match proven {
        Proven::Nothing => {
            let claim = request.claim.as_ref().map_err(Denied::credentials)?;
            return claimed(claim, &origin.peer, shared).await;
        }
        Proven::PreSharedKey {
            application,
            device,
            credential,
        } => {
            let log_in = registry.log_in_by_pre_shared_key(application, device, credential);
            (log_in.await?, LogInMethod::PreSharedKey)
        }
        Proven::Certificate(chain) => {
            let links: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
            let log_in = registry
                .log_in_by_certificate(&links, SystemTime::now())
                .await;
            match (log_in, &request.claim) {
                (Ok(log_in), _) => (log_in, LogInMethod::Certificate),
                // Some TLS stacks show a certificate whenever they are asked for one.
                (Err(LogInError::Refused(_)), Ok(claim)) if claim.proof != Proof::Anonymous => {
                    return claimed(claim, &origin.peer, shared).await;
                }
                (Err(LogInError::Refused(cause)), _) => {
                    let subject = auth::subject(chain);
                    return Err(Denied::credentials(&format_args!(
                        "certificate {subject}: {cause}"
                    )));
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
    };
    if request
        .named
        .as_ref()
        .is_some_and(|named| !is(&log_in, named))
    {
        return Err(Denied::credentials(&format_args!(
            "the user name names another device than the {} of {}@{}",
            proven.kind(),
            log_in.device.name(),
            log_in.application.name()
        )));
    }
    let (found, credential) = found(log_in);
    Ok((found, credential, method))
}

/// Whether a user name means the device that is logged in.
fn is(log_in: &LogIn, named: &Named) -> bool {
    log_in.application.name() == named.application && log_in.device.is_known_as(&named.device)
}

async fn claimed(
    claim: &Claim,
    peer: &Peer,
    shared: &Shared,
) -> Result<(Found, Option<CredentialId>, LogInMethod), Denied> {
    let (found, credential) = by_claim(claim, peer, shared).await?;
    Ok((found, credential, claim.proof.method()))
}

async fn by_claim(
    claim: &Claim,
    peer: &Peer,
    shared: &Shared,
) -> Result<(Found, Option<CredentialId>), Denied> {
    let presented = match &claim.proof {
        Proof::Password(password) => Shown::Password(Presented::Password(password)),
        Proof::User { user, password } => {
            Shown::Password(Presented::UserPassword { user, password })
        }
        Proof::Signature(signature) => Shown::Signature(Signed {
            text: signature.signed.as_bytes(),
            mac: &signature.mac,
            expiry: signature.expiry,
        }),
        Proof::Anonymous => return anonymous(claim, shared).await,
    };
    let log_in = throttling::log_in(claim, presented, peer, shared).await?;
    // After the same work, and with the same answer, as a wrong password.
    let spoken = effective_dialect(&log_in.application, &log_in.device).name();
    if let Some(form) = claim.dialect.filter(|form| *form != spoken) {
        return Err(Denied::credentials(&format_args!(
            "the log-in has the form of {form}, but the device speaks {spoken}"
        )));
    }
    Ok(found(log_in))
}

fn found(log_in: LogIn) -> (Found, Option<CredentialId>) {
    let credential = log_in.credential.clone();
    (log_in.into(), Some(credential))
}

async fn anonymous(
    claim: &Claim,
    shared: &Shared,
) -> Result<(Found, Option<CredentialId>), Denied> {
    let found = shared
        .registry
        .device(&claim.application, &claim.device)
        .await
        .map_err(|error| Denied::unavailable(&error))?;
    match found {
        Some(found) if found.enabled() => Ok((found, None)),
        _ => Err(Denied::credentials(
            &"the listener's anonymous device is unknown or disabled",
        )),
    }
}

/// The will's topic must be one of the device's dialect.
fn check_will(request: &Request, found: &Found) -> Result<(), Denied> {
    let Some(will) = &request.will else {
        return Ok(());
    };
    let spec = effective_dialect(&found.application, &found.device);
    let own = Own {
        application: found.application.name(),
        device: found.device.name(),
    };
    let destination = dialect::of(&spec).destination(will.topic(), own);
    destination.map_err(|error| Denied {
        text: Some("the will's topic is not one of this dialect"),
        ..Denied::new(
            ReasonCode::TOPIC_NAME_INVALID,
            LogInOutcome::Will,
            format!("will topic: {error}"),
        )
    })?;
    Ok(())
}
