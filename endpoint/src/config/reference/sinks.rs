//! What is said of `[[sinks]]`.

use super::{Given, Key, NATS_CREDENTIALS, Section};

pub(super) const SINKS: Section = Section {
    name: "sinks",
    before: "## `[[sinks]]`: where events go\n\
     \n\
     Every event goes to every sink, unless its application names its own. Without any \
     `[[sinks]]` there is one durable log named `events`.",
    keys: &[
        Key {
            names: "`name`",
            default: Given::Nothing,
            meaning: "Name in metrics, logs, health, and an application's `spec.publish.sinks`: 1 to 63 \
             of `a` to `z`, `0` to `9` and `-`. No two alike.",
        },
        Key {
            names: "`type`",
            default: Given::Nothing,
            meaning: "`\"log\"`: the embedded durable log, `events.db` in `data_dir`, which the events \
             API reads; at most one. `\"kafka\"`, `\"nats\"`, `\"http\"`, `\"mqtt\"`: another \
             system, see below. `\"file\"`: one line of JSON per event in a file that is begun \
             anew when it is full. `\"stdout\"`: one line of JSON per event on standard output. \
             `\"blackhole\"`: encodes each event and forgets it, for measurements.",
        },
        Key {
            names: "`required`",
            default: Given::Value("true"),
            meaning: "Whether a QoS 1 or 2 publish waits for this sink before it is acknowledged. \
             **Danger:** what a sink that is not required fails to take is lost without the \
             device knowing; and what `stdout` and `blackhole` have taken is acknowledged, but \
             stored nowhere.",
        },
        Key {
            names: "`fail_fast`",
            default: Given::Value("false"),
            meaning: "Whether the server refuses to start when the sink's other system cannot be reached \
             within 10 s. Else it starts, is not ready, and goes on trying.",
        },
        Key {
            names: "`spill`",
            default: Given::Value("false"),
            meaning: "Of `kafka`, `nats`, `http` and `mqtt`: while the other system does not take an \
             application's events for more than a second, they go to disk (`spill-NAME.db` in \
             `data_dir`), are acknowledged, and are sent in order when it takes them again. \
             **Danger:** what the other system then refuses is dropped, with a warning; the \
             device has been told otherwise.",
        },
        Key {
            names: "`spill_bytes`",
            default: Given::Value("\"1GiB\""),
            meaning: "Events on disk at most; at least 1 MiB. Beyond it they wait in memory, \
             unacknowledged, as without `spill`.",
        },
    ],
    after: "",
};

pub(super) const SINKS_LOG: Section = Section {
    name: "sinks.log",
    before: "Further keys of type `log`:",
    keys: &[
        Key {
            names: "`retention_bytes`",
            default: Given::Value("\"1GiB\""),
            meaning: "Events of one application are dropped, oldest first, when they take more than this; \
             at least 1 MiB. **Danger:** a reader that falls further behind loses events, and is \
             told so.",
        },
        Key {
            names: "`retention_age`",
            default: Given::Value("\"7d\""),
            meaning: "Events are dropped when they are older than this; at least 1 min.",
        },
        Key {
            names: "`queue_bytes`",
            default: Given::Value("\"64MiB\""),
            meaning: "Memory for events that wait to be written; at least 1 MiB. When it is full, QoS 0 \
             events are dropped, and devices are not read from.",
        },
    ],
    after: "",
};

pub(super) const SINKS_FILE: Section = Section {
    name: "sinks.file",
    before: "Further keys of type `stdout`: `queue_bytes`, as above.\n\
     \n\
     Further keys of type `file`, beside `queue_bytes`:",
    keys: &[
        Key {
            names: "`path`",
            default: Given::Nothing,
            meaning: "The file; its folder must exist. Full files get `.1`, `.2` and so on behind the \
             name, the oldest the highest number. Only one process may write to it.",
        },
        Key {
            names: "`rotate_bytes`",
            default: Given::Value("\"64MiB\""),
            meaning: "A new file is begun before one gets larger; at least 64 KiB.",
        },
        Key {
            names: "`keep`",
            default: Given::Value("8"),
            meaning: "Full files that are kept beside the current one, 0 to 1,000. **Danger:** older ones \
             are deleted, read or not.",
        },
    ],
    after: "",
};

