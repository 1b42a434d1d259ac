//! Events that must stay in order among themselves: what waits, what is under way, and trouble.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::record::Record;
use crate::sink::queue::Parcel;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A remote system that asks for more patience than this is asked again sooner.
const LONGEST_WISH: Duration = Duration::from_secs(300);
/// How often deliveries may be given up for the sake of others, with none taken in between.
const MOST_ROUNDS: u32 = 8;

/// The application, and which of its lanes.
pub(super) type LaneKey = (Arc<str>, u16);

/// One lane: see the module.
pub(super) struct Lane {
    pub(super) key: LaneKey,
    /// By number, without those under way.
    waiting: VecDeque<Numbered>,
    under_way: BTreeMap<u64, Delivery>,
    next_parcel: i64,
    next_delivery: u64,
    trouble: Option<Trouble>,
    /// Events up to this number go one by one: the system refused some of them together.
    single_up_to: i64,
    /// Nothing starts before everything under way has come back.
    rallies: bool,
    /// The same, without anything having been given up.
    holds: bool,
    /// How often the lane has begun again since a delivery was taken or refused.
    rounds: u32,
    /// What is under way goes alone.
    is_alone: bool,
    /// Of the courier, when the lane last sent something.
    generation: u64,
    /// The lane has events on disk, which go first.
    spilled: Option<Spilled>,
}

/// Of the events on disk.
#[derive(Default)]
struct Spilled {
    /// Those that are in the lane's hands again.
    in_hand: usize,
    /// The last of these.
    last: Option<i64>,
}

/// Events that were sent together.
struct Delivery {
    events: Vec<Numbered>,
    since: Instant,
}

/// An event with its place in the lane.
struct Numbered {
    number: i64,
    /// It is sent with nothing else of the lane under way.
    alone: bool,
    parcel: Parcel,
}

/// The last delivery was not taken. Until one is, they go one at a time.
struct Trouble {
    until: Instant,
    pause: Duration,
    began: Instant,
    /// Deliveries below this number were under way when the first one failed.
    since: u64,
}

/// A delivery that starts.
pub(super) struct Start {
    /// Its number.
    pub(super) delivery: u64,
    pub(super) events: Vec<Bytes>,
    /// Nothing else of the lane is under way until it has come back.
    pub(super) is_alone: bool,
}

impl Numbered {
    fn new(number: i64, parcel: Parcel) -> Self {
        Self {
            number,
            alone: false,
            parcel,
        }
    }
}

impl Lane {
    pub(super) fn new(key: LaneKey) -> Self {
        Self {
            key,
            waiting: VecDeque::new(),
            under_way: BTreeMap::new(),
            next_parcel: 1,
            next_delivery: 1,
            trouble: None,
            single_up_to: i64::MIN,
            rallies: false,
            holds: false,
            rounds: 0,
            is_alone: false,
            generation: 0,
            spilled: None,
        }
    }

    pub(super) fn application(&self) -> &Arc<str> {
        &self.key.0
    }

