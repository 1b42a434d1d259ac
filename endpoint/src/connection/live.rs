//! The connected phase: one turn after another, each woken by the socket, the mailbox or a timer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use landfall_events::event::Timestamp;
use landfall_events::sink::Sequence;
use landfall_protocol::ReasonCode;
use landfall_protocol::session::{Session, Time};
use tokio::io::ReadBuf;
use tokio::time::{Instant, Sleep};

use super::asking::Asking;
use super::dialogue::Dialogue;
use super::downlink::Downlink;
use super::gate::Admitted;
use super::owned::OwnedPublish;
use super::uplink::Uplink;
use super::{Door, Link, Scratch, Stream};
use crate::server::{Place, Shared};

/// A closed session's last bytes may take this many milliseconds.
const LINGER: Time = 5_000;
/// How many milliseconds more a client is listened to when its time is over. A process that stood still
/// hears of its timers before it hears of the bytes that came meanwhile.
const LAST_LOOK: Time = 100;
/// Turns that a connection may take before the others of its thread have theirs. An orderly client
/// needs two; without a bound, one that floods would keep the thread for megabytes.
const TURNS_AT_ONCE: usize = 4;

/// A connection that was let in.
pub(super) struct Live<S> {
    pub(super) stream: S,
    pub(super) door: Arc<Door>,
    pub(super) shared: Arc<Shared>,
    pub(super) session: Session,
    pub(super) link: Arc<Link>,
    pub(super) uplink: Uplink,
    pub(super) downlink: Downlink,
    pub(super) dialogue: Dialogue,
    pub(super) will: Option<Box<OwnedPublish>>,
    /// Bytes that were read and not used yet. Empty, and without memory, most of the time.
    pub(super) pending: Vec<u8>,
    /// Whole packets may stand in `pending`: look before reading on.
    pub(super) held: bool,
    /// The publish that waits for the registry's answer about a device.
    pub(super) asking: Option<Box<Asking>>,
    /// A refused publish has been logged; further ones are only counted.
    pub(super) refusal_logged: bool,
    /// The server stops; since when this connection knows.
    stop: Stop,
    /// A sink without room has been asked to ring.
    room_asked: bool,
    /// A publish whose acknowledgement is awaited, to see how long that takes.
    pub(super) timed: Option<(Sequence, Timestamp)>,
    /// Since when the client takes no output.
    unwritten_since: Option<Time>,
    /// Since when a publish cannot be taken, for lack of room in a sink or of a rule's verdict.
    no_room_since: Option<Time>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Until when it is listened to once more, before a time-out counts.
    last_look: Option<Time>,
    /// Free again with the connection.
    _place: Option<Place>,
}

/// How far the end of a connection has come whose server stops.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stop {
    /// It does not.
    #[default]
    No,
    /// It does.
    Asked,
    /// Since then the acknowledgements of commands are waited for: it is still read from.
    Since(Time),
    /// What is in flight is finished, nothing more is read.
    Now,
}

impl Stop {
    /// Commands that are on their way may take this many milliseconds to be acknowledged.
    const PATIENCE: Time = 2_000;

    fn at(self, now: Time, settled: bool) -> Self {
        match self {
            Self::Asked | Self::Since(_) if settled => Self::Now,
            Self::Asked => Self::Since(now),
            Self::Since(since) if now >= since + Self::PATIENCE => Self::Now,
            other => other,
        }
    }

    fn deadline(self) -> Option<Time> {
        match self {
            Self::Since(since) => Some(since + Self::PATIENCE),
            _ => None,
        }
    }
}

/// How a turn went on.
enum Turn {
    /// Look again at once.
    Again,
    /// Nothing to do before the next wake-up.
    Sleep,
    /// The session is over and its last bytes are written, or given up.
    Over,
}

impl<S: Stream> Live<S> {
    pub(super) fn new(stream: S, door: Arc<Door>, shared: Arc<Shared>, admitted: Admitted) -> Self {
        let Admitted {
            session,
            pending,
            link,
            uplink,
            will,
            place,
        } = admitted;
        Self {
            stream,
            door,
            shared,
            session,
            link,
            uplink,
            downlink: Downlink::default(),
            dialogue: Dialogue::default(),
            will,
            held: !pending.is_empty(),
            pending,
            asking: None,
            refusal_logged: false,
            stop: Stop::default(),
            room_asked: false,
            timed: None,
            unwritten_since: None,
            no_room_since: None,
            timer: None,
            last_look: None,
            _place: place,
        }
    }

