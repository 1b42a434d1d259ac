//! The fields of random packets.

use landfall_protocol::{
    PacketId, QoS, Version,
    codec::UserPropertiesBuf,
    packet::{ReasonProperties, UserProperties},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Packets borrow all they hold; what a random one borrows lives as long as the test process.
pub(crate) fn keep<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A property or field that is mostly absent.
pub(crate) fn maybe<S: Strategy>(value: S) -> impl Strategy<Value = Option<S::Value>>
where
    S::Value: Clone,
{
    option::weighted(0.25, value)
}

fn kept(strategy: impl Strategy<Value = String> + 'static) -> BoxedStrategy<&'static str> {
    strategy.prop_map(|text| keep(text).as_str()).boxed()
}

/// A string that may be empty, mostly short.
pub(crate) fn text() -> BoxedStrategy<&'static str> {
    prop_oneof![
        6 => kept("[a-z0-9 äß€𝄞\u{1}\u{FEFF}+#/$]{0,10}".boxed()),
        1 => kept("[a-z]{100,300}".boxed()),
    ]
    .boxed()
}

pub(crate) fn topic() -> BoxedStrategy<&'static str> {
    prop_oneof![
        6 => kept("[a-z0-9 ä€𝄞/$]{1,12}".boxed()),
        1 => kept("[a-z/]{100,200}".boxed()),
    ]
    .boxed()
}

/// A filter that is right in every version.
pub(crate) fn filter() -> BoxedStrategy<&'static str> {
    let level = prop_oneof![2 => "[a-zä$]{0,5}", 1 => Just("+".to_owned())];
    let end = select(vec!["", "/#", "/+", "/a"]);
    let levels = (vec(level, 1..4), end).prop_map(|(levels, end)| levels.join("/") + end);
    let not_empty = levels.prop_filter("a filter is not empty", |filter| !filter.is_empty());
    prop_oneof![
        6 => kept(not_empty.boxed()),
        1 => Just("#"),
        1 => kept("\\$share/[a-z]{1,5}/[a-z]{1,5}(/#)?".boxed()),
    ]
    .boxed()
}

pub(crate) fn bytes() -> BoxedStrategy<&'static [u8]> {
    prop_oneof![
        6 => vec(any::<u8>(), 0..16),
        1 => vec(any::<u8>(), 100..300),
    ]
    .prop_map(|bytes| keep(bytes).as_slice())
    .boxed()
}

pub(crate) fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| id.try_into().unwrap())
}

pub(super) fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

pub(super) fn user_properties() -> impl Strategy<Value = UserProperties<'static>> {
    vec((text(), text()), 0..3).prop_map(|pairs| {
        let mut list = UserPropertiesBuf::new();
        for (name, value) in pairs {
            list.push(name, value).unwrap();
        }
        keep(list).as_list()
    })
}

pub(super) fn reason_properties(version: Version) -> BoxedStrategy<ReasonProperties<'static>> {
    match version {
        Version::V5 => (maybe(text()), user_properties())
            .prop_map(|(reason_string, user_properties)| ReasonProperties {
                reason_string,
                user_properties,
            })
            .boxed(),
        _ => Just(ReasonProperties::default()).boxed(),
    }
}
