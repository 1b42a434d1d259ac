//! What is counted: each case does one operation [`OPERATIONS`] times.

use std::hint::black_box;
use std::num::NonZeroU16;
use std::sync::Arc;

use landfall_events::content::judge;
use landfall_events::encode::write_structured_json;
use landfall_events::event::{Draft, EventType, IdSource, Origin, OriginParts, Timestamp};
use landfall_events::sink::OpenBatch;
use landfall_protocol::codec::{
    AckKind, FiltersBuf, UserPropertiesBuf, decode_connect, decode_from_client, encode, encode_ack,
    split,
};
use landfall_protocol::packet::{
    Connect, ConnectProperties, Publish, PublishProperties, Subscribe, Subscription, UserProperties,
};
use landfall_protocol::session::{Accept, Delivery, Event, Session};
use landfall_protocol::{Limits, Packet, PacketId, QoS, ReasonCode, Version};

/// How often an operation is done. A multiple of the window.
pub(crate) const OPERATIONS: u32 = 640;
/// Publishes of one read.
const WINDOW: u16 = 64;
/// Name of the function that is counted.
pub(crate) const MEASURED: &str = "counted_by_callgrind";

const MAXIMUM_PACKET_SIZE: u32 = 64 * 1024;
const READING: &[u8] = br#"{"temperature":21.37,"humidity":48.2,"seq":100007,"pad":"xxxxx"}"#;

type Case = (&'static str, fn() -> Result<(), String>);

const CASES: [Case; 16] = [
    ("codec/connect/3.1.1", || decode_connects(Version::V311)),
    ("codec/connect/5", || decode_connects(Version::V5)),
    ("codec/publish_to_puback/3.1.1", || {
        decode_publishes(Version::V311)
    }),
    ("codec/publish_to_puback/5", || {
        decode_publishes(Version::V5)
    }),
    ("codec/publish_with_properties/5", decode_properties),
    ("codec/subscribe/5", decode_subscribes),
    ("session/publish_qos0/5", || {
        publishes(Version::V5, QoS::AtMostOnce)
    }),
    ("session/publish_qos1/3.1.1", || {
        publishes(Version::V311, QoS::AtLeastOnce)
    }),
    ("session/publish_qos1/5", || {
        publishes(Version::V5, QoS::AtLeastOnce)
    }),
    ("session/publish_qos2/5", || {
        publishes(Version::V5, QoS::ExactlyOnce)
    }),
    ("session/ping/5", pings),
    ("session/command/5", commands),
    ("event/origin", origins),
    ("event/judge_json", judgements),
    ("event/encode_json", encodings),
    ("event/payload_to_open_batch", batches),
];

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|(name, _)| *name)
}

/// Does a case, under valgrind.
pub(crate) fn run(name: &str) -> Result<(), String> {
    let found = CASES.iter().find(|(of, _)| *of == name);
    let (_, case) = found.ok_or_else(|| format!("no case is named {name}"))?;
    case()
}

/// Its name is what valgrind looks for.
#[inline(never)]
fn counted_by_callgrind(work: &mut dyn FnMut() -> Result<(), String>) -> Result<(), String> {
    work()
}

/// Counts an operation.
fn count(mut operation: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    // What is done once only (lazy tables, capacities) is no part of it.
    operation()?;
    counted_by_callgrind(&mut || (0..OPERATIONS).try_for_each(|_| operation()))
}

/// Counts an operation on a window of publishes as one for each of them.
fn count_window(mut operation: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    operation()?;
    let windows = OPERATIONS / u32::from(WINDOW);
    counted_by_callgrind(&mut || (0..windows).try_for_each(|_| operation()))
}

fn wrong(error: impl std::fmt::Debug) -> String {
    format!("a case is wrong: {error:?}")
}

fn bytes(packet: &Packet<'_>, version: Version) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    encode(packet, version, &mut out).map_err(wrong)?;
    Ok(out)
}

fn connect(version: Version) -> Packet<'static> {
    Packet::Connect(Connect {
        version,
        clean: true,
        keep_alive: 60,
        properties: ConnectProperties::default(),
        client_id: "sensor01-1",
        will: None,
        user_name: Some("sensor01@demo"),
        password: Some(b"sensor01-secret"),
    })
}

