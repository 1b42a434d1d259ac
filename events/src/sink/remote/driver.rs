//! The loop of a remote sink's thread.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::Shared;
use super::courier::{Answer, Courier, Outcome, Ticket};
use super::lane::{Lane, LaneKey, shard};
use super::ledger::Ledger;
use super::spool::Spool;
use super::valve::{Accounts, SLOW};
use crate::sink::Refusal;
use crate::sink::queue::{Demand, Intake, Parcel};

/// Answers that are worked through before connections are told and new deliveries start.
const ANSWERS_AT_ONCE: usize = 1024;
/// Deliveries that a lane may start before it is another one's turn.
const TURN: usize = 32;
/// A courier that cannot even begin a delivery for this long has failed.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// The remote system is looked for this often, at first and at last, while there is nothing to
/// deliver.
const PROBE_PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

pub(super) struct Driver<'a, C> {
    courier: C,
    /// Dropped before `intake`, whose end tells that the sink has ended: then the file is free.
    pub(super) spool: Option<Spool>,
    pub(super) intake: Intake,
    pub(super) shared: &'a Shared,
    pub(super) ledger: Ledger,
    pub(super) accounts: Accounts,
    /// When to look for the remote system, and the pause after that; until it has been reached.
    probe: Option<(Instant, Duration)>,
    pub(super) lanes: HashMap<u64, Lane>,
    pub(super) keys: HashMap<LaneKey, u64>,
    pub(super) next_lane: u64,
    /// Lanes that may have something to send now, in turn.
    ready: VecDeque<u64>,
    is_ready: HashSet<u64>,
    /// Lanes that wait for their pause to end, or for what is under way.
    pub(super) troubled: HashSet<u64>,
    inbox: UnboundedReceiver<Answer>,
    answers: UnboundedSender<Answer>,
}

impl<'a, C: Courier> Driver<'a, C> {
    pub(super) fn new(
        courier: C,
        intake: Intake,
        spool: Option<Spool>,
        shared: &'a Shared,
    ) -> Self {
        let (answers, inbox) = unbounded_channel();
        Self {
            courier,
            intake,
            shared,
            ledger: Ledger::default(),
            accounts: Accounts::default(),
            spool,
            probe: Some((Instant::now(), PROBE_PAUSES.0)),
            lanes: HashMap::new(),
            keys: HashMap::new(),
            next_lane: 0,
            ready: VecDeque::new(),
            is_ready: HashSet::new(),
            troubled: HashSet::new(),
            inbox,
            answers,
        }
    }

