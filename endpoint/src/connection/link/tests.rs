//! What others hold of a connection.

use super::*;

fn link(slots: usize) -> Link {
    let identity = Identity {
        application: "app".into(),
        device: "device".into(),
        client_id: "c".into(),
        peer: Peer::Local,
        transport: Carrier::Unix,
        version: Version::V5,
        since: Timestamp::now(),
        epoch: 1,
        credential: None,
    };
    Link::new(identity, slots)
}

#[test]
fn a_farewell_follows_when_every_required_sink_has_accepted_and_once() {
    let link = link(3);
    let parted = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&parted);
    let mut waiter = link.parted();
    link.accepted(0, 7);
    link.part(Farewell {
        last: 7,
        required: Box::new([0, 2]),
        then: Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        }),
    });
    link.accepted(2, 6);
    assert_eq!(parted.load(Ordering::SeqCst), 0);
    assert_eq!(waiter.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    link.accepted(2, 7);
    link.accepted(2, 8);
    assert_eq!(parted.load(Ordering::SeqCst), 1);
    let closed = Err(oneshot::error::TryRecvError::Closed);
    assert_eq!(waiter.try_recv(), closed);
    assert_eq!(link.parted().try_recv(), closed, "who asks later");
}

#[test]
fn a_farewell_without_events_or_required_sinks_follows_at_once() {
    for (last, required) in [(0, vec![0]), (9, vec![])] {
        let link = link(1);
        let parted = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&parted);
        link.part(Farewell {
            last,
            required: required.into(),
            then: Box::new(move || note.store(true, Ordering::SeqCst)),
        });
        assert!(parted.load(Ordering::SeqCst));
    }
}

#[test]
fn whoever_sees_an_acceptance_sees_the_refusals_that_it_passes() {
    const EVENTS: Sequence = 20_000;
    let link = link(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for sequence in 1..=EVENTS {
                link.refused(0, sequence, Refusal::TooLarge);
                link.accepted(0, sequence);
            }
        });
        let mut seen = 0;
        while seen < EVENTS {
            let accepted = link.accepted_by(0);
            for refused in link.take_refused() {
                seen += 1;
                assert_eq!(refused.sequence, seen);
            }
            assert!(
                seen >= accepted,
                "{accepted} accepted, {seen} refusals seen"
            );
        }
    });
}