fn publish(qos: QoS, id: u16) -> Publish<'static> {
    Publish {
        qos,
        topic: "telemetry",
        packet_id: PacketId::new(id).filter(|_| qos != QoS::AtMostOnce),
        payload: READING,
        ..Publish::default()
    }
}

/// One read of publishes.
fn window(version: Version, qos: QoS) -> Result<Vec<u8>, String> {
    let each = (1..=WINDOW).map(|id| bytes(&Packet::Publish(publish(qos, id)), version));
    Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
}

fn decode_connects(version: Version) -> Result<(), String> {
    let input = bytes(&connect(version), version)?;
    count(|| {
        let raw = split(black_box(&input), MAXIMUM_PACKET_SIZE).map_err(wrong)?;
        let raw = raw.ok_or("incomplete")?;
        black_box(&decode_connect(&raw).map_err(wrong)?);
        Ok(())
    })
}

fn decode_publishes(version: Version) -> Result<(), String> {
    let window = window(version, QoS::AtLeastOnce)?;
    let mut answers = Vec::with_capacity(usize::from(WINDOW) * 4);
    count_window(|| {
        answers.clear();
        let mut input = black_box(window.as_slice());
        while let Some(raw) = split(input, MAXIMUM_PACKET_SIZE).map_err(wrong)? {
            if let Packet::Publish(publish) = decode_from_client(&raw, version).map_err(wrong)? {
                black_box((publish.topic, publish.payload));
                let id = publish.packet_id.ok_or("no packet id")?;
                let reason = ReasonCode::SUCCESS;
                encode_ack(AckKind::PubAck, id, reason, version, &mut answers);
            }
            input = input.get(raw.size..).unwrap_or_default();
        }
        black_box(&answers);
        Ok(())
    })
}

fn decode_one(packet: &Packet<'_>) -> Result<(), String> {
    let input = bytes(packet, Version::V5)?;
    count(|| {
        let raw = split(black_box(&input), MAXIMUM_PACKET_SIZE).map_err(wrong)?;
        let raw = raw.ok_or("incomplete")?;
        black_box(&decode_from_client(&raw, Version::V5).map_err(wrong)?);
        Ok(())
    })
}

fn decode_properties() -> Result<(), String> {
    let mut user_properties = UserPropertiesBuf::default();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    user_properties.push("traceparent", parent).map_err(wrong)?;
    let properties = PublishProperties {
        content_type: Some("application/json"),
        user_properties: user_properties.as_list(),
        ..PublishProperties::default()
    };
    decode_one(&Packet::Publish(Publish {
        properties,
        ..publish(QoS::AtLeastOnce, 1)
    }))
}

fn decode_subscribes() -> Result<(), String> {
    let mut filters = FiltersBuf::default();
    let subscription = Subscription::new("command/inbox//#", QoS::AtLeastOnce);
    filters.push(subscription).map_err(wrong)?;
    decode_one(&Packet::Subscribe(Subscribe {
        packet_id: NonZeroU16::MIN,
        subscription_identifier: None,
        user_properties: UserProperties::default(),
        filters: filters.as_list(),
    }))
}

/// A session that has let its client in.
fn connected(version: Version, limits: &Limits) -> Result<Session, String> {
    let mut session = Session::new(0);
    let input = bytes(&connect(version), version)?;
    match session.handle_input(limits, 0, &input) {
        Some((_, Event::Connect(_))) => {}
        other => return Err(wrong(other)),
    }
    session.accept(limits, 0, Accept::default());
    session.output().clear();
    Ok(session)
}

