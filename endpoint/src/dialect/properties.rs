//! What holds for every dialect, whatever clients send.

use landfall_registry::DialectSpec;
use proptest::prelude::*;

use super::{Dialect, Outgoing, Own, of};

const SPECS: [DialectSpec; 6] = [
    DialectSpec::DrogueV1,
    DialectSpec::PlainTopic {
        device_prefix: false,
    },
    DialectSpec::PlainTopic {
        device_prefix: true,
    },
    DialectSpec::WatsonIot {
        auto_register: None,
    },
    DialectSpec::AzureIotHub,
    DialectSpec::Hono,
];

const OWN: Own<'_> = Own {
    application: "app",
    device: "gw",
};

/// Topics and filters that nearly are some dialect's, and any other text.
fn text() -> impl Strategy<Value = String> {
    let level = prop_oneof![
        4 => prop::sample::select(vec![
            "", "+", "#", "command", "inbox", "gw", "app", "dev", "x", "%", "%2", "%2F", "iot-2",
            "type", "id", "evt", "fmt", "json", "cmd", "notify", "iotdm-1", "iotdevice-1", "mgmt",
            "devices", "messages", "events", "devicebound", "a=1&b=%20", "?a=1&A=2", "telemetry",
            "t", "e", "c", "q", "s", "req", "200",
        ]).prop_map(str::to_owned),
        1 => "[a-z%?&=$:.@]{0,8}",
        1 => "\\PC{0,4}",
    ];
    let any = prop::collection::vec(level, 0..10).prop_map(|levels| levels.join("/"));
    let place = || prop::sample::select(vec!["+", "gw", "type", "id", "x", "json", ""]);
    let whole =
        (0..SHAPES.len(), place(), place(), place(), place()).prop_map(|(shape, a, b, c, d)| {
            let shape = SHAPES.get(shape).copied().unwrap_or_default();
            let places = [("{a}", a), ("{b}", b), ("{c}", c), ("{d}", d)];
            places
                .iter()
                .fold(shape.to_owned(), |text, (place, level)| {
                    text.replace(place, level)
                })
        });
    prop_oneof![any, whole]
}

/// Topics and filters of all dialects, with places to be filled in.
const SHAPES: [&str; 12] = [
    "command/inbox/{a}/#",
    "iot-2/cmd/{a}/fmt/{b}",
    "iot-2/type/{a}/id/{b}/cmd/{c}/fmt/{d}",
    "iot-2/type/{a}/id/{b}/evt/{c}/fmt/{d}",
    "iotdm-1/type/{a}/id/{b}/#",
    "iotdm-1/{a}/#",
    "iotdevice-1/type/{a}/id/{b}/{c}",
    "devices/{a}/messages/devicebound/#",
    "devices/{a}/messages/events/{b}={c}",
    "c/{a}/{b}/q/#",
    "t/{a}/{b}/?{c}={d}",
    "c/{a}/{b}/s/{c}/200",
];

