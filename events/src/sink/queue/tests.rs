//! Behaviours of the queue, with a consumer that the test itself plays.

use super::*;
use crate::sink::blackhole::Blackhole;
use crate::sink::testing::Connection;

const GROUP: usize = 4_096;

/// A connection's way into the queue: events as a sink without framing encodes them.
fn push(queue: &Queue, connection: &mut Connection, payload: &[u8]) -> Sequence {
    let sequence = connection.encode(&Blackhole::new("encoder"), "temp", payload);
    connection.hand_over_with(|handover| queue.push(handover));
    sequence
}

fn take(consumer: &Consumer<'_>, max_bytes: usize) -> Vec<Group> {
    let mut groups = Vec::new();
    assert!(consumer.take(max_bytes, &mut groups));
    groups
}

fn shapes(groups: &[Group]) -> Vec<(&str, u32)> {
    groups
        .iter()
        .map(|group| (&*group.application, group.events))
        .collect()
}

#[test]
fn batches_of_an_application_gather_in_one_group_in_the_order_they_came() {
    let queue = Queue::new(1 << 20, 1 << 20);
    let consumer = Consumer::of(&queue);
    let mut first = Connection::new("a", "one");
    let mut second = Connection::new("a", "two");
    let mut other = Connection::new("b", "three");
    push(&queue, &mut first, b"1");
    push(&queue, &mut other, b"2");
    push(&queue, &mut second, b"3");
    push(&queue, &mut first, b"4");

    let mut groups = take(&consumer, usize::MAX);
    assert_eq!(shapes(&groups), [("a", 3), ("b", 1)]);
    let data = String::from_utf8(groups[0].data.clone()).unwrap();
    let places: Vec<_> = ["\"data\":1", "\"data\":3", "\"data\":4"]
        .map(|data_member| data.find(data_member).unwrap())
        .into();
    assert!(places.is_sorted());

    consumer.accept(&mut groups);
    assert_eq!(first.recorder.told().accepted, [(0, 2)], "told once");
    assert_eq!(second.recorder.told().accepted, [(0, 1)]);
    assert_eq!(other.recorder.told().accepted, [(0, 1)]);
}

#[test]
fn a_full_group_is_followed_by_another_and_order_is_kept() {
    let queue = Queue::new(1 << 20, GROUP);
    let consumer = Consumer::of(&queue);
    let mut connection = Connection::new("a", "one");
    for number in 0..100 {
        push(&queue, &mut connection, number.to_string().as_bytes());
    }
    let groups = take(&consumer, usize::MAX);
    assert!(groups.len() > 5);
    assert!(groups.iter().all(|group| group.data.len() <= GROUP));
    let all: Vec<u8> = groups.iter().flat_map(|group| group.data.clone()).collect();
    let all = String::from_utf8(all).unwrap();
    let places: Vec<_> = (0..100)
        .map(|number| all.find(&format!("\"data\":{number}}}")).unwrap())
        .collect();
    assert!(places.is_sorted());
}

#[test]
fn what_is_taken_at_once_is_bounded_and_the_rest_comes_next() {
    let queue = Queue::new(1 << 20, GROUP);
    let consumer = Consumer::of(&queue);
    let mut connection = Connection::new("a", "one");
    for _ in 0..100 {
        push(&queue, &mut connection, b"1");
    }
    let mut events = 0;
    while events < 100 {
        let mut groups = take(&consumer, 2 * GROUP);
        let bytes: usize = groups.iter().map(|group| group.data.len()).sum();
        assert!(bytes <= 2 * GROUP);
        events += groups.iter().map(|group| group.events).sum::<u32>();
        consumer.accept(&mut groups);
        assert_eq!(connection.recorder.told().up_to(), u64::from(events));
    }
}

#[test]
fn a_batch_that_comes_while_its_group_is_taken_starts_a_new_one() {
    let queue = Queue::new(1 << 20, GROUP);
    let consumer = Consumer::of(&queue);
    let mut connection = Connection::new("a", "one");
    push(&queue, &mut connection, b"1");
    let mut first = take(&consumer, usize::MAX);
    push(&queue, &mut connection, b"2");
    consumer.accept(&mut first);
    assert_eq!(connection.recorder.told().up_to(), 1);
    let mut second = take(&consumer, usize::MAX);
    assert_eq!(shapes(&second), [("a", 1)]);
    consumer.accept(&mut second);
    assert_eq!(connection.recorder.told().up_to(), 2);
}

#[test]
fn room_counts_what_is_queued_and_what_is_not_accepted_yet() {
    let queue = Queue::new(2_000, GROUP);
    let consumer = Consumer::of(&queue);
    let mut connection = Connection::new("a", "one");
    assert!(queue.has_room());
    while queue.has_room() {
        push(&queue, &mut connection, b"1");
    }
    let mut groups = take(&consumer, usize::MAX);
    assert!(!queue.has_room(), "taken is not accepted");
    // Never refused for lack of room.
    push(&queue, &mut connection, b"1");
    consumer.accept(&mut groups);
    assert!(queue.has_room());
    consumer.accept(&mut take(&consumer, usize::MAX));
    assert_eq!(connection.recorder.told().up_to(), connection.last());
    assert_eq!(queue.lock().cost, 0);
}

