//! The gate: CONNECT is read, the device logs in, CONNACK is written.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use landfall_protocol::session::{Accept, Close, Event, Session};
use landfall_protocol::{ReasonCode, Version};
use landfall_registry::{CredentialId, Found, LogInError, Presented};
use tokio::io::ReadBuf;

use super::farewell::{await_close, finish_writing};
use super::owned::OwnedPublish;
use super::throttling::{self, NoLogIn};
use super::uplink::Uplink;
use super::{Door, Identity, Link, Scratch, Stream};
use crate::auth::{Claim, ClaimError, Proof};
use crate::dialect;
use crate::server::Shared;
use crate::telemetry::{ConnectRefused, Connected, LogInOutcome};

/// A connection that was let in.
pub(super) struct Admitted {
    pub(super) session: Session,
    /// Bytes that came behind CONNECT.
    pub(super) pending: Vec<u8>,
    pub(super) link: Arc<Link>,
    pub(super) uplink: Uplink,
    pub(super) will: Option<Box<OwnedPublish>>,
}

/// What CONNECT asks for, with memory of its own.
struct Request {
    claim: Result<Claim, ClaimError>,
    client_id: Box<str>,
    client_id_made_up: bool,
    will: Option<OwnedPublish>,
    version: Version,
}

/// Why a client is kept out: what it is told, and what the log is told.
struct Denied {
    reason: ReasonCode,
    text: Option<&'static str>,
    outcome: LogInOutcome,
    cause: String,
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
}

/// Reads CONNECT and lets the client in; `None` once it has been told why not.
pub(super) async fn admit<S: Stream>(
    stream: &mut S,
    peer: SocketAddr,
    door: &Door,
    shared: &Arc<Shared>,
) -> Option<Admitted> {
    let mut session = Session::new(shared.clock.now());
    let mut pending = Vec::new();
    let Some(request) = read_connect(stream, &mut session, &mut pending, door, shared).await else {
        let close = session.closed().map(|closed| closed.close);
        if close == Some(Close::Lost) && pending.is_empty() {
            // A probe: somebody looked whether the port is open.
            return None;
        }
        let cause = close.map_or_else(String::new, |close| close.to_string());
        let refused = ConnectRefused {
            peer,
            claim: None,
            outcome: LogInOutcome::Protocol,
            cause,
        };
        refused.emit(&shared.telemetry);
        say_farewell(stream, &mut session).await;
        return None;
    };
    match log_in(&request, peer, shared).await {
        Ok((found, credential)) => Some(let_in(
            request, found, credential, session, pending, peer, door, shared,
        )),
        Err(denied) => {
            let claim = request.claim.as_ref().ok();
            let refused = ConnectRefused {
                peer,
                claim,
                outcome: denied.outcome,
                cause: denied.cause,
            };
            refused.emit(&shared.telemetry);
            session.refuse(denied.reason, denied.text);
            say_farewell(stream, &mut session).await;
            None
        }
    }
}

/// `None`: the session is closed, with a reason of its own.
async fn read_connect<S: Stream>(
    stream: &mut S,
    session: &mut Session,
    pending: &mut Vec<u8>,
    door: &Door,
    shared: &Shared,
) -> Option<Request> {
    let patience = Duration::from_millis(door.limits.connect_timeout);
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if let Some((used, event)) = session.handle_input(&door.limits, shared.clock.now(), pending)
        {
            let Event::Connect(connect) = event else {
                return None;
            };
            let request = Request {
                claim: Claim::of(&connect, door.anonymous.as_ref()),
                client_id_made_up: connect.client_id.is_empty(),
                client_id: match connect.client_id {
                    "" => format!("landfall-{}", uuid::Uuid::new_v4().simple()).into(),
                    given => given.into(),
                },
                will: connect.will.as_ref().map(OwnedPublish::of_will),
                version: connect.version,
            };
            pending.drain(..used);
            return Some(request);
        }
        match tokio::time::timeout_at(deadline, read_more(stream, pending)).await {
            Ok(true) => {}
            Ok(false) => {
                session.connection_lost();
                return None;
            }
            Err(_) => {
                let now = shared.clock.now() + door.limits.connect_timeout;
                session.handle_timeout(&door.limits, now);
                return None;
            }
        }
    }
}

/// Appends what has come. False: the connection is gone.
async fn read_more<S: Stream>(stream: &mut S, pending: &mut Vec<u8>) -> bool {
    poll_fn(|cx| {
        let mut scratch = Scratch::take(0);
        let mut read = ReadBuf::new(&mut scratch.read);
        let polled = Pin::new(&mut *stream).poll_read(cx, &mut read);
        let more = polled.map(|result| {
            pending.extend_from_slice(read.filled());
            result.is_ok() && !read.filled().is_empty()
        });
        scratch.give_back();
        more
    })
    .await
}