pub(super) const SINKS_KAFKA: Section = Section {
    name: "sinks.kafka",
    before: "What is said of the sinks `kafka`, `nats`, `http` and `mqtt`, and what each of them \
     promises, is in [events.md](events.md#sinks-that-reach-other-systems). They start whether \
     or not the other system is there; until it is, the server is not ready and acknowledges \
     nothing that they are required for. All have `queue_bytes`, as above. Secrets may stand in \
     files of their own (keys that end in `_file`; white space around the secret is cut off). \
     Topics, subjects and paths may have `{application}`, `{device}`, `{sender}`, `{channel}`, \
     `{type}` and `{instance}`; a field that does not exist is refused at start.\n\
     \n\
     Further keys of type `kafka`:",
    keys: &[
        Key {
            names: "`brokers`",
            default: Given::Nothing,
            meaning: "`host:port`, one or several, joined by commas.",
        },
        Key {
            names: "`topic`",
            default: Given::Value("\"events-{application}\""),
            meaning: "Bytes that no topic may have, and `_`, become `_` and two hexadecimal digits, so \
             that no two names become one topic.",
        },
        Key {
            names: "`mode`",
            default: Given::Value("\"binary\""),
            meaning: "`\"binary\"`: attributes in `ce_` headers; or `\"structured\"`.",
        },
        Key {
            names: "`username`, `password` or `password_file`",
            default: Given::Nothing,
            meaning: "SASL over TLS by the mechanism `PLAIN`; the property `sasl.mechanism` may say \
             `SCRAM-SHA-256` or `SCRAM-SHA-512`, and `security.protocol` may say \
             `sasl_plaintext`. **Danger** of the last: the password goes over the network \
             unencrypted.",
        },
        Key {
            names: "`window`",
            default: Given::Value("10000"),
            meaning: "Events of one application that may wait for their delivery reports.",
        },
        Key {
            names: "`[sinks.properties]`",
            default: Given::Words(""),
            meaning: "Any property of librdkafka, for instance `\"security.protocol\" = \"ssl\"`, \
             `\"ssl.ca.location\"`, `\"compression.type\"` (default `lz4`), `\"linger.ms\"` \
             (default 1), `\"message.max.bytes\"` (default 1000000: larger events are refused at once; \
             not more than the topics take). Refused: those that the promise rests on (`acks`, \
             `enable.idempotence`, `enable.gapless.guarantee`, \
             `max.in.flight.requests.per.connection`, `partitioner`, retries and message time-outs, \
             `transactional.id`).",
        },
    ],
    after: "",
};

pub(super) const SINKS_NATS: Section = Section {
    name: "sinks.nats",
    before: "Further keys of type `nats`:",
    keys: &[
        Key {
            names: "`servers`",
            default: Given::Nothing,
            meaning: "List of `nats://host:4222` or `tls://host:4222`.",
        },
        Key {
            names: "`subject`",
            default: Given::Value("\"events.{application}.{channel}\""),
            meaning: "A stream must take it: Landfall makes none. Levels of a channel become tokens; what \
             no token may hold is percent-encoded, an empty level is `%`.",
        },
        Key {
            names: "`mode`",
            default: Given::Value("\"binary\""),
            meaning: "`\"binary\"`: attributes in `ce-` headers; or `\"structured\"`.",
        },
        NATS_CREDENTIALS,
        Key {
            names: "`require_tls`",
            default: Given::Value("false"),
            meaning: "Refuse unencrypted connections. `[sinks.tls]`: `trust`, `certificate` and `key` \
             only, which are PEM files.",
        },
        Key {
            names: "`window`",
            default: Given::Value("1000"),
            meaning: "Publishes of one application that may wait for acknowledgements.",
        },
        Key {
            names: "`timeout`",
            default: Given::Value("\"5s\""),
            meaning: "How long an acknowledgement may take before the event is sent again.",
        },
    ],
    after: "",
};

pub(super) const SINKS_HTTP: Section = Section {
    name: "sinks.http",
    before: "Further keys of type `http`:",
    keys: &[
        Key {
            names: "`url`",
            default: Given::Nothing,
            meaning: "`http://` or `https://`; fields in path and query only, percent-encoded.",
        },
        Key {
            names: "`mode`",
            default: Given::Value("\"binary\""),
            meaning: "`\"binary\"`: attributes in `ce-` headers; `\"structured\"`; or `\"batch\"`: up to \
             `batch_events` (100) events and about `batch_bytes` (`\"1MiB\"`) a request.",
        },
        Key {
            names: "`headers`",
            default: Given::Nothing,
            meaning: "Further headers of every request: `{ x-key = \"…\" }`.",
        },
        Key {
            names: "`bearer_token` or `bearer_token_file`",
            default: Given::Nothing,
            meaning: "Or `username` with `password` or `password_file`.",
        },
        Key {
            names: "`timeout`",
            default: Given::Value("\"10s\""),
            meaning: "How long a request may take.",
        },
        Key {
            names: "`concurrency`",
            default: Given::Value("16"),
            meaning: "Requests of one application under way at once. Those of one sender always follow \
             each other.",
        },
        Key {
            names: "`[sinks.tls]`",
            default: Given::Words(""),
            meaning: "See below.",
        },
    ],
    after: "",
};

