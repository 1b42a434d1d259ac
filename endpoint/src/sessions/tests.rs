use landfall_events::event::Timestamp;
use landfall_protocol::Version;

use super::*;
use crate::connection::Identity;
use crate::listener::{Carrier, Peer};

fn link(device: &str, client_id: &str) -> Arc<Link> {
    link_of(device, client_id, 1)
}

fn link_of(device: &str, client_id: &str, epoch: Epoch) -> Arc<Link> {
    let identity = Identity {
        application: "app".into(),
        device: device.into(),
        client_id: client_id.into(),
        peer: Peer::Local,
        transport: Carrier::Tcp,
        version: Version::V5,
        since: Timestamp(0),
        epoch,
        credential: None,
    };
    Arc::new(Link::new(identity, 1))
}

fn ids(links: &[Arc<Link>]) -> Vec<&str> {
    links.iter().map(|link| &*link.identity.client_id).collect()
}

#[test]
fn the_same_client_id_gives_way() {
    let sessions = Sessions::default();
    let old = link("d", "c");
    assert!(sessions.add(&old, 4, || ()).is_empty());
    assert!(sessions.add(&link("d", "other"), 4, || ()).is_empty());
    assert!(
        sessions.add(&link("e", "c"), 4, || ()).is_empty(),
        "client ids are per device"
    );
    let new = link_of("d", "c", 2);
    let leaving = sessions.add(&new, 4, || ());
    assert!(Arc::ptr_eq(&leaving[0], &old));
    assert_eq!(leaving.len(), 1);
}

#[test]
fn of_the_same_client_id_the_higher_epoch_stays_whichever_comes_last() {
    let sessions = Sessions::default();
    let (high, low) = (link_of("d", "c", 2), link_of("d", "c", 1));
    assert!(sessions.add(&high, 4, || ()).is_empty());
    let leaving = sessions.add(&low, 4, || ());
    assert!(Arc::ptr_eq(&leaving[0], &low));
    assert_eq!(leaving.len(), 1);
}

#[test]
fn who_arrives_counts_as_connected_for_other_clients_of_its_device() {
    let sessions = Arc::new(Sessions::default());
    assert!(!sessions.has_other("app", "d", "a"));
    let arriving = sessions.arrive("app", "d", "a");
    let again = sessions.arrive("app", "d", "a");
    assert!(!sessions.has_other("app", "d", "b"), "nothing is recorded");
    assert!(arriving.is_recorded(1));
    assert!(again.is_recorded(2));
    assert!(!sessions.has_other("app", "d", "a"));
    assert!(sessions.has_other("app", "d", "b"));
    drop(arriving);
    assert!(sessions.has_other("app", "d", "b"));
    drop(again);
    assert!(!sessions.has_other("app", "d", "b"));
    let here = link("d", "a");
    sessions.add(&here, 4, || ());
    assert!(sessions.has_other("app", "d", "b"));
    here.finish();
    assert!(!sessions.has_other("app", "d", "b"), "it is over");
}

#[test]
fn of_clients_that_come_at_once_only_the_later_one_finds_the_other() {
    let sessions = Arc::new(Sessions::default());
    let finds = |client_id: &str, epoch: Epoch| {
        sessions.has_earlier("app", "d", client_id, epoch, |other| other < epoch)
    };
    let arriving = sessions.arrive("app", "d", "a");
    assert!(arriving.is_recorded(5));
    assert!(!finds("b", 4));
    assert!(finds("b", 6));
    assert!(!finds("a", 6));
    sessions.add(&link_of("d", "a", 5), 4, || ());
    drop(arriving);
    assert!(
        !finds("b", 4),
        "it has found the other, who is still arriving"
    );
    assert!(finds("b", 6));
}

#[test]
fn who_is_not_recorded_yet_is_recorded_as_the_later_one() {
    let sessions = Arc::new(Sessions::default());
    let arriving = sessions.arrive("app", "d", "a");
    assert!(!sessions.has_earlier("app", "d", "b", 6, |other| other < 6));
    assert!(!arriving.is_recorded(5));
    assert!(arriving.is_recorded(7));
    assert!(!sessions.has_earlier("app", "d", "b", 6, |other| other < 6));
}

#[test]
fn a_connection_that_ends_hears_of_a_client_that_relied_on_it() {
    let sessions = Arc::new(Sessions::default());
    let finds = || sessions.has_earlier("app", "d", "b", 9, |other| other < 9);
    let (one, two) = (link_of("d", "a", 1), link_of("d", "c", 2));
    for link in [&one, &two] {
        sessions.add(link, 4, || ());
        link.finish();
    }
    assert!(finds(), "neither has decided what to say");
    assert!(one.decide());
    assert!(two.decide());
    assert!(!finds());
    assert!(!link_of("d", "a", 1).decide());
}

#[test]
fn who_has_left_is_known_until_its_last_events_are_accepted() {
    let sessions = Sessions::default();
    let (one, two) = (link_of("d", "a", 1), link_of("d", "b", 2));
    sessions.part(&one);
    sessions.part(&two);
    assert_eq!(ids(&sessions.parting_of("app", "d")), ["a", "b"]);
    sessions.parted(&one.identity.application, "d", 1);
    assert_eq!(ids(&sessions.parting_of("app", "d")), ["b"]);
    sessions.parted(&two.identity.application, "d", 2);
    assert!(sessions.parting_of("app", "d").is_empty());
    assert!(sessions.parting.is_empty());
}

#[test]
fn the_oldest_beyond_the_limit_gives_way() {
    let sessions = Sessions::default();
    for id in ["1", "2", "3"] {
        assert!(sessions.add(&link("d", id), 3, || ()).is_empty());
    }
    assert_eq!(ids(&sessions.add(&link("d", "4"), 3, || ())), ["1"]);
}

#[test]
fn first_and_last_connection_of_a_device_are_noticed() {
    let sessions = Sessions::default();
    let (one, two) = (link("d", "1"), link("d", "2"));
    let mut firsts = 0;
    sessions.add(&one, 4, || firsts += 1);
    sessions.add(&two, 4, || firsts += 1);
    assert_eq!(firsts, 1);
    assert_eq!(sessions.len(), 2);
    assert_eq!((sessions.len_of("app"), sessions.len_of("other")), (2, 0));
    let mut lasts = 0;
    sessions.remove(&one, || lasts += 1);
    assert_eq!(lasts, 0);
    sessions.remove(&two, || lasts += 1);
    sessions.remove(&two, || lasts += 1);
    assert_eq!(lasts, 1);
    assert!(sessions.is_empty());
    assert_eq!(sessions.len_of("app"), 0);
    assert!(sessions.of_device("app", "d").is_empty());
}
