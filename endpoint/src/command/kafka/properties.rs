//! librdkafka's configuration: what the operator gives, what the source's promises rest on, and which of
//! its two clients each property is for.

use std::collections::BTreeMap;

use rdkafka::config::ClientConfig;

use super::KafkaAccess;

/// What the promises of the source rest on.
const FIXED: [(&str, &str); 3] = [
    ("enable.auto.commit", "true"),
    // Only offsets of records that are done are handed over to be committed.
    ("enable.auto.offset.store", "false"),
    // Milliseconds between two looks at whether the brokers are there.
    ("statistics.interval.ms", "1000"),
];
/// Kept by keys of their own, or by the source.
const FORBIDDEN: [&str; 6] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "statistics.interval.ms",
];
/// Better defaults than librdkafka's for this use; properties override them.
const CONSUMER_DEFAULTS: [(&str, &str); 3] = [
    // What a crash may have taken again is at most this old.
    ("auto.commit.interval.ms", "1000"),
    // What waits in memory; each record is a command, and few are large.
    ("queued.max.messages.kbytes", "16384"),
    ("reconnect.backoff.max.ms", "5000"),
];
const PRODUCER_DEFAULTS: [(&str, &str); 3] = [
    // A device's outcomes stay in order, and each is told once.
    ("enable.idempotence", "true"),
    ("message.timeout.ms", "0"),
    ("linger.ms", "1"),
];

/// How the names of properties begin that only one kind of client has; the other would warn at each
/// start (librdkafka 2.12, CONFIGURATION.md, columns C/P).
const OF_CONSUMERS: [&str; 17] = [
    "auto.commit.",
    "auto.offset.reset",
    "check.crcs",
    "consume",
    "coordinator.query.",
    "enable.auto.",
    "enable.partition.eof",
    "fetch.",
    "group.",
    HEARTBEAT,
    "isolation.level",
    "max.partition.fetch.",
    "max.poll.",
    "offset.store.",
    "partition.assignment.",
    "queued.",
    SESSION,
];
const OF_PRODUCERS: [&str; 20] = [
    "acks",
    "batch.",
    "compression.",
    "delivery.",
    "dr_",
    "enable.gapless.",
    "enable.idempotence",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "msg_order_cmp",
    "partitioner",
    "produce.offset.report",
    "queue.buffering.",
    "queuing.strategy",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.",
    "transaction",
];

const SESSION: &str = "session.timeout.ms";
const HEARTBEAT: &str = "heartbeat.interval.ms";
/// librdkafka's defaults, in milliseconds.
const DEFAULT_SESSION: u32 = 45_000;
const DEFAULT_HEARTBEAT: u32 = 3_000;

/// The configurations of the source's two clients.
pub(super) struct Clients {
    pub(super) consumer: ClientConfig,
    pub(super) producer: ClientConfig,
}

/// What each client is to be made with.
///
/// # Errors
///
/// A property is the source's own, or does not fit another one. No value is in the message.
pub(super) fn clients(access: &KafkaAccess) -> Result<Clients, String> {
    let own = |name: &&String| FORBIDDEN.contains(&name.as_str());
    if let Some(own) = access.properties.keys().find(own) {
        return Err(format!("the property `{own}` is the source's own"));
    }
    let mut consumer = client(access, &CONSUMER_DEFAULTS, &OF_PRODUCERS);
    let producer = client(access, &PRODUCER_DEFAULTS, &OF_CONSUMERS);
    if let Some(interval) = heartbeat(&access.properties)? {
        consumer.set(HEARTBEAT, interval.to_string());
    }
    consumer.set("group.id", &access.group);
    for (name, value) in FIXED {
        consumer.set(name, value);
    }
    Ok(Clients { consumer, producer })
}

fn client(access: &KafkaAccess, defaults: &[(&str, &str)], of_the_other: &[&str]) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &access.brokers);
    for (name, value) in defaults {
        client.set(*name, *value);
    }
    for (name, value) in &access.properties {
        if !of_the_other.iter().any(|start| name.starts_with(start)) {
            client.set(name, value);
        }
    }
    client
}

/// How often a member says that it is alive, in milliseconds, where that depends on how soon the group
/// takes it for dead: three times as often, as Kafka advises. A member that is heard of less often is
/// sent away, and joins again, without end.
fn heartbeat(properties: &BTreeMap<String, String>) -> Result<Option<u32>, String> {
    let read = |name: &str| {
        let value = properties.get(name);
        value.and_then(|value| value.trim().parse::<u32>().ok())
    };
    // What cannot be read librdkafka refuses.
    let session = read(SESSION);
    match read(HEARTBEAT) {
        Some(interval) if interval >= session.unwrap_or(DEFAULT_SESSION) => Err(format!(
            "the property `{HEARTBEAT}` is to be less than `{SESSION}`, at best a third of it"
        )),
        Some(_) => Ok(None),
        None => Ok(session.map(|session| (session / 3).clamp(1, DEFAULT_HEARTBEAT))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients_with(properties: &[(&str, &str)]) -> Result<Clients, String> {
        let properties = properties.iter();
        clients(&KafkaAccess {
            brokers: "localhost:1".to_owned(),
            group: "landfall".to_owned(),
            properties: properties
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        })
    }

    #[test]
    fn a_member_is_heard_of_more_often_than_its_group_takes_it_for_dead() {
        let interval = |properties: &[(&str, &str)]| {
            let consumer = clients_with(properties).unwrap().consumer;
            consumer.get(HEARTBEAT).map(ToOwned::to_owned)
        };
        assert_eq!(interval(&[(SESSION, "2000")]).as_deref(), Some("666"));
        assert_eq!(interval(&[(SESSION, "60000")]).as_deref(), Some("3000"));
        assert_eq!(interval(&[]), None, "librdkafka's defaults fit");
        let given = interval(&[(SESSION, "2000"), (HEARTBEAT, "1500")]);
        assert_eq!(given.as_deref(), Some("1500"));
        for wrong in [
            &[(SESSION, "3000"), (HEARTBEAT, "3000")][..],
            &[(HEARTBEAT, "45000")],
        ] {
            let refused = clients_with(wrong).err().unwrap();
            assert!(refused.contains(HEARTBEAT), "{refused}");
        }
    }

    #[test]
    fn each_client_gets_what_is_its_own_and_what_is_everybodys() {
        let Clients { consumer, producer } = clients_with(&[
            (SESSION, "2000"),
            ("auto.offset.reset", "earliest"),
            ("compression.type", "lz4"),
            ("security.protocol", "ssl"),
            ("fetch.min.bytes", "1"),
        ])
        .unwrap();
        for (name, of_consumer, of_producer) in [
            (SESSION, true, false),
            ("auto.offset.reset", true, false),
            ("fetch.min.bytes", true, false),
            ("compression.type", false, true),
            ("security.protocol", true, true),
            ("enable.idempotence", false, true),
            ("group.id", true, false),
        ] {
            assert_eq!(consumer.get(name).is_some(), of_consumer, "{name}");
            assert_eq!(producer.get(name).is_some(), of_producer, "{name}");
        }
    }
}
