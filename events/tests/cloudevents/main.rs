//! What is written, read back by the CloudEvents SDK.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod sample;

use cloudevents::event::{AttributesReader as _, ExtensionValue};
use cloudevents::{Data as SdkData, Event};
use landfall_events::content::judge;
use landfall_events::encode::{write_batch_json, write_structured_json};
use landfall_events::event::{Data, Draft, EventType, Origin, OriginParts, Timestamp, next_id};
use proptest::prelude::*;
use serde_json::{Value, json};

use sample::{sample, unless_empty};

const PARTS: OriginParts<'static> = OriginParts {
    instance: "landfall",
    application: ("my-app", "app-uid"),
    device: ("sensor01", "sensor-uid"),
    sender: ("gateway_01", "gateway-uid"),
};
const TIME: Timestamp = Timestamp(1_793_882_096_123_456);

/// A draft with nothing that is optional.
fn draft(origin: &Origin) -> Draft<'_> {
    Draft {
        origin,
        event_type: EventType::Event,
        id: next_id(TIME),
        time: TIME,
        subject: "temp",
        data_content_type: None,
        data_schema: None,
        trace_parent: None,
        trace_state: None,
        retain: false,
        extensions: &[],
        data: Data::None,
    }
}

fn write(draft: &Draft<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_structured_json(draft, &mut out);
    out
}

fn json_of(draft: &Draft<'_>) -> Value {
    serde_json::from_slice(&write(draft)).unwrap()
}

fn read(draft: &Draft<'_>) -> Event {
    let text = write(draft);
    serde_json::from_slice(&text)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)))
}

