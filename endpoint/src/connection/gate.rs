//! The gate: CONNECT is read, the device logs in, CONNACK is written.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use landfall_events::event::Timestamp;
use landfall_protocol::session::{Accept, Close, Event, Session};
use landfall_protocol::{ReasonCode, Version};
use tokio::io::ReadBuf;

use super::entering::{Entry, enter};
use super::farewell::{await_close, finish_writing};
use super::log_in::{Denied, LoggedIn, log_in};
use super::owned::OwnedPublish;
use super::uplink::Uplink;
use super::{Door, Identity, Link, Origin, Scratch, Stream};
use crate::auth::{Claim, ClaimError, Named, Proven};
use crate::listener::Peer;
use crate::server::{Place, Shared};
use crate::telemetry::{ConnectRefused, Connected, LogInMethod, LogInOutcome};

/// A connection that was let in.
pub(super) struct Admitted {
    pub(super) session: Session,
    /// Bytes that came behind CONNECT.
    pub(super) pending: Vec<u8>,
    pub(super) link: Arc<Link>,
    pub(super) uplink: Uplink,
    pub(super) will: Option<Box<OwnedPublish>>,
    /// Its place among those of the listener.
    pub(super) place: Option<Place>,
}

/// What CONNECT asks for, with memory of its own.
pub(super) struct Request {
    /// What user name and password say.
    pub(super) claim: Result<Claim, ClaimError>,
    /// The device that the user name names, whatever proves it.
    pub(super) named: Option<Named>,
    pub(super) client_id: Box<str>,
    client_id_made_up: bool,
    pub(super) will: Option<OwnedPublish>,
    version: Version,
    /// How long it may be kept waiting, in milliseconds.
    pub(super) patience: u64,
}

/// Reads CONNECT and lets the client in; `None` once it has been told why not.
pub(super) async fn admit<S: Stream>(
    stream: &mut S,
    origin: Origin,
    door: &Door,
    shared: &Arc<Shared>,
) -> Option<Admitted> {
    let peer = origin.peer;
    let mut session = Session::new(shared.clock.now());
    let mut pending = Vec::new();
    let Some(request) = read_connect(stream, &mut session, &mut pending, door, shared).await else {
        let close = session.closed().map(|closed| closed.close);
        if close == Some(Close::Lost) && pending.is_empty() {
            // A probe: somebody looked whether the port is open.
            return None;
        }
        let cause = match instead_of_mqtt(&pending) {
            Some(instead) => instead.to_owned(),
            None => close.map_or_else(String::new, |close| close.to_string()),
        };
        let refused = ConnectRefused {
            peer,
            who: None,
            outcome: LogInOutcome::Protocol,
            method: LogInMethod::None,
            cause,
        };
        refused.emit(&shared.telemetry);
        say_farewell(stream, &mut session).await;
        return None;
    };
    let changes = shared.changes_seen();
    let entered = async {
        let logged_in = log_in(&request, &origin, door, shared).await?;
        let entry = enter(&request, &logged_in, shared).await?;
        Ok::<_, Denied>((logged_in, entry))
    };
    match entered.await {
        Ok((logged_in, entry)) => {
            let client = Client {
                request,
                logged_in,
                entry,
                peer,
            };
            let admitted = let_in(client, session, pending, door, shared);
            // A change that came since the log-in did not find the connection in the table.
            if shared.changes_seen() != changes {
                let (link, shared) = (Arc::clone(&admitted.link), Arc::clone(shared));
                tokio::spawn(async move { shared.check(link).await });
            }
            Some(admitted)
        }
        Err(denied) => {
            let refused = ConnectRefused {
                peer,
                who: request.who(&origin.proven),
                outcome: denied.outcome,
                method: request.method(&origin.proven),
                cause: denied.cause,
            };
            refused.emit(&shared.telemetry);
            session.refuse(denied.reason, denied.text);
            say_farewell(stream, &mut session).await;
            None
        }
    }
}