    /// Delivers until the queue is closed and everything is delivered, or its patience is at an end.
    pub(super) async fn run(mut self) {
        self.find_spilled();
        loop {
            let demand = self.take();
            let spills = self.spill(matches!(demand, Demand::Finish(_)));
            self.send_all().await;
            self.look().await;
            self.open_and_close();
            let (deadline, tick) = match demand {
                Demand::Finish(_) if self.lanes.is_empty() || self.is_all_on_disk() => return,
                Demand::Finish(deadline) if deadline <= std::time::Instant::now() => return,
                Demand::Finish(deadline) => (Some(Instant::from_std(deadline)), None),
                Demand::Wait(tick) => (None, tick),
            };
            let tick = tick.map(|tick| Instant::now() + tick);
            let look = self.probe.filter(|_| self.lanes.is_empty());
            let slow = (!self.accounts.is_empty()).then(|| Instant::now() + SLOW / 2);
            let look = look.map(|(when, _)| when);
            let next = [deadline, tick, self.next_try(), look, slow, spills]
                .into_iter()
                .flatten()
                .min();
            let alarm = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(answer) = self.inbox.recv() => self.hear(answer),
                () = self.intake.news() => {}
                () = alarm => {}
            }
        }
    }

    /// Looks for the remote system, if it has not been reached yet and nothing else shows.
    async fn look(&mut self) {
        let Some((when, pause)) = self.probe else {
            return;
        };
        if !self.lanes.is_empty() || when > Instant::now() {
            return;
        }
        let look = tokio::time::timeout(START_PATIENCE, self.courier.probe());
        match look.await {
            Ok(Ok(())) => {
                self.probe = None;
                self.shared.alarmed.store(false, Ordering::Relaxed);
                self.shared.health.set_up();
            }
            Ok(Err(reason)) => self.not_there(&reason, pause),
            Err(_) => self.not_there("no answer in time", pause),
        }
    }

    fn not_there(&mut self, reason: &str, pause: Duration) {
        if pause == PROBE_PAUSES.0 {
            tracing::warn!(sink = %self.shared.name, reason, "the other system is not there yet");
        }
        self.shared.health.set_failing(reason.to_owned());
        self.probe = Some((Instant::now() + pause, (pause * 2).min(PROBE_PAUSES.1)));
    }

    /// Lets applications in trouble bring no more than their share.
    fn open_and_close(&mut self) {
        for (slot, completion) in self.shared.valve.judge(&self.accounts) {
            self.intake.notify_room(slot, &completion);
        }
    }

    /// Moves what the queue holds to its lanes.
    fn take(&mut self) -> Demand {
        let Self {
            courier,
            intake,
            ledger,
            accounts,
            lanes,
            keys,
            next_lane,
            ready,
            is_ready,
            ..
        } = self;
        // Events of one connection come together.
        let mut last: Option<(LaneKey, u64)> = None;
        intake.take(|application, parcel| {
            ledger.enter(&parcel);
            accounts.take_in(application, parcel.cost());
            let shard = shard(&parcel, courier.lanes());
            let id = match &last {
                Some(((name, its), id)) if Arc::ptr_eq(name, application) && *its == shard => *id,
                _ => {
                    let key = (Arc::clone(application), shard);
                    let id = enter_lane(key.clone(), keys, lanes, next_lane);
                    last = Some((key, id));
                    id
                }
            };
            if let Some(lane) = lanes.get_mut(&id) {
                lane.push(parcel);
            }
            if is_ready.insert(id) {
                ready.push_back(id);
            }
        })
    }

    /// Starts every delivery that may start now, the lanes in turn.
    async fn send_all(&mut self) {
        let now = Instant::now();
        let generation = self.courier.generation();
        for id in &self.troubled {
            let due = self.lanes.get(id).and_then(|lane| lane.due(1, now));
            if due.is_some_and(|due| due <= now) && self.is_ready.insert(*id) {
                self.ready.push_back(*id);
            }
        }
        while let Some(id) = self.ready.pop_front() {
            self.is_ready.remove(&id);
            if self.take_turn(id, generation).await {
                self.make_ready(id);
            }
            if self.inbox.len() >= ANSWERS_AT_ONCE {
                return;
            }
        }
    }

    /// Starts deliveries of one lane. True: it has more that may start now.
    async fn take_turn(&mut self, id: u64, generation: u64) -> bool {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return false;
        };
        let application = Arc::clone(lane.application());
        let window = self.courier.window();
        lane.keep_to(generation);
        for _ in 0..TURN {
            let now = Instant::now();
            let first = lane.first();
            if first.is_some_and(|first| self.courier.goes_alone(first)) {
                lane.set_first_apart();
            }
            if lane.due(window, now).is_none_or(|due| due > now) {
                return false;
            }
            let start = lane.start(self.courier.most(), now);
            let ticket = Ticket::new(id, start.delivery, start.is_alone, &self.answers);
            let send = self.courier.send(&application, start.events, ticket);
            // Broken off, the delivery answers by its ticket.
            let begun = tokio::time::timeout_at(now + START_PATIENCE, send).await;
            if self.courier.holds() {
                lane.hold();
            }
            if begun.is_err() {
                return false;
            }
        }
        true
    }

    /// When the next troubled lane may try again.
    fn next_try(&self) -> Option<Instant> {
        if !self.ready.is_empty() {
            return Some(Instant::now());
        }
        let now = Instant::now();
        let due = |id| self.lanes.get(id).and_then(|lane: &Lane| lane.due(1, now));
        self.troubled.iter().filter_map(due).min()
    }

    /// Works through what was answered, and tells the connections.
    fn hear(&mut self, first: Answer) {
        let mut finished = Vec::new();
        let now = Instant::now();
        self.judge(first, now, &mut finished);
        for _ in 1..ANSWERS_AT_ONCE {
            match self.inbox.try_recv() {
                Ok(answer) => self.judge(answer, now, &mut finished),
                Err(_) => break,
            }
        }
        self.ledger.report();
        self.intake.release(finished.iter());
    }

    fn judge(&mut self, answer: Answer, now: Instant, finished: &mut Vec<Parcel>) {
        let Answer {
            lane: id,
            delivery,
            outcome,
        } = answer;
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        match outcome {
            Outcome::Accepted => {
                let (parcels, took) = lane.end(delivery, now);
                let bytes = parcels.iter().map(|parcel| parcel.event.len() as u64);
                let counters = &self.shared.counters;
                counters.accepted(parcels.len() as u64, bytes.sum());
                counters.committed(took);
                self.probe = None;
                for parcel in &parcels {
                    self.ledger.finish(parcel);
                    self.accounts.finish(lane.application(), parcel.cost(), now);
                }
                finished.extend(parcels);
            }
            Outcome::Refused(..) if lane.size(delivery) > 1 => lane.split(delivery),
            Outcome::Refused(refusal, reason) => {
                let (parcels, _) = lane.end(delivery, now);
                if parcels.iter().any(|parcel| parcel.is_spilled) {
                    tracing::warn!(sink = %self.shared.name, application = %lane.application(), reason, "an event that was acknowledged is refused, and dropped");
                } else {
                    tracing::debug!(sink = %self.shared.name, application = %lane.application(), reason, "event refused");
                }
                self.shared.counters.refused(parcels.len() as u64);
                for parcel in &parcels {
                    tell_refused(parcel, refusal);
                    self.ledger.finish(parcel);
                    self.accounts.finish(lane.application(), parcel.cost(), now);
                }
                finished.extend(parcels);
            }
            Outcome::Doubted(reason) => {
                tracing::debug!(sink = %self.shared.name, application = %lane.application(), reason, "refused in company");
                lane.doubt(delivery);
                return self.make_ready(id);
            }
            Outcome::Again(_) if !lane.is_stuck() => {
                lane.rally(delivery);
                return self.make_ready(id);
            }
            Outcome::Again(reason) => return self.fail(id, delivery, &reason, None),
            Outcome::Retry { reason, after } => {
                return self.fail(id, delivery, &reason, after);
            }
        }
        self.settle(id);
    }

    /// The delivery was not taken: it goes again after a pause.
    fn fail(&mut self, id: u64, delivery: u64, reason: &str, after: Option<Duration>) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.fail(delivery, after);
        }
        self.shared.counters.failed();
        self.note_trouble(id, reason);
    }

    fn note_trouble(&mut self, id: u64, reason: &str) {
        let application = self
            .lanes
            .get(&id)
            .map(|lane| Arc::clone(lane.application()));
        let application = application.unwrap_or_default();
        if self.troubled.insert(id) {
            self.accounts.trouble_begins(&application);
        }
        let text = format!("application {application}: {reason}");
        if self.shared.health.set_failing(text) {
            tracing::warn!(sink = %self.shared.name, %application, reason, "the sink's events are not taken; they are kept and sent again");
        }
    }

    /// A delivery of the lane was taken: it goes on, and may be forgotten when it is empty.
    fn settle(&mut self, id: u64) {
        self.unspill(id);
        let Some(lane) = self.lanes.get(&id) else {
            return;
        };
        let recovered = !lane.is_in_trouble() && self.troubled.remove(&id);
        if recovered {
            self.accounts.trouble_ends(lane.application());
        }
        let alarmed = &self.shared.alarmed;
        let calm = alarmed.load(Ordering::Relaxed) && alarmed.swap(false, Ordering::Relaxed);
        if (recovered || calm) && self.troubled.is_empty() && self.shared.health.set_up() {
            tracing::info!(sink = %self.shared.name, "the sink's events are taken again");
        }
        if lane.is_empty() {
            self.keys.remove(&lane.key);
            self.lanes.remove(&id);
        } else {
            self.make_ready(id);
        }
    }

    /// The lane may have something to send.
    pub(super) fn make_ready(&mut self, id: u64) {
        if self.is_ready.insert(id) {
            self.ready.push_back(id);
        }
    }
}

/// The lane of that key; a new one, if there is none.
pub(super) fn enter_lane(
    key: LaneKey,
    keys: &mut HashMap<LaneKey, u64>,
    lanes: &mut HashMap<u64, Lane>,
    next_lane: &mut u64,
) -> u64 {
    *keys.entry(key.clone()).or_insert_with(|| {
        *next_lane += 1;
        lanes.insert(*next_lane, Lane::new(key));
        *next_lane
    })
}

fn tell_refused(parcel: &Parcel, refusal: Refusal) {
    parcel
        .completion
        .refused(parcel.slot, parcel.sequence, refusal);
}