    /// Serves the session until it is over.
    pub(super) async fn run(&mut self) {
        poll_fn(|cx| {
            let mut scratch = Scratch::take(self.shared.sinks.all().len());
            if self.session.output().capacity() == 0 {
                std::mem::swap(self.session.output(), &mut scratch.output);
            }
            let polled = self.poll(cx, &mut scratch);
            if self.session.output().is_empty() && scratch.output.capacity() == 0 {
                std::mem::swap(self.session.output(), &mut scratch.output);
                self.session.shrink();
            }
            scratch.give_back();
            polled
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<()> {
        for _ in 0..TURNS_AT_ONCE {
            match self.turn(cx, scratch) {
                Turn::Again => {}
                Turn::Over => return Poll::Ready(()),
                Turn::Sleep if self.link.sleep(cx.waker()) => return Poll::Pending,
                Turn::Sleep => {}
            }
        }
        // Behind all that wait by now.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Turn {
        let now = self.shared.clock.now();
        self.read_mail();
        self.poll_asking(cx, now, scratch);
        self.settle(now);
        self.say_what_is_due();
        // For a client that does not read, commands wait in its queue, which has a bound, and not in
        // its output.
        let was_behind = self.unwritten_since.is_some();
        if !was_behind {
            self.deliver_commands(cx);
        }
        let written = self.flush(cx, now).is_ready();
        if self.session.closed().is_some() && (written || self.has_lingered(now)) {
            return Turn::Over;
        }
        let caught_up = was_behind && written;
        let progress = written && self.may_read() && self.read(cx, now, scratch);
        if caught_up || progress || self.poll_timer(cx, now).is_ready() {
            Turn::Again
        } else {
            Turn::Sleep
        }
    }

    fn read_mail(&mut self) {
        let Some(news) = self.link.news() else { return };
        if let Some(found) = news.found {
            let client_id = &self.link.identity.client_id;
            self.uplink.update(found, &self.shared.rules, client_id);
        }
        for refused in news.refused {
            self.note_sink_refusal(refused);
        }
        if news.room {
            self.room_asked = false;
        }
        if news.stop && self.stop == Stop::No {
            self.stop = Stop::Asked;
        }
        if let Some(reason) = news.close {
            self.session.close(reason);
        }
    }

    /// Gives the acknowledgements that the sinks have earned.
    pub(super) fn settle(&mut self, now: Time) {
        if self.session.waiting() > 0 || self.uplink.is_tracing() {
            let accepted = self.uplink.accepted(&self.link);
            for refused in self.link.take_refused() {
                self.note_sink_refusal(refused);
            }
            self.session.accepted(now, &self.door.limits, accepted);
            self.uplink.end_spans(accepted);
            self.look_at_timed();
        }
        self.stop = self.stop.at(now, self.downlink.is_settled());
        if self.stop == Stop::Now && self.session.waiting() == 0 && self.asking.is_none() {
            match &self.shared.config.limits.server_reference {
                Some(reference) => self.session.redirect(reference),
                None => self.session.close(ReasonCode::SERVER_SHUTTING_DOWN),
            }
        }
    }

    /// Tells how long the timed publish took, once it is acknowledged.
    fn look_at_timed(&mut self) {
        if let Some((sequence, arrived)) = self.timed
            && self
                .session
                .oldest_waiting()
                .is_none_or(|oldest| oldest > sequence)
        {
            self.timed = None;
            let micros = Timestamp::now().0.saturating_sub(arrived.0);
            let traffic = &self.shared.telemetry.traffic;
            traffic.acknowledged(Duration::from_micros(micros));
        }
    }

    /// Writes what the session has to say. Pending: the client does not read.
    fn flush(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let mut written = 0;
        let traffic = &self.shared.telemetry.traffic;
        let packets = self.session.take_written();
        if packets > 0 {
            traffic.packets_sent.inc_by(u64::from(packets));
        }
        while let Some(rest) = self.session.output().get(written..)
            && !rest.is_empty()
        {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(count)) if count > 0 => {
                    written += count;
                    traffic.bytes_sent.inc_by(count as u64);
                }
                Poll::Ready(_) => {
                    self.session.connection_lost();
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    self.session.output().drain(..written);
                    let progress = (written > 0).then_some(now);
                    self.unwritten_since = progress.or(self.unwritten_since).or(Some(now));
                    return Poll::Pending;
                }
            }
        }
        self.session.output().clear();
        // TLS and WebSocket streams keep what the socket did not take.
        match ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
            Ok(()) => self.unwritten_since = None,
            Err(_) => self.session.connection_lost(),
        }
        Poll::Ready(())
    }