impl Request {
    /// What the client logs in with, as far as it got.
    fn method(&self, proven: &Proven) -> LogInMethod {
        match proven {
            Proven::PreSharedKey { .. } => LogInMethod::PreSharedKey,
            Proven::Certificate(_) => LogInMethod::Certificate,
            Proven::Nothing => {
                let claim = self.claim.as_ref();
                claim.map_or(LogInMethod::None, |claim| claim.proof.method())
            }
        }
    }

    /// Application and device that the client says it is, for the log.
    fn who<'a>(&'a self, proven: &'a Proven) -> Option<(&'a str, &'a str)> {
        if let Proven::PreSharedKey {
            application,
            device,
            ..
        } = proven
        {
            return Some((application, device));
        }
        let claim = self.claim.as_ref().ok();
        let claimed = claim.map(|claim| (&*claim.application, &*claim.device));
        let named = self.named.as_ref();
        claimed.or(named.map(|named| (&*named.application, &*named.device)))
    }
}

/// What a client speaks that does not speak MQTT, for the log.
fn instead_of_mqtt(bytes: &[u8]) -> Option<&'static str> {
    // A TLS handshake record (RFC 8446, 5.1); in MQTT it would be a CONNECT with reserved flags.
    if bytes.starts_with(&[0x16, 0x03]) {
        return Some("TLS where none is spoken: this listener has no [listeners.tls]");
    }
    let verbs: [&[u8]; 6] = [
        b"GET ",
        b"POST ",
        b"PUT ",
        b"HEAD ",
        b"OPTIONS ",
        b"CONNECT ",
    ];
    let http = verbs.iter().any(|verb| bytes.starts_with(verb));
    if http {
        return Some("HTTP where MQTT is spoken: this listener has no transport = \"websocket\"");
    }
    if bytes.starts_with(b"PROXY ") || bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        return Some("a PROXY header from a peer that proxy_protocol does not name");
    }
    None
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
                named: Named::of(&connect),
                client_id_made_up: connect.client_id.is_empty(),
                client_id: match connect.client_id {
                    "" => format!("landfall-{}", uuid::Uuid::new_v4().simple()).into(),
                    given => given.into(),
                },
                will: connect.will.as_ref().map(OwnedPublish::of_will),
                version: connect.version,
                patience: door.limits.connect_timeout,
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

/// A client that may come in.
struct Client {
    request: Request,
    logged_in: LoggedIn,
    entry: Entry,
    peer: Peer,
}

/// Enters the connection into the table, sends others away, and writes CONNACK.
fn let_in(
    client: Client,
    mut session: Session,
    pending: Vec<u8>,
    door: &Door,
    shared: &Arc<Shared>,
) -> Admitted {
    let Client {
        request,
        logged_in,
        entry,
        peer,
    } = client;
    let LoggedIn {
        found,
        credential,
        method,
        place,
    } = logged_in;
    let route = shared.sinks.route(&found.application);
    let identity = Identity {
        application: shared.sessions.application_name(found.application.name()),
        device: Arc::from(found.device.name()),
        client_id: request.client_id,
        peer,
        transport: door.transport,
        version: request.version,
        since: Timestamp::now(),
        epoch: entry.epoch,
        credential,
    };
    let link = Arc::new(Link::new(identity, route.len()));
    let mut uplink = Uplink::new(shared, found, route, &link);
    let per_device = shared.config.limits.connections_per_device.get();
    let leaving = shared.sessions.add(&link, per_device, || {
        if entry.elsewhere {
            return;
        }
        let mut scratch = Scratch::take(shared.sinks.all().len());
        uplink.connection_event(true, shared, 0, &mut scratch);
        uplink.hand_over(&mut scratch);
        scratch.give_back();
    });
    for old in leaving {
        old.close(ReasonCode::SESSION_TAKEN_OVER);
    }
    if let Some(claim) = entry.claim {
        claim.begun();
    }
    if let Some(cluster) = &shared.cluster {
        cluster.appeared(&link);
    }
    let connected = Connected {
        link: &link,
        method,
    };
    connected.emit(&shared.telemetry);
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
        place,
    }
}

/// Writes what the session still has to say, and closes.
async fn say_farewell<S: Stream>(stream: &mut S, session: &mut Session) {
    finish_writing(stream, session.output()).await;
    await_close(stream).await;
}
