//! What is said of `[[command_sources]]`.

use super::{Given, Key, NATS_CREDENTIALS, Section};

pub(super) const COMMAND_SOURCES: Section = Section {
    name: "command_sources",
    before: "## `[[command_sources]]`: where commands come from, beside HTTP\n\
     \n\
     What a source takes, and what its senders are told, is in \
     [commands.md](commands.md#from-nats). It starts whether or not the other system is there, \
     and connects again by itself; `landfall_command_source_up` says whether it is connected, \
     the log why not ([commands.md](commands.md#when-a-source-is-away)). \
     Files that it needs must be there.",
    keys: &[
        Key {
            names: "`name`",
            default: Given::Nothing,
            meaning: "Name in metrics and logs: 1 to 63 of `a` to `z`, `0` to `9` and `-`. No two alike.",
        },
        Key {
            names: "`type`",
            default: Given::Nothing,
            meaning: "`\"nats\"`: each request is a command, its reply the outcome. `\"kafka\"`: each \
             record is a command, its outcome a record of another topic. `\"mqtt\"`: each \
             message at a broker is a command, its outcome goes to its response topic.",
        },
        Key {
            names: "`concurrency`",
            default: Given::Value("1000"),
            meaning: "Commands under way at once, 1 to 65,535; further ones wait.",
        },
    ],
    after: "",
};

pub(super) const COMMAND_SOURCES_NATS: Section = Section {
    name: "command_sources.nats",
    before: "Keys of `nats`:",
    keys: &[
        Key {
            names: "`servers`",
            default: Given::Nothing,
            meaning: "List of `nats://host:4222` or `tls://host:4222`.",
        },
        Key {
            names: "`prefix`",
            default: Given::Value("\"commands\""),
            meaning: "Commands come on `{prefix}.{application}.{device}.{command}`. **Danger:** whoever \
             may publish there may send commands to every device; NATS's own permissions \
             restrict it, also by application.",
        },
        Key {
            names: "`group`",
            default: Given::Value("\"landfall\""),
            meaning: "Sources of one group, on all instances, share the requests: each goes to one of \
             them.",
        },
        NATS_CREDENTIALS,
        Key {
            names: "`require_tls`",
            default: Given::Value("false"),
            meaning: "Refuse unencrypted connections. `[command_sources.tls]`: as for the sink `nats`.",
        },
    ],
    after: "",
};

pub(super) const COMMAND_SOURCES_KAFKA: Section = Section {
    name: "command_sources.kafka",
    before: "Keys of `kafka`, in builds with the feature of that name:",
    keys: &[
        Key {
            names: "`brokers`",
            default: Given::Nothing,
            meaning: "`host:port`, one or several, joined by commas.",
        },
        Key {
            names: "`topic`",
            default: Given::Value("\"commands\""),
            meaning: "Where commands come. **Danger:** whoever may produce there may send commands to \
             every device: restrict it in Kafka.",
        },
        Key {
            names: "`reply_topic`",
            default: Given::Nothing,
            meaning: "Where outcomes go; nowhere without it.",
        },
        Key {
            names: "`group`",
            default: Given::Value("\"landfall\""),
            meaning: "The consumer group: sources of one group, on all instances, share the partitions.",
        },
        Key {
            names: "`username`",
            default: Given::Nothing,
            meaning: "With `password` or `password_file`: as for the sink `kafka`.",
        },
        Key {
            names: "`[command_sources.properties]`",
            default: Given::Words(""),
            meaning: "Any of librdkafka's, but those that are keys here, `enable.auto.commit`, \
             `enable.auto.offset.store` and `statistics.interval.ms`. A group that is new begins at the end of the topic, \
             unless `\"auto.offset.reset\" = \"earliest\"`. `\"session.timeout.ms\"` (default 45000) \
             is how long a source that died keeps its partitions; with less than 9000 \
             `\"heartbeat.interval.ms\"` is a third of it.",
        },
    ],
    after: "",
};

pub(super) const COMMAND_SOURCES_MQTT: Section = Section {
    name: "command_sources.mqtt",
    before: "Keys of `mqtt`:",
    keys: &[
        Key {
            names: "`url`",
            default: Given::Nothing,
            meaning: "`mqtt://host:1883`, or `mqtts://host:8883` with TLS.",
        },
        Key {
            names: "`version`",
            default: Given::Value("\"5\""),
            meaning: "Or `\"3.1.1\"`, which has no response topics: nobody is told outcomes.",
        },
        Key {
            names: "`client_id`",
            default: Given::Value("\"landfall\""),
            meaning: "The name of the shared subscription, `$share/{client_id}/{topic}`: sources of one \
             name, on all instances, share the messages. The client id is this, `-`, and the \
             `instance`.",
        },
        Key {
            names: "`topic`",
            default: Given::Value("\"commands/+/+/+\""),
            meaning: "The filter that is subscribed to, at QoS 1. **Danger:** whoever may publish there \
             may send commands to every device: restrict it in the broker.",
        },
        Key {
            names: "`shared`",
            default: Given::Value("true"),
            meaning: "**Danger:** `false` subscribes to `topic` alone, and each instance takes every \
             command.",
        },
        Key {
            names: "`session_expiry`",
            default: Given::Value("86400"),
            meaning: "Seconds that the broker keeps messages for a source that is away; `0`: not at all. \
             With `\"3.1.1\"`, anything else is for ever.",
        },
        Key {
            names: "`username`",
            default: Given::Nothing,
            meaning: "With `password` or `password_file`.",
        },
        Key {
            names: "`[command_sources.tls]`",
            default: Given::Words(""),
            meaning: "As for the sink `mqtt`; for `mqtts://`.",
        },
    ],
    after: "",
};