    /// Whether bytes of the client are wanted now.
    fn may_read(&self) -> bool {
        self.stop != Stop::Now
            && self.asking.is_none()
            && self.session.wants_input(&self.door.limits)
    }

    /// Works on held bytes, or reads. False: nothing to be had now.
    fn read(&mut self, cx: &mut Context<'_>, now: Time, scratch: &mut Scratch) -> bool {
        if std::mem::take(&mut self.held) {
            let pending = std::mem::take(&mut self.pending);
            let used = self.process(&pending, now, scratch);
            self.keep(pending, used);
            // Still held without any progress: for lack of room, which rings.
            return used > 0 || !self.held || !self.wait_for_room(now);
        }
        let mut bytes = std::mem::take(&mut scratch.read);
        let mut read = ReadBuf::new(&mut bytes);
        let progress = match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Pending => false,
            Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                let received = &self.shared.telemetry.traffic.bytes_received;
                received.inc_by(read.filled().len() as u64);
                self.take_in(read.filled(), now, scratch);
                true
            }
            Poll::Ready(_) => {
                self.session.connection_lost();
                true
            }
        };
        scratch.read = bytes;
        progress
    }

    /// Works on what was just read, behind what was left before.
    fn take_in(&mut self, bytes: &[u8], now: Time, scratch: &mut Scratch) {
        if self.pending.is_empty() {
            let used = self.process(bytes, now, scratch);
            self.pending = bytes.get(used..).unwrap_or_default().to_vec();
        } else {
            let mut pending = std::mem::take(&mut self.pending);
            pending.extend_from_slice(bytes);
            let used = self.process(&pending, now, scratch);
            self.keep(pending, used);
        }
    }

    fn keep(&mut self, mut pending: Vec<u8>, used: usize) {
        pending.drain(..used);
        self.pending = if pending.is_empty() {
            Vec::new()
        } else {
            pending
        };
    }

    /// Asks a full sink to ring. False: there is room by now.
    fn wait_for_room(&mut self, now: Time) -> bool {
        if self.uplink.has_room() {
            return false;
        }
        self.waiting(now);
        if !std::mem::replace(&mut self.room_asked, true) {
            self.uplink.wait_for_room();
        }
        true
    }

    /// The client has to wait: its keep-alive stands still, the patience with it does not.
    pub(super) fn waiting(&mut self, now: Time) {
        self.session.set_reading(now, false);
        self.no_room_since.get_or_insert(now);
    }

    /// A packet got through: the client is being listened to.
    pub(super) fn listening(&mut self, now: Time) {
        self.no_room_since = None;
        self.session.set_reading(now, true);
    }

    fn has_lingered(&self, now: Time) -> bool {
        self.unwritten_since
            .is_some_and(|since| now >= since + LINGER)
    }

    /// When the session or the connection wants to be looked at again.
    fn deadline(&self) -> Option<Time> {
        if self.session.closed().is_some() {
            return self.unwritten_since.map(|since| since + LINGER);
        }
        [
            self.session.poll_timeout(&self.door.limits),
            self.stuck_deadline(),
            self.stop.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the connection has been stuck, on either side, for too long.
    fn stuck_deadline(&self) -> Option<Time> {
        let since = self
            .unwritten_since
            .into_iter()
            .chain(self.no_room_since)
            .min()?;
        Some(since + self.door.limits.stall_timeout)
    }

    /// Ready: a timer ran out, and the session was told.
    ///
    /// The sleep is not moved with every packet: it rings at the time that was right when it was
    /// set, and is then set anew.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Time) -> Poll<()> {
        let Some(mut deadline) = self.deadline() else {
            return Poll::Pending;
        };
        if deadline > now {
            self.last_look = None;
        } else {
            deadline = *self.last_look.get_or_insert(now + LAST_LOOK);
            if deadline <= now {
                self.last_look = None;
                self.time_out(now);
                return Poll::Ready(());
            }
        }
        let target = self.shared.clock.instant(deadline);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(target)));
        if timer.deadline() > target {
            timer.as_mut().reset(target);
        }
        while timer.as_mut().poll(cx).is_ready() {
            timer
                .as_mut()
                .reset(target.max(Instant::now() + Duration::from_millis(1)));
        }
        Poll::Pending
    }

    fn time_out(&mut self, now: Time) {
        if self.session.closed().is_none() && self.stuck_deadline().is_some_and(|at| at <= now) {
            self.session.close(ReasonCode::QUOTA_EXCEEDED);
        }
        self.session.handle_timeout(&self.door.limits, now);
    }
}