pub(super) const SINKS_MQTT: Section = Section {
    name: "sinks.mqtt",
    before: "Further keys of type `mqtt`:",
    keys: &[
        Key {
            names: "`url`",
            default: Given::Nothing,
            meaning: "`mqtt://host:1883`, or `mqtts://host:8883` with TLS.",
        },
        Key {
            names: "`version`",
            default: Given::Value("\"5\""),
            meaning: "Or `\"3.1.1\"`.",
        },
        Key {
            names: "`role`",
            default: Given::Value("\"producer\""),
            meaning: "The only one of a sink. A consumer is a [command \
             source](#command_sources-where-commands-come-from-beside-http) of type `mqtt`; for \
             both roles, write both sections.",
        },
        Key {
            names: "`client_id_prefix`",
            default: Given::Value("\"landfall\""),
            meaning: "The client id is this, `-`, and the first part of a UUID that is made at start.",
        },
        Key {
            names: "`topic`",
            default: Given::Value("\"events/{application}/{device}/{channel}\""),
            meaning: "Levels of a channel stay levels; `+`, `#`, `%` and control characters are \
             percent-encoded.",
        },
        Key {
            names: "`mode`",
            default: Given::Value("\"binary\""),
            meaning: "`\"binary\"`: attributes as user properties, which needs MQTT 5; or \
             `\"structured\"`.",
        },
        Key {
            names: "`retain`",
            default: Given::Value("false"),
            meaning: "Whether the broker keeps the last message of each topic.",
        },
        Key {
            names: "`message_expiry`",
            default: Given::Nothing,
            meaning: "How long the broker keeps a message for subscribers that are away. MQTT 5.",
        },
        Key {
            names: "`response_topic`",
            default: Given::Nothing,
            meaning: "Where answers are expected; with fields, as `topic`. MQTT 5.",
        },
        Key {
            names: "`session_expiry`",
            default: Given::Value("86400"),
            meaning: "Seconds for which the broker keeps the sink's session; none if -1 or less. MQTT 5.",
        },
        Key {
            names: "`username`, `password` or `password_file`",
            default: Given::Nothing,
            meaning: "",
        },
        Key {
            names: "`timeout`",
            default: Given::Value("\"10s\""),
            meaning: "How long an acknowledgement, or an attempt to connect, may take.",
        },
        Key {
            names: "`reconnect_attempts`",
            default: Given::Nothing,
            meaning: "Attempts to connect in a row that may fail, 0 to 1,000; without it there is no \
             limit. **Danger:** after that the sink gives up until the next start; what it holds \
             is not acknowledged.",
        },
        Key {
            names: "`maximum_packet_size`",
            default: Given::Words("what the broker says"),
            meaning: "Larger events are refused to the device. A broker of 3.1.1 cannot say, and ends the \
             connection or drops the message: set it there.",
        },
        Key {
            names: "`window`",
            default: Given::Value("1000"),
            meaning: "Publishes of one application that may wait for acknowledgements.",
        },
        Key {
            names: "`[sinks.tls]`",
            default: Given::Words(""),
            meaning: "See below; for `mqtts://`.",
        },
    ],
    after: "",
};

pub(super) const SINKS_TLS: Section = Section {
    name: "sinks.tls",
    before: "`[sinks.tls]` of the types `http` and `mqtt`:",
    keys: &[
        Key {
            names: "`trust` or `trust_data`",
            default: Given::Words("the system's"),
            meaning: "Certificates that the other side's may lead to: a file, or written here. PEM or \
             PKCS#12 (written here: in Base64), which `trust_password` or `trust_password_file` \
             opens.",
        },
        Key {
            names: "`certificate` and `key`",
            default: Given::Nothing,
            meaning: "The sink's own certificate chain and key, PEM files; `key_password` or \
             `key_password_file` opens the key.",
        },
        Key {
            names: "`key_store` or `key_store_data`",
            default: Given::Nothing,
            meaning: "The same in one: PEM of both, or PKCS#12, which `key_store_password` or \
             `key_store_password_file` opens.",
        },
        Key {
            names: "`any_host_name`",
            default: Given::Value("false"),
            meaning: "Accept a certificate for another name. **Danger:** whoever has any trusted \
             certificate can stand in between.",
        },
    ],
    after: "A Java key store (JKS) is refused; make it PKCS#12: `keytool -importkeystore -srckeystore \
     old.jks -destkeystore new.p12 -deststoretype PKCS12`.",
};
