//! The lists that packets are written from.

use landfall_protocol::{
    Packet, QoS, ReasonCode, Version,
    codec::{
        EncodeError, FiltersBuf, ReasonCodes, SubscriptionIdentifiers, SubscriptionIdentifiersBuf,
        UserProperties, UserPropertiesBuf,
    },
    packet::Subscription,
};

use crate::{
    case::{self, Sender},
    notation,
};

#[test]
fn user_properties_keep_order_and_repeated_names() {
    let mut list = UserPropertiesBuf::new();
    assert!(list.as_list().is_empty());
    assert_eq!(list.as_list(), UserProperties::default());
    for (name, value) in [("a", "1"), ("b", ""), ("a", "2")] {
        list.push(name, value).unwrap();
    }
    let pairs: Vec<_> = list.as_list().iter().collect();
    assert_eq!(pairs, [("a", "1"), ("b", ""), ("a", "2")]);
    assert_eq!(list.as_list().len(), 3);
    assert_eq!(list.as_list().get("a"), Some("1"));
    assert_eq!(list.as_list().get("c"), None);
}

#[test]
fn a_list_that_refuses_an_entry_is_as_before() {
    let mut properties = UserPropertiesBuf::new();
    properties.push("a", "1").unwrap();
    assert_eq!(properties.push("b", "\0"), Err(EncodeError::NulInString));
    let long = "x".repeat(65_536);
    assert_eq!(
        properties.push("b", &long),
        Err(EncodeError::StringTooLong(65_536))
    );
    properties.push("c", "2").unwrap();
    let pairs: Vec<_> = properties.as_list().iter().collect();
    assert_eq!(pairs, [("a", "1"), ("c", "2")]);

    let mut filters = FiltersBuf::new();
    let filter = |text| Subscription::new(text, QoS::AtLeastOnce);
    filters.push(filter("a")).unwrap();
    assert_eq!(filters.push(filter("\0")), Err(EncodeError::NulInString));
    filters.push(filter("b")).unwrap();
    let pairs: Vec<_> = filters.as_list().iter().collect();
    assert_eq!(pairs, [filter("a"), filter("b")]);

    let mut identifiers = SubscriptionIdentifiersBuf::new();
    identifiers.push(1.try_into().unwrap()).unwrap();
    assert_eq!(
        identifiers.push(u32::MAX.try_into().unwrap()),
        Err(EncodeError::IntegerTooLarge(u32::MAX))
    );
    identifiers.push(300.try_into().unwrap()).unwrap();
    let numbers: Vec<_> = identifiers.as_list().iter().map(u32::from).collect();
    assert_eq!(numbers, [1, 300]);
    identifiers.clear();
    assert_eq!(identifiers.as_list(), SubscriptionIdentifiers::default());
}

#[test]
fn lists_tell_whether_they_are_empty() {
    let mut filters = FiltersBuf::new();
    assert!(filters.as_list().is_empty());
    filters
        .push(Subscription::new("a", QoS::AtMostOnce))
        .unwrap();
    assert!(!filters.as_list().is_empty());
    assert_eq!(filters.as_list().len(), 1);

    let mut identifiers = SubscriptionIdentifiersBuf::new();
    assert!(identifiers.as_list().is_empty());
    identifiers.push(7.try_into().unwrap()).unwrap();
    assert!(!identifiers.as_list().is_empty());
    assert_eq!(identifiers.as_list().len(), 1);

    let codes = [ReasonCode::SUCCESS];
    assert!(ReasonCodes::default().is_empty());
    assert!(!ReasonCodes::from(&codes).is_empty());
    assert_eq!(ReasonCodes::from(&codes).len(), 1);
}

#[test]
fn lists_are_equal_by_what_they_list() {
    // The same properties among others and alone.
    let notation = r#"30 * "a" { 26 "k" "v" 08 "r" 26 "k" "w" }"#;
    let bytes = notation::bytes(notation, Version::V5, &[]);
    let packet = case::decode(&bytes, Sender::Client, Version::V5, u32::MAX).unwrap();
    let Packet::Publish(publish) = packet else {
        panic!("{packet:?}");
    };
    let mut alone = UserPropertiesBuf::new();
    alone.push("k", "v").unwrap();
    alone.push("k", "w").unwrap();
    assert_eq!(publish.properties.user_properties, alone.as_list());
    alone.push("k", "x").unwrap();
    assert_ne!(publish.properties.user_properties, alone.as_list());

    let filters = |filter| {
        let mut filters = FiltersBuf::new();
        let subscription = Subscription::new(filter, QoS::AtMostOnce);
        filters.push(subscription).unwrap();
        filters
    };
    assert_eq!(filters("a").as_list(), filters("a").as_list());
    assert_ne!(filters("a").as_list(), filters("b").as_list());

    let identifiers = |identifier: u32| {
        let mut identifiers = SubscriptionIdentifiersBuf::new();
        identifiers.push(identifier.try_into().unwrap()).unwrap();
        identifiers
    };
    assert_eq!(identifiers(1).as_list(), identifiers(1).as_list());
    assert_ne!(identifiers(1).as_list(), identifiers(2).as_list());
}