fn each(
    check: impl Fn(&'static dyn Dialect) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    SPECS.iter().try_for_each(|spec| check(of(spec)))
}

/// Whether a topic matches a filter (MQTT 5, section 4.7).
fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(expected), Some(level)) if expected == level => {}
            _ => return false,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn no_topic_or_filter_makes_a_dialect_panic(text in text(), any in ".{0,40}") {
        each(|dialect| {
            for text in [&text, &any] {
                let _ = dialect.destination(text, OWN);
                let _ = dialect.inbox(text, OWN);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_destination_has_a_channel_and_no_empty_device(topic in text()) {
        each(|dialect| {
            if let Ok(destination) = dialect.destination(&topic, OWN) {
                prop_assert!(!destination.channel.is_empty());
                prop_assert!(destination.device.as_deref() != Some(""));
            }
            Ok(())
        })?;
    }

    #[test]
    fn extensions_have_each_name_once(topic in text()) {
        each(|dialect| {
            if let Ok(destination) = dialect.destination(&topic, OWN) {
                let mut names: Vec<_> = destination.extensions.iter().map(|(n, _)| n).collect();
                names.sort_unstable();
                names.dedup();
                prop_assert_eq!(names.len(), destination.extensions.len());
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_filter_is_written_as_it_was_read(filter in text()) {
        each(|dialect| {
            if let Some(read) = dialect.inbox(&filter, OWN) {
                prop_assert_eq!(&*read.text(), &*filter);
            }
            Ok(())
        })?;
    }

    // [MQTT-3.3.2-3]: the topic of a delivery matches the subscription's filter.
    #[test]
    fn commands_go_on_topics_that_match_their_filter(
        filter in text(),
        device in prop::sample::select(vec!["gw", "dev", "type:id"]),
        name in "[a-z]{1,4}|x:y|%|a&b=c|iotdm-1:[a-z]{1,3}:[a-z]",
    ) {
        each(|dialect| {
            let Some(read) = dialect.inbox(&filter, OWN) else { return Ok(()) };
            let command = Outgoing { own: OWN, device, name: &name, content_type: None, payload: b"1" };
            if let Some(topic) = read.topic(&command) {
                prop_assert!(matches(&filter, &topic), "{} {}", filter, topic);
                prop_assert!(!topic.contains(['+', '#']));
            }
            prop_assert_eq!(read.covers(&command), read.topic(&command).is_some());
            Ok(())
        })?;
    }

    #[test]
    fn what_azure_and_hono_devices_write_comes_back_from_its_topic(
        device in "[^/+#\0?]{1,12}",
        name in "[a-z]{1,8}",
        value in "[^\0]{1,12}",
        content_type in "[a-z]{1,6}/[a-z+.]{1,6}",
        request in "[a-z0-9-]{1,8}",
    ) {
        let mut bag = format!("x{name}=");
        crate::percent::push(&mut bag, &value);
        let mut encoded = String::new();
        crate::percent::push(&mut encoded, &content_type);
        let named = (device != OWN.device).then_some(&*device);
        let extension = (format!("x{name}").into(), value.clone().into());
        for (spec, topic, channel) in [
            (
                DialectSpec::AzureIotHub,
                format!("devices/{device}/messages/events/{bag}&%24.ct={encoded}"),
                "events",
            ),
            (
                DialectSpec::Hono,
                format!("telemetry/app/{device}/?{bag}&content-type={encoded}"),
                "telemetry",
            ),
            (DialectSpec::Hono, format!("e//{device}/?content-type={encoded}&{bag}"), "event"),
        ] {
            let read = of(&spec).destination(&topic, OWN).unwrap();
            prop_assert_eq!(&*read.channel, channel);
            prop_assert_eq!(read.device.as_deref(), named);
            prop_assert_eq!(read.content_type.as_deref(), Some(&*content_type));
            prop_assert_eq!(&*read.extensions, std::slice::from_ref(&extension));
        }
        let topic = format!("c//{device}/s/{request}/404");
        let answer = of(&DialectSpec::Hono).destination(&topic, OWN).unwrap();
        prop_assert_eq!(answer.device.as_deref(), named);
        let expected = [("requestid".into(), request.into()), ("status".into(), "404".into())];
        prop_assert_eq!(answer.extensions, expected);
    }

    #[test]
    fn a_channel_and_a_device_come_back_from_their_topic(
        channel in "[^/+#\0]{1,12}",
        rest in "[^+#\0]{1,12}",
        device in "[^/+#\0]{1,12}",
    ) {
        let read = |spec: DialectSpec, topic: &str| {
            let destination = of(&spec).destination(topic, OWN).unwrap();
            (destination.channel.into_owned(), destination.device.map(std::borrow::Cow::into_owned))
        };
        let [drogue, plain, prefixed, ..] = SPECS;
        let named = Some(device.clone());
        prop_assert_eq!(read(drogue, &channel), (channel.clone(), None));
        prop_assert_eq!(read(drogue, &format!("{channel}/{device}")), (channel, named.clone()));
        prop_assert_eq!(read(plain, &rest), (rest.clone(), None));
        prop_assert_eq!(read(prefixed, &format!("/{rest}")), (rest.clone(), None));
        prop_assert_eq!(read(prefixed, &format!("{device}/{rest}")), (rest, named));
    }
}