fn text_extension<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    match event.extension(name) {
        Some(ExtensionValue::String(text)) => Some(text),
        None => None,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn every_attribute_of_an_event_has_its_place() {
    let origin = Origin::new(PARTS);
    let draft = Draft {
        subject: "temp/inside",
        data_content_type: Some("application/senml+json"),
        data_schema: Some("https://example.com/schema#temp"),
        trace_parent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        trace_state: Some("vendor=1"),
        retain: true,
        extensions: &[],
        data: Data::Json(b"{\"t\":21.5}"),
        ..draft(&origin)
    };
    let id = draft.id.to_string();
    assert_eq!(
        json_of(&draft),
        json!({
            "specversion": "1.0",
            "id": id,
            "type": "io.drogue.event.v1",
            "source": "drogue://my-app/sensor01",
            "subject": "temp/inside",
            "time": "2026-11-05T12:34:56.123456Z",
            "datacontenttype": "application/senml+json",
            "dataschema": "https://example.com/schema#temp",
            "application": "my-app",
            "applicationuid": "app-uid",
            "device": "sensor01",
            "deviceuid": "sensor-uid",
            "sender": "gateway_01",
            "senderuid": "gateway-uid",
            "instance": "landfall",
            "partitionkey": "my%2Dapp/gateway%5F01",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "tracestate": "vendor=1",
            "mqttretain": true,
            "data": {"t": 21.5},
        })
    );

    let event = read(&draft);
    assert_eq!(event.specversion().as_str(), "1.0");
    assert_eq!(event.id(), id);
    assert_eq!(event.ty(), "io.drogue.event.v1");
    assert_eq!(event.source(), "drogue://my-app/sensor01");
    assert_eq!(event.subject(), Some("temp/inside"));
    assert_eq!(
        event.time().unwrap().timestamp_micros(),
        1_793_882_096_123_456
    );
    assert_eq!(event.datacontenttype(), Some("application/senml+json"));
    assert_eq!(
        event.dataschema().unwrap().as_str(),
        "https://example.com/schema#temp"
    );
    assert_eq!(
        event.extension("mqttretain"),
        Some(&ExtensionValue::Boolean(true))
    );
    assert_eq!(event.data(), Some(&SdkData::Json(json!({"t": 21.5}))));
}

#[test]
fn a_connection_event_has_its_own_type() {
    let origin = Origin::new(PARTS);
    let event = read(&Draft {
        event_type: EventType::Connection,
        subject: "connection",
        data_content_type: Some("application/json"),
        data: Data::Json(b"{\"connected\":true}"),
        ..draft(&origin)
    });
    assert_eq!(event.ty(), "io.drogue.connection.v1");
    assert_eq!(event.subject(), Some("connection"));
    assert_eq!(
        event.data(),
        Some(&SdkData::Json(json!({"connected": true})))
    );
}

#[test]
fn what_is_not_given_is_left_out() {
    let origin = Origin::new(PARTS);
    let sparse = Draft {
        subject: "",
        data_content_type: Some(""),
        trace_parent: Some(""),
        trace_state: Some(""),
        data_schema: Some(""),
        ..draft(&origin)
    };
    let json = json_of(&sparse);
    for name in [
        "subject",
        "datacontenttype",
        "dataschema",
        "traceparent",
        "tracestate",
        "mqttretain",
        "data",
        "data_base64",
    ] {
        assert_eq!(json.get(name), None, "{name}");
    }
    assert_eq!(read(&sparse).iter().count(), 13);
}

#[test]
fn a_schema_that_is_no_absolute_uri_is_left_out_as_it_would_spoil_the_event() {
    let origin = Origin::new(PARTS);
    for schema in [
        "schema.json",
        "not a uri",
        "https://example.com/{x}",
        "http://[",
        "\n",
    ] {
        let event = read(&Draft {
            data_schema: Some(schema),
            ..draft(&origin)
        });
        assert_eq!(event.dataschema(), None, "{schema}");
    }
}

#[test]
fn line_breaks_in_json_data_become_spaces_and_nothing_else_changes() {
    let origin = Origin::new(PARTS);
    let payload = b"\r\n{\r\n\t\"a\\n\" :\n[1.10,\n 1e2]\n}\n";
    let text = write(&Draft {
        data: Data::Json(payload),
        ..draft(&origin)
    });
    let text = String::from_utf8(text).unwrap();
    assert!(!text.contains(['\n', '\r']));
    assert!(
        text.ends_with(",\"data\":  {  \t\"a\\n\" : [1.10,  1e2] } }"),
        "{text}"
    );
}

#[test]
fn only_json_stands_as_json() {
    let origin = Origin::new(PARTS);
    for (declared, payload, member, expected) in [
        (
            Some("text/plain"),
            &b"21.5"[..],
            "data_base64",
            json!("MjEuNQ=="),
        ),
        (None, b"\xff", "data_base64", json!("/w==")),
        (None, b"\xff\xfe", "data_base64", json!("//4=")),
        (None, b"null", "data", Value::Null),
        (None, b"\"text\"", "data", json!("text")),
        (Some("Text/JSON; charset=utf-8"), b"[]", "data", json!([])),
    ] {
        let (data_content_type, data) = judge(declared, payload).unwrap();
        let json = json_of(&Draft {
            data_content_type,
            data,
            ..draft(&origin)
        });
        assert_eq!(json.get(member), Some(&expected), "{declared:?}");
        let other = if member == "data" {
            "data_base64"
        } else {
            "data"
        };
        assert_eq!(json.get(other), None);
    }
}

#[test]
fn a_batch_is_an_array_of_events() {
    let origin = Origin::new(PARTS);
    for count in 0..4 {
        let events: Vec<_> = (0..count).map(|_| write(&draft(&origin))).collect();
        let mut batch = Vec::new();
        write_batch_json(events.iter().map(Vec::as_slice), &mut batch);
        let read: Vec<Event> = serde_json::from_slice(&batch).unwrap();
        let expected: Vec<Event> = events
            .iter()
            .map(|event| serde_json::from_slice(event).unwrap())
            .collect();
        assert_eq!(read, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_comes_in_the_sdk_reads_the_event_and_finds_every_value(sample in sample()) {
        let origin = sample.origin();
        let declared = sample.declared.as_deref();
        let Ok((data_content_type, data)) = judge(declared, &sample.payload) else {
            prop_assert!(serde_json::from_slice::<Value>(&sample.payload).is_err());
            return Ok(());
        };
        let draft = Draft {
            id: next_id(sample.time),
            time: sample.time,
            subject: &sample.subject,
            data_content_type,
            data_schema: sample.schema.as_deref(),
            trace_parent: sample.trace.as_deref(),
            trace_state: sample.trace.as_deref(),
            retain: sample.retain,
            extensions: &[],
            data,
            ..draft(&origin)
        };
        let text = write(&draft);
        prop_assert!(!text.contains(&b'\n') && !text.contains(&b'\r'));
        let event = read(&draft);
        prop_assert_eq!(event.id(), draft.id.to_string());
        let content_type = data_content_type.and_then(unless_empty);
        prop_assert_eq!(event.datacontenttype(), content_type.as_deref());
        sample.assert_attributes_of(&event);
        sample.assert_data_of(&event);
    }
}
