//! Events of any content, and what the SDK should find in them.

use cloudevents::event::{AttributeValue, AttributesReader as _, ExtensionValue};
use cloudevents::{Data as SdkData, Event};
use landfall_events::content::says_json;
use landfall_events::event::{Origin, OriginParts, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::text_extension;

/// CloudEvents' rule for strings, written down a second time.
fn as_cloudevents_string(text: &str) -> String {
    text.chars()
        .map(|character| match u32::from(character) {
            0..=0x1f | 0x7f..=0x9f | 0xfdd0..=0xfdef => percent(character),
            code if [0xfffe, 0xffff].contains(&(code % 0x10000)) => percent(character),
            _ => character.to_string(),
        })
        .collect()
}

fn percent_encode(text: &str, keep: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() || keep.contains(character) {
                character.to_string()
            } else {
                percent(character)
            }
        })
        .collect()
}

fn percent(character: char) -> String {
    let bytes = character.to_string().into_bytes();
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// Text as devices and operators make it, and as they should not.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9_./ -]{1,40}", "\\PC{1,40}", any::<String>()]
}

fn content_type() -> impl Strategy<Value = Option<String>> {
    // The SDK knows JSON by these spellings only.
    let known = [
        "application/json",
        "text/json; charset=utf-8",
        "application/x+json",
        "text/plain",
    ];
    prop_oneof![
        Just(None),
        prop::sample::select(known.map(String::from).to_vec()).prop_map(Some),
        any::<String>().prop_map(Some),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}\",:0-9 a-f\\n]{0,20}".prop_map(String::into_bytes),
        any::<f64>().prop_map(|number| number.to_string().into_bytes()),
        prop::collection::btree_map(any::<String>(), any::<i64>(), 0..8)
            .prop_map(|map| serde_json::to_vec_pretty(&map).unwrap()),
    ]
}

/// All that an event is made of, at random.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) instance: String,
    pub(super) application: [String; 2],
    pub(super) device: [String; 2],
    pub(super) sender: [String; 2],
    pub(super) subject: String,
    pub(super) declared: Option<String>,
    pub(super) trace: Option<String>,
    pub(super) schema: Option<String>,
    pub(super) retain: bool,
    pub(super) time: Timestamp,
    pub(super) payload: Vec<u8>,
}

pub(super) fn sample() -> impl Strategy<Value = Sample> {
    let names = || prop::array::uniform2(text());
    let schema = prop_oneof![text(), "(http|ws|file|urn|[a-z]{1,8}):(//)?[!-~]{1,40}"];
    let context = (text(), names(), names(), names(), text(), content_type());
    let rest = (
        prop::option::of(text()),
        prop::option::of(schema),
        any::<bool>(),
        (0..253_402_300_799_999_999_u64).prop_map(Timestamp),
        payload(),
    );
    (context, rest).prop_map(|(context, rest)| {
        let (instance, application, device, sender, subject, declared) = context;
        let (trace, schema, retain, time, payload) = rest;
        Sample {
            instance,
            application,
            device,
            sender,
            subject,
            declared,
            trace,
            schema,
            retain,
            time,
            payload,
        }
    })
}

impl Sample {
    pub(super) fn origin(&self) -> std::sync::Arc<Origin> {
        let [application, application_uid] = &self.application;
        let [device, device_uid] = &self.device;
        let [sender, sender_uid] = &self.sender;
        Origin::new(OriginParts {
            instance: &self.instance,
            application: (application, application_uid),
            device: (device, device_uid),
            sender: (sender, sender_uid),
        })
    }

    pub(super) fn assert_attributes_of(&self, event: &Event) {
        let [application, application_uid] = &self.application;
        let [device, device_uid] = &self.device;
        let [sender, sender_uid] = &self.sender;
        let source = [
            "drogue://",
            &percent_encode(application, "-._~"),
            "/",
            &percent_encode(device, ""),
        ];
        assert_eq!(event.source(), &source.concat());
        assert_eq!(
            event.time().unwrap().timestamp_micros(),
            self.time.0.cast_signed()
        );
        assert_eq!(event.subject(), unless_empty(&self.subject).as_deref());

        let key = [
            &*percent_encode(application, ""),
            "/",
            &percent_encode(sender, ""),
        ];
        for (name, value) in [
            ("partitionkey", &key.concat()),
            ("application", application),
            ("applicationuid", application_uid),
            ("device", device),
            ("deviceuid", device_uid),
            ("sender", sender),
            ("senderuid", sender_uid),
            ("instance", &self.instance),
        ] {
            let value = as_cloudevents_string(value);
            assert_eq!(text_extension(event, name), Some(&*value));
        }
        let trace = self.trace.as_deref().and_then(unless_empty);
        for name in ["traceparent", "tracestate"] {
            assert_eq!(text_extension(event, name), trace.as_deref());
        }
        let retained = event.extension("mqttretain");
        let expected = ExtensionValue::Boolean(true);
        assert_eq!(retained, self.retain.then_some(&expected));
        for (name, value) in event.iter() {
            if let AttributeValue::String(value) = value {
                assert_eq!(as_cloudevents_string(value), value, "{name}");
            }
        }
    }

    pub(super) fn assert_data_of(&self, event: &Event) {
        match event.data() {
            None => assert!(self.payload.is_empty()),
            Some(SdkData::Json(value)) => {
                let sent: Value = serde_json::from_slice(&self.payload).unwrap();
                assert_eq!(value, &sent);
                assert!(event.datacontenttype().is_some_and(says_json));
            }
            Some(SdkData::Binary(bytes)) => assert_eq!(bytes, &self.payload),
            Some(SdkData::String(_)) => panic!("data as text is never written"),
        }
    }
}

pub(super) fn unless_empty(text: &str) -> Option<String> {
    Some(as_cloudevents_string(text)).filter(|text| !text.is_empty())
}