#[test]
fn who_asks_while_there_is_room_is_told_at_once() {
    let queue = Queue::new(2_000, GROUP);
    let _consumer = Consumer::of(&queue);
    let connection = Connection::new("a", "one");
    connection.ask_for_room_of(&queue);
    assert_eq!(connection.recorder.told().rooms, [0]);
}

#[test]
fn those_who_wait_for_room_are_told_in_turn_as_room_comes() {
    let queue = Queue::new(5_000, GROUP);
    let consumer = Consumer::of(&queue);
    let mut connection = Connection::new("a", "one");
    while queue.has_room() {
        push(&queue, &mut connection, b"1");
    }
    let waiting: Vec<_> = (0..3).map(|_| Connection::new("a", "waits")).collect();
    for waiter in &waiting {
        waiter.ask_for_room_of(&queue);
    }
    let told = || -> Vec<usize> {
        let rooms = |waiter: &Connection| waiter.recorder.told().rooms.len();
        waiting.iter().map(rooms).collect()
    };
    assert_eq!(told(), [0, 0, 0]);

    // Room for fewer than a batch's worth wakes one at a time.
    let mut first = take(&consumer, GROUP);
    consumer.accept(&mut first);
    assert_eq!(told(), [1, 0, 0]);
    let mut rest = take(&consumer, usize::MAX);
    consumer.accept(&mut rest);
    assert_eq!(told(), [1, 1, 0]);

    // Nothing is queued that could make more room; the last one is told nevertheless.
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| take(&consumer, usize::MAX));
        waiting[2].recorder.wait_room();
        push(&queue, &mut connection, b"1");
        assert_eq!(shapes(&taker.join().unwrap()), [("a", 1)]);
    });
    assert_eq!(told(), [1, 1, 1]);
}

#[test]
fn thousands_waiting_are_all_told_although_none_of_them_hands_anything_over() {
    let queue = Queue::new(1 << 20, GROUP);
    let consumer = Consumer::of(&queue);
    let mut connection = Connection::new("a", "one");
    while queue.has_room() {
        push(&queue, &mut connection, b"1");
    }
    let waiting: Vec<_> = (0..5_000).map(|_| Connection::new("a", "waits")).collect();
    for waiter in &waiting {
        waiter.ask_for_room_of(&queue);
    }
    std::thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let consumer = consumer;
            let mut groups = Vec::new();
            while consumer.take(usize::MAX, &mut groups) {
                consumer.accept(&mut groups);
            }
        });
        for waiter in &waiting {
            waiter.recorder.wait_room();
        }
        queue.close(Duration::from_secs(60)).unwrap();
        consumer.join().unwrap();
    });
    let told_once = |waiter: &Connection| waiter.recorder.told().rooms.len() == 1;
    assert!(waiting.iter().all(told_once));
}

#[test]
fn a_closed_queue_is_drained_and_takes_no_more() {
    let queue = Queue::new(1 << 20, GROUP);
    let consumer = Consumer::of(&queue);
    let mut connection = Connection::new("a", "one");
    push(&queue, &mut connection, b"1");
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| queue.close(Duration::from_secs(60)));
        while queue.lock().phase == Phase::Open {
            std::thread::yield_now();
        }
        push(&queue, &mut connection, b"too late");
        let mut groups = take(&consumer, usize::MAX);
        assert_eq!(shapes(&groups), [("a", 1)]);
        consumer.accept(&mut groups);
        assert!(!consumer.take(usize::MAX, &mut groups));
        drop(consumer);
        assert_eq!(closing.join().unwrap(), Ok(()));
    });
    assert_eq!(connection.recorder.told().up_to(), 1);
    assert!(!queue.has_room());
    // Nobody is left to answer; nothing is kept either.
    connection.ask_for_room_of(&queue);
    assert!(queue.lock().waiting.is_empty());
    assert_eq!(queue.close(Duration::ZERO), Ok(()), "closing twice");
}

#[test]
fn a_queue_out_of_patience_says_how_much_was_not_taken() {
    let queue = Queue::new(1 << 20, GROUP);
    let consumer = Consumer::of(&queue);
    let mut connection = Connection::new("a", "one");
    push(&queue, &mut connection, b"1");
    push(&queue, &mut connection, b"2");
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| queue.close(Duration::ZERO));
        while queue.lock().phase == Phase::Open {
            std::thread::yield_now();
        }
        assert!(!consumer.take(usize::MAX, &mut Vec::new()));
        assert!(!consumer.pause(Duration::from_secs(60)));
        drop(consumer);
        assert_eq!(closing.join().unwrap(), Err(Unfinished { events: 2 }));
    });
    assert_eq!(connection.recorder.told().accepted, []);
}

#[test]
fn a_consumer_that_panics_leaves_no_one_waiting() {
    let queue = Queue::new(1 << 20, GROUP);
    std::thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let _consumer = Consumer::of(&queue);
            panic!("as a bug would");
        });
        assert!(consumer.join().is_err());
    });
    assert!(!queue.has_room());
    let mut connection = Connection::new("a", "one");
    push(&queue, &mut connection, b"1");
    assert_eq!(queue.close(Duration::MAX), Ok(()));
    assert_eq!(connection.recorder.told().accepted, []);
}
