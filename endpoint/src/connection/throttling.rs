//! Log-ins by password, held back where too many failed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use landfall_protocol::ReasonCode;
use landfall_registry::{LogIn, LogInError, Presented, Signed};

use crate::auth::{Attempt, Claim, Throttled};
use crate::listener::Peer;
use crate::server::Shared;
use crate::telemetry::LogInThrottled;

/// Why there is no log-in.
pub(super) enum NoLogIn {
    /// It was not tried: what the client is told, and what the log is told.
    Throttled(ReasonCode, &'static str),
    /// The registry says no.
    Refused(LogInError),
}

/// What is shown for a claim.
pub(super) enum Shown<'a> {
    /// A password, with or without a user name of its own.
    Password(Presented<'a>),
    /// A signature with a key.
    Signature(Signed<'a>),
}

/// Checks a password or signature, unless too many failed from this address or for this device.
pub(super) async fn log_in(
    claim: &Claim,
    shown: Shown<'_>,
    peer: &Peer,
    shared: &Shared,
) -> Result<LogIn, NoLogIn> {
    // Whoever comes through a Unix socket is this machine.
    let address = peer.ip().unwrap_or(Ipv4Addr::LOCALHOST.into());
    let (application, device) = (claim.application.as_str(), claim.device.as_str());
    let attempt = Attempt {
        address,
        application,
        device,
        connected: is_connected_from(address, application, device, shared),
    };
    if let Err(throttled) = shared.throttle.check(&attempt, shared.clock.now()) {
        LogInThrottled { attempt, throttled }.emit(&shared.telemetry);
        return Err(told(throttled));
    }
    let registry = &shared.registry;
    let log_in = match shown {
        Shown::Password(presented) => registry.log_in(application, device, presented).await,
        Shown::Signature(signed) => {
            let now = SystemTime::now();
            registry
                .log_in_by_signature(application, device, signed, now)
                .await
        }
    };
    match &log_in {
        Ok(_) => shared.throttle.succeeded(&attempt, shared.clock.now()),
        Err(LogInError::Refused(_)) => shared.throttle.failed(&attempt, shared.clock.now()),
        Err(LogInError::Busy | LogInError::Unavailable(_)) => {}
    }
    log_in.map_err(NoLogIn::Refused)
}

/// Of a device no more is told than after a wrong password: not even that somebody tries to guess
/// it. An address may know that it is too fast.
fn told(throttled: Throttled) -> NoLogIn {
    match throttled {
        Throttled::Address { .. } => NoLogIn::Throttled(
            ReasonCode::CONNECTION_RATE_EXCEEDED,
            "too many log-ins failed from this address",
        ),
        Throttled::Device { .. } => NoLogIn::Throttled(
            ReasonCode::BAD_USER_NAME_OR_PASSWORD,
            "too many log-ins failed for this device",
        ),
    }
}

fn is_connected_from(address: IpAddr, application: &str, device: &str, shared: &Shared) -> bool {
    let links = shared.sessions.of_device(application, device);
    let mut peers = links.iter().filter_map(|link| link.identity.peer.ip());
    peers.any(|peer| peer.to_canonical() == address.to_canonical())
}