/// Who the client is, if it may connect.
async fn log_in(
    request: &Request,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<(Found, Option<CredentialId>), Denied> {
    if shared.is_stopping() {
        let outcome = LogInOutcome::Stopping;
        return Err(Denied::new(
            ReasonCode::SERVER_UNAVAILABLE,
            outcome,
            "the server stops",
        ));
    }
    if shared.sessions.len() >= shared.config.limits.connections.get() {
        let outcome = LogInOutcome::Limit;
        return Err(Denied::new(
            ReasonCode::QUOTA_EXCEEDED,
            outcome,
            "too many connections",
        ));
    }
    let claim = request.claim.as_ref().map_err(|error| {
        Denied::new(
            ReasonCode::BAD_USER_NAME_OR_PASSWORD,
            LogInOutcome::Credentials,
            error.to_string(),
        )
    })?;
    let (found, credential) = verify(claim, peer, shared).await?;
    if let Some(will) = &request.will {
        let spec = landfall_registry::effective_dialect(&found.application, &found.device);
        dialect::destination(&spec, will.topic()).map_err(|error| Denied {
            text: Some("the will's topic is not one of this dialect"),
            ..Denied::new(
                ReasonCode::TOPIC_NAME_INVALID,
                LogInOutcome::Will,
                format!("will topic: {error}"),
            )
        })?;
    }
    Ok((found, credential))
}

async fn verify(
    claim: &Claim,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<(Found, Option<CredentialId>), Denied> {
    let presented = match &claim.proof {
        Proof::Password(password) => Presented::Password(password),
        Proof::User { user, password } => Presented::UserPassword { user, password },
        Proof::Anonymous => return anonymous(claim, shared).await,
    };
    match throttling::log_in(claim, presented, peer.ip(), shared).await {
        Ok(log_in) => {
            let credential = log_in.credential.clone();
            Ok((log_in.into(), Some(credential)))
        }
        Err(NoLogIn::Throttled(reason, cause)) => {
            Err(Denied::new(reason, LogInOutcome::Throttled, cause))
        }
        Err(NoLogIn::Refused(LogInError::Refused(cause))) => Err(Denied::new(
            ReasonCode::BAD_USER_NAME_OR_PASSWORD,
            LogInOutcome::Credentials,
            cause.to_string(),
        )),
        Err(NoLogIn::Refused(LogInError::Busy)) => Err(Denied::new(
            ReasonCode::SERVER_BUSY,
            LogInOutcome::Busy,
            "too many log-ins wait for their verification",
        )),
        Err(NoLogIn::Refused(LogInError::Unavailable(error))) => Err(Denied::new(
            ReasonCode::SERVER_UNAVAILABLE,
            LogInOutcome::Unavailable,
            error.to_string(),
        )),
    }
}

async fn anonymous(
    claim: &Claim,
    shared: &Shared,
) -> Result<(Found, Option<CredentialId>), Denied> {
    let found = shared
        .registry
        .device(&claim.application, &claim.device)
        .await;
    let found = found.map_err(|error| {
        Denied::new(
            ReasonCode::SERVER_UNAVAILABLE,
            LogInOutcome::Unavailable,
            error.to_string(),
        )
    })?;
    match found {
        Some(found) if found.enabled() => Ok((found, None)),
        _ => Err(Denied::new(
            ReasonCode::BAD_USER_NAME_OR_PASSWORD,
            LogInOutcome::Credentials,
            "the listener's anonymous device is unknown or disabled",
        )),
    }
}

/// Enters the connection into the table, sends others away, and writes CONNACK.
#[expect(
    clippy::too_many_arguments,
    reason = "each is used once, and all are needed here"
)]
fn let_in(
    request: Request,
    found: Found,
    credential: Option<CredentialId>,
    mut session: Session,
    pending: Vec<u8>,
    peer: SocketAddr,
    door: &Door,
    shared: &Arc<Shared>,
) -> Admitted {
    let application: Arc<str> = shared.sessions.application_name(found.application.name());
    let route = shared.sinks.route(&found.application);
    let identity = Identity {
        application: Arc::clone(&application),
        device: Arc::from(found.device.name()),
        client_id: request.client_id,
        peer,
        transport: door.transport,
        version: request.version,
        since: SystemTime::now(),
        credential,
    };
    let link = Arc::new(Link::new(identity, route.len()));
    let mut uplink = Uplink::new(&shared.instance, found, application, route, &link);
    let per_device = shared.config.limits.connections_per_device.get();
    let leaving = shared.sessions.add(&link, per_device, || {
        let mut scratch = Scratch::take(shared.sinks.all().len());
        uplink.connection_event(true, 0, &mut scratch);
        uplink.hand_over(&mut scratch);
        scratch.give_back();
    });
    for old in leaving {
        old.close(ReasonCode::SESSION_TAKEN_OVER);
    }
    uplink.shrink();
    Connected { link: &link }.emit(&shared.telemetry);
    let accept = Accept {
        assigned_client_identifier: request
            .client_id_made_up
            .then_some(&*link.identity.client_id),
    };
    session.accept(&door.limits, shared.clock.now(), accept);
    let will = request.will.map(Box::new);
    Admitted {
        session,
        pending,
        link,
        uplink,
        will,
    }
}

/// Writes what the session still has to say, and closes.
async fn say_farewell<S: Stream>(stream: &mut S, session: &mut Session) {
    finish_writing(stream, session.output()).await;
    await_close(stream).await;
}