    pub(super) fn push(&mut self, parcel: Parcel) {
        let number = self.next_parcel;
        self.next_parcel += 1;
        self.waiting.push_back(Numbered::new(number, parcel));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty() && self.spilled.is_none()
    }

    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// Takes note of the courier's generation: what was sent in another one must come back first.
    pub(super) fn keep_to(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.rallies |= !self.under_way.is_empty();
        }
    }

    /// The next event to be sent.
    pub(super) fn first(&self) -> Option<&Bytes> {
        self.waiting.front().map(|first| &first.parcel.event)
    }

    /// Has the next event sent alone.
    pub(super) fn set_first_apart(&mut self) {
        if let Some(first) = self.waiting.front_mut() {
            first.alone = true;
        }
    }

    /// When a delivery may start, if one is due by then; that is `now`, unless there is trouble.
    pub(super) fn due(&self, window: usize, now: Instant) -> Option<Instant> {
        let first = self.waiting.front()?;
        match &self.trouble {
            // What was sent behind the one that failed must come back first, or it would overtake.
            Some(trouble) => self.under_way.is_empty().then_some(trouble.until),
            None if self.rallies || self.holds || self.is_alone || first.alone => {
                self.under_way.is_empty().then_some(now)
            }
            None => (self.under_way.len() < window).then_some(now),
        }
    }

    /// The next delivery.
    pub(super) fn start(&mut self, most: (usize, usize), now: Instant) -> Start {
        self.rounds += u32::from(self.rallies);
        self.rallies = false;
        self.holds = false;
        let is_first_alone = self.waiting.front().is_some_and(|first| first.alone);
        self.is_alone = self.trouble.is_some() || is_first_alone;
        let sent = self.take(most);
        let number = self.next_delivery;
        self.next_delivery += 1;
        let events = sent.iter().map(|event| event.parcel.event.clone());
        let events = events.collect();
        let delivery = Delivery {
            events: sent,
            since: now,
        };
        self.under_way.insert(number, delivery);
        Start {
            delivery: number,
            events,
            is_alone: self.is_alone,
        }
    }

    /// The events of the next delivery.
    fn take(&mut self, (most_events, most_bytes): (usize, usize)) -> Vec<Numbered> {
        // Couriers that take one event at a time are the ones that are to be fast.
        let mut sent: Vec<Numbered> = Vec::with_capacity(1);
        let mut bytes = 0;
        while let Some(next) = self.waiting.front() {
            let single = next.number <= self.single_up_to || next.alone;
            let full =
                sent.len() >= most_events || bytes + next.parcel.event.len() > most_bytes || single;
            if full && !sent.is_empty() {
                break;
            }
            bytes += next.parcel.event.len();
            sent.extend(self.waiting.pop_front());
            if single {
                break;
            }
        }
        sent
    }

    /// The delivery was taken, or refused for good: its events, and how long it took.
    pub(super) fn end(&mut self, delivery: u64, now: Instant) -> (Vec<Parcel>, Duration) {
        // One that was under way when another failed says nothing about what comes now.
        self.trouble.take_if(|trouble| delivery >= trouble.since);
        self.rounds = 0;
        let Some(delivery) = self.under_way.remove(&delivery) else {
            return (Vec::new(), Duration::ZERO);
        };
        let parcels = delivery.events.into_iter().map(|event| event.parcel);
        let parcels: Vec<Parcel> = parcels.collect();
        if let Some(spilled) = &mut self.spilled {
            let came = parcels.iter().filter(|parcel| parcel.is_spilled).count();
            spilled.in_hand = spilled.in_hand.saturating_sub(came);
        }
        (parcels, now.saturating_duration_since(delivery.since))
    }

    /// How many events the delivery has.
    pub(super) fn size(&self, delivery: u64) -> usize {
        self.under_way
            .get(&delivery)
            .map_or(0, |delivery| delivery.events.len())
    }

    /// The delivery was refused as a whole: its events are to go one by one.
    pub(super) fn split(&mut self, delivery: u64) {
        let delivered = self.under_way.get(&delivery);
        let last = delivered.and_then(|delivery| delivery.events.last());
        self.single_up_to = last.map_or(self.single_up_to, |event| event.number);
        self.put_back(delivery);
    }

    /// The delivery was refused with others: its events are to go alone.
    pub(super) fn doubt(&mut self, delivery: u64) {
        let doubted = self.under_way.get_mut(&delivery);
        let events = doubted.into_iter().flat_map(|doubted| &mut doubted.events);
        events.for_each(|event| event.alone = true);
        self.rally(delivery);
    }

    /// The delivery was given up: its events are to be sent again once everything under way has come
    /// back.
    pub(super) fn rally(&mut self, delivery: u64) {
        self.put_back(delivery);
        self.rallies = true;
    }

    /// Nothing more starts before everything under way has come back.
    pub(super) fn hold(&mut self) {
        self.holds = true;
    }

    /// The lane has rallied again and again, and nothing of it was taken.
    pub(super) fn is_stuck(&self) -> bool {
        self.rounds >= MOST_ROUNDS
    }

    /// The delivery was not taken: its events are to be sent again after a pause, which grows.
    pub(super) fn fail(&mut self, delivery: u64, wish: Option<Duration>) {
        self.put_back(delivery);
        let now = Instant::now();
        let (pause, since, began) = match &self.trouble {
            // Those sent before the first failure was known fail for the same reason.
            Some(trouble) if delivery < trouble.since => {
                (trouble.pause, trouble.since, trouble.began)
            }
            Some(trouble) => {
                let pause = (trouble.pause * 2).min(LONGEST_PAUSE);
                (pause, trouble.since, trouble.began)
            }
            None => (FIRST_PAUSE, self.next_delivery, now),
        };
        // Half of it is left to chance, so that many senders do not come back at once.
        let pause_now = wish.map_or_else(
            || pause.mul_f64(0.5 + fastrand::f64() / 2.0),
            |wish| wish.min(LONGEST_WISH),
        );
        self.trouble = Some(Trouble {
            until: now + pause_now,
            pause,
            began,
            since,
        });
    }

    /// When what waits may go to disk: with trouble that lasts, and once everything under way has
    /// come back; at once behind what is there already.
    pub(super) fn spills_at(&self, patience: Duration, now: Instant) -> Option<Instant> {
        if self.spilled.is_some() {
            return self.unspilled().next().map(|_| now);
        }
        let trouble = self.trouble.as_ref()?;
        let is_due = self.under_way.is_empty() && !self.waiting.is_empty();
        is_due.then_some(trouble.began + patience)
    }

    /// What waits and is not on disk, in order.
    pub(super) fn unspilled(&self) -> impl Iterator<Item = &Bytes> {
        let unspilled = self.waiting.iter().filter(|event| !event.parcel.is_spilled);
        unspilled.map(|event| &event.parcel.event)
    }

    /// What was not on disk is there now: it is not the lane's any more.
    pub(super) fn spill(&mut self) -> Vec<Parcel> {
        // Those from the disk stand in front.
        let place = self
            .waiting
            .partition_point(|event| event.parcel.is_spilled);
        let spilled = self.waiting.split_off(place);
        self.spilled.get_or_insert_default();
        spilled.into_iter().map(|event| event.parcel).collect()
    }

    /// Whether all of its events are on disk.
    pub(super) fn is_on_disk(&self) -> bool {
        let under_way = self
            .under_way
            .values()
            .flat_map(|delivery| &delivery.events);
        let mut all = under_way.chain(&self.waiting);
        all.all(|event| event.parcel.is_spilled)
    }

    /// The lane has events on disk since an earlier run.
    pub(super) fn has_spilled(&mut self) {
        self.spilled.get_or_insert_default();
    }

    /// Whether it is time to read more from the disk, and up to which event those in hand before
    /// are finished.
    pub(super) fn wants_spilled(&self) -> Option<Option<i64>> {
        let spilled = self.spilled.as_ref()?;
        (spilled.in_hand == 0).then_some(spilled.last)
    }

    /// Puts events from the disk in front; none: there are no more.
    pub(super) fn unspill(&mut self, piece: Option<(Vec<Bytes>, i64)>) {
        let Some((events, last)) = piece else {
            self.spilled = None;
            return;
        };
        self.spilled = Some(Spilled {
            in_hand: events.len(),
            last: Some(last),
        });
        let first = self
            .waiting
            .front()
            .map_or(self.next_parcel, |event| event.number);
        let before = (1..).map(|distance| first - distance);
        let parcels: Vec<Parcel> = Parcel::spilled(events).collect();
        for (parcel, number) in parcels.into_iter().rev().zip(before) {
            self.waiting.push_front(Numbered::new(number, parcel));
        }
    }

    fn put_back(&mut self, delivery: u64) {
        let delivery = self.under_way.remove(&delivery);
        let events = delivery.map(|delivery| delivery.events).unwrap_or_default();
        for event in events.into_iter().rev() {
            let place = self
                .waiting
                .partition_point(|other| other.number < event.number);
            self.waiting.insert(place, event);
        }
    }
}

/// Which of its application's lanes an event belongs to: all of one sender to the same.
pub(super) fn shard(parcel: &Parcel, lanes: u16) -> u16 {
    if lanes <= 1 {
        return 0;
    }
    let record = Record::read(&parcel.event);
    let key = record.map_or("", |record| record.get("partitionkey"));
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
    u16::try_from(hash % u64::from(lanes)).unwrap_or_default()
}