/// A read of publishes, taken as a connection takes it, with all that the client answers.
fn publishes(version: Version, qos: QoS) -> Result<(), String> {
    let limits = Limits::default();
    let mut session = connected(version, &limits)?;
    let window = window(version, qos)?;
    let mut releases = Vec::new();
    for id in 1..=WINDOW {
        let id = PacketId::new(id).ok_or("no packet id")?;
        encode_ack(
            AckKind::PubRel,
            id,
            ReasonCode::SUCCESS,
            version,
            &mut releases,
        );
    }
    count_window(|| {
        let mut last = 0;
        let mut input = black_box(window.as_slice());
        while let Some((size, event)) = session.handle_input(&limits, 1, input) {
            match event {
                Event::Publish(sequence, publish) => {
                    black_box((publish.topic, publish.payload));
                    last = sequence;
                }
                other => return Err(wrong(other)),
            }
            input = input.get(size..).unwrap_or_default();
        }
        session.accepted(1, &limits, last);
        if qos == QoS::ExactlyOnce {
            let mut input = black_box(releases.as_slice());
            while let Some((size, event)) = session.handle_input(&limits, 1, input) {
                if !matches!(event, Event::Handled) {
                    return Err(wrong(event));
                }
                input = input.get(size..).unwrap_or_default();
            }
        }
        black_box(session.output()).clear();
        Ok(())
    })
}

fn pings() -> Result<(), String> {
    let limits = Limits::default();
    let mut session = connected(Version::V5, &limits)?;
    count(|| {
        match session.handle_input(&limits, 1, black_box(&[0xC0, 0])) {
            Some((2, Event::Handled)) => {}
            other => return Err(wrong(other)),
        }
        black_box(session.output()).clear();
        Ok(())
    })
}

/// A command, delivered and acknowledged.
fn commands() -> Result<(), String> {
    let limits = Limits::default();
    let mut session = connected(Version::V5, &limits)?;
    count(|| {
        let delivery = Delivery {
            topic: black_box("command/inbox//reboot"),
            payload: READING,
            qos: QoS::AtLeastOnce,
            properties: PublishProperties::default(),
        };
        session.deliver(delivery, 7).map_err(wrong)?;
        // Behind the fixed header and the topic.
        let at = 2 + 2 + "command/inbox//reboot".len();
        let id = session.output().get(at..at + 2).ok_or("no packet id")?;
        let acknowledgement = [&[0x40, 2], id].concat();
        session.output().clear();
        match session.handle_input(&limits, 1, &acknowledgement) {
            Some((4, Event::Acknowledged(7, _))) => Ok(()),
            other => Err(wrong(other)),
        }
    })
}

fn origin() -> Arc<Origin> {
    Origin::new(OriginParts {
        instance: "landfall",
        application: ("demo", "0191d5a8-7c2e-7b3a-9f64-0c5e1a2b3c4d"),
        device: ("sensor01", "0191d5a8-7c2e-7b3a-9f64-1c5e1a2b3c4d"),
        sender: ("sensor01", "0191d5a8-7c2e-7b3a-9f64-1c5e1a2b3c4d"),
    })
}

fn draft<'a>(origin: &'a Origin, ids: &mut IdSource, time: Timestamp) -> Result<Draft<'a>, String> {
    let (data_content_type, data) = judge(None, black_box(READING)).map_err(wrong)?;
    Ok(Draft {
        origin,
        event_type: EventType::Event,
        id: ids.next(time),
        time,
        subject: "telemetry",
        data_content_type,
        data_schema: None,
        trace_parent: None,
        trace_state: None,
        retain: false,
        extensions: &[],
        data,
    })
}

/// What the events of a connection share, made when it enters.
fn origins() -> Result<(), String> {
    count(|| {
        black_box(origin());
        Ok(())
    })
}

fn judgements() -> Result<(), String> {
    count(|| {
        black_box(judge(None, black_box(READING)).map_err(wrong)?);
        Ok(())
    })
}

fn encodings() -> Result<(), String> {
    let (origin, mut ids, time) = (origin(), IdSource::new(), Timestamp::now());
    let draft = draft(&origin, &mut ids, time)?;
    let mut out = Vec::with_capacity(4096);
    count(|| {
        out.clear();
        write_structured_json(black_box(&draft), &mut out);
        black_box(&out);
        Ok(())
    })
}

/// From the payloads of one read to the batch that a sink takes.
fn batches() -> Result<(), String> {
    let (origin, mut ids) = (origin(), IdSource::new());
    let mut batch = OpenBatch::new();
    count_window(|| {
        batch.clear();
        let time = Timestamp::now();
        for sequence in 0..u64::from(WINDOW) {
            let draft = draft(&origin, &mut ids, time)?;
            batch.push(sequence, |out| write_structured_json(&draft, out));
        }
        black_box(batch.bytes());
        Ok(())
    })
}
