//! The connected phase: one turn after another, each woken by the socket or the mailbox.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use landfall_events::event::Timestamp;
use landfall_protocol::ReasonCode;
use landfall_protocol::session::{Session, Time};
use tokio::io::ReadBuf;

use super::asking::Asking;
use super::dialogue::Dialogue;
use super::downlink::Downlink;
use super::gate::Admitted;
use super::owned::OwnedPublish;
use super::pace::Pace;
use super::troubles::{Stop, Troubles};
use super::uplink::Uplink;
use super::{Door, Link, Scratch, Stream};
use crate::server::{Place, Shared};

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
    /// A sink without room has been asked to ring.
    room_asked: bool,
    /// A publish whose acknowledgement is awaited, to see how long that takes.
    pub(super) timed: Option<(NonZeroU64, Timestamp)>,
    pub(super) troubles: Troubles,
    pub(super) pace: Pace,
    /// When it is woken at the latest; 0 before that was first asked for.
    pub(super) alarm: Time,
    /// Free again with the connection.
    _place: Option<Place>,
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
            room_asked: false,
            timed: None,
            troubles: Troubles::default(),
            pace: Pace::default(),
            alarm: 0,
            _place: place,
        }
    }

    /// Serves the session until it is over.
    pub(super) fn run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
        self.read_mail();
        // Behind that: an alarm that rings from here on is in the mailbox, one that rang has passed.
        let now = self.shared.clock.now();
        self.poll_asking(cx, now, scratch);
        self.settle(now);
        self.say_what_is_due();
        // For a client that does not read, commands wait in its queue, which has a bound, and not in
        // its output.
        let was_behind = self.troubles.unwritten_since.is_some();
        if !was_behind {
            self.deliver_commands(cx);
        }
        let written = self.flush(cx, now).is_ready();
        if self.session.closed().is_some() && (written || self.has_lingered(now)) {
            return Turn::Over;
        }
        let caught_up = was_behind && written;
        let progress = written && self.may_read() && self.read(cx, now, scratch);
        if caught_up || progress || self.look_at_timers(now) {
            Turn::Again
        } else {
            Turn::Sleep
        }
    }

    fn read_mail(&mut self) {
        let Some(news) = self.link.news() else { return };
        if let Some(found) = news.found {
            self.uplink.update(found, &self.shared.rules);
        }
        for refused in news.refused {
            self.note_sink_refusal(refused);
        }
        if news.room {
            self.room_asked = false;
        }
        if news.stop && self.troubles.stop == Stop::No {
            self.troubles.note(|trouble| trouble.stop = Stop::Asked);
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
            self.uplink.end_spans(&self.link, accepted);
            self.look_at_timed();
        }
        if self.troubles.stop != Stop::No {
            self.stop(now);
        }
    }

    /// The server stops: goes as far towards the end as it can.
    fn stop(&mut self, now: Time) {
        let settled = self.downlink.is_settled();
        self.troubles
            .note(|trouble| trouble.stop = trouble.stop.at(now, settled));
        if self.troubles.stop == Stop::Now && self.session.waiting() == 0 && self.asking.is_none() {
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
                .is_none_or(|oldest| oldest > sequence.get())
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
                    let since = self.troubles.unwritten_since.filter(|_| written == 0);
                    let since = since.unwrap_or(now);
                    self.troubles
                        .note(|trouble| trouble.unwritten_since = Some(since));
                    return Poll::Pending;
                }
            }
        }
        self.session.output().clear();
        // TLS and WebSocket streams keep what the socket did not take. How much of it they still have
        // does not show, so that the whole must leave in the time that a client may take for anything.
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => {
                self.troubles
                    .note(|trouble| _ = trouble.unwritten_since.get_or_insert(now));
                return Poll::Pending;
            }
            Poll::Ready(Ok(())) => self.troubles.note(|trouble| trouble.unwritten_since = None),
            Poll::Ready(Err(_)) => self.session.connection_lost(),
        }
        Poll::Ready(())
    }

    /// Whether bytes of the client are wanted now.
    fn may_read(&self) -> bool {
        self.troubles.stop != Stop::Now
            && self.asking.is_none()
            && self.session.wants_input(&self.door.limits)
    }

    /// Works on held bytes, or reads. False: nothing to be had now.
    fn read(&mut self, cx: &mut Context<'_>, now: Time, scratch: &mut Scratch) -> bool {
        if std::mem::take(&mut self.held) {
            let pending = std::mem::take(&mut self.pending);
            let used = self.process(&pending, now, scratch);
            self.keep(pending, used);
            // Still held without any progress: for what rings.
            return used > 0 || !self.held || !self.waits(now);
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

    /// What is held has to wait.
    fn waits(&mut self, now: Time) -> bool {
        self.wait_for_allowance(now) || self.wait_for_sinks(now) || self.wait_for_room(now)
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
}
