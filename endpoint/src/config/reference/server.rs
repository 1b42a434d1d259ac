//! What is said of the keys without section, `[api]`, `[ops]`, `[registry]`, `[cluster]`, `[telemetry]`
//! and `[log]`.

use super::{Given, Key, NATS_CREDENTIALS, Section};

pub(super) const TOP_LEVEL: Section = Section {
    name: "top level",
    before: "## Top level",
    keys: &[
        Key {
            names: "`instance`",
            default: Given::Value("\"landfall\""),
            meaning: "Name of this process in events (attribute `instance`), command answers and logs. 1 \
             to 255 bytes without control characters. Give each instance of a fleet its own.",
        },
        Key {
            names: "`data_dir`",
            default: Given::Nothing,
            meaning: "Folder of the server's own files: `registry.db`, `events.db`, `commands.db`, \
             `sessions.db` and, by default, `token`. Made on first start. **Danger:** one \
             running process per folder, on a local disk.",
        },
        Key {
            names: "`session_records`",
            default: Given::Value("true"),
            meaning: "Whether each session is recorded in `sessions.db` before its device is let in, so \
             that [a crash](events.md#connection-events-and-wills) loses no will. **Danger:** \
             without, wills and `false` connection events of sessions that a crash ends are \
             never said; consumers go on taking the devices for connected until they connect \
             anew. A stop that is asked for loses nothing either way.",
        },
    ],
    after: "",
};

pub(super) const API: Section = Section {
    name: "api",
    before: "## `[api]`: the HTTP API",
    keys: &[
        Key {
            names: "`bind`",
            default: Given::Value("\"127.0.0.1:8080\""),
            meaning: "Address. Elsewhere than on loopback it is refused without [`[api.tls]`](#apitls-tls) or \
             `behind_proxy`.",
        },
        Key {
            names: "`token_file`",
            default: Given::Words("`token` in `data_dir`"),
            meaning: "File with the API's first token, which may do everything; others are made with \
             [`landfall token`](api.md#tokens). What it holds without the surrounding white \
             space, at least 16 characters. If it does not exist, it is made at start: 32 random \
             bytes in hexadecimal, mode 0600. It is read at start only.",
        },
        Key {
            names: "`behind_proxy`",
            default: Given::Value("false"),
            meaning: "A proxy in front ends TLS and is the only one who can reach `bind`. It allows any \
             `bind`, and any `Host` and `Origin` in requests. **Danger:** without such a proxy, \
             and without `[api.tls]`, the token crosses the network in clear text.",
        },
    ],
    after: "",
};

pub(super) const API_TLS: Section = Section {
    name: "api.tls",
    before: "### `[api.tls]`: TLS\n\
     \n\
     With it the API and the console are served over TLS 1.2 or 1.3 alone, by HTTP/2 or HTTP/1.1 as \
     the client asks (ALPN). A handshake may take `limits.handshake_timeout`.",
    keys: &[
        Key {
            names: "`certificate`",
            default: Given::Nothing,
            meaning: "The server's certificate with its intermediates, in PEM; loaded again when it \
             changes, and on SIGHUP.",
        },
        Key {
            names: "`key`",
            default: Given::Nothing,
            meaning: "Its private key in PEM, without a pass phrase; loaded again likewise.",
        },
    ],
    after: "",
};

pub(super) const OPS: Section = Section {
    name: "ops",
    before: "## `[ops]`: metrics and health\n\
     \n\
     `/metrics` in Prometheus' text format, `/health/live`, `/health/ready`, `/health/startup`, \
     over plain HTTP without a token. Without this section none of them is served.",
    keys: &[Key {
        names: "`bind`",
        default: Given::Nothing,
        meaning: "Address; `\"127.0.0.1:9090\"` is usual. **Danger:** whoever reaches it sees the \
             metrics: counts and the names of sinks, no names of applications or devices.",
    }],
    after: "",
};

pub(super) const REGISTRY: Section = Section {
    name: "registry",
    before: "## `[registry]`: applications, devices and credentials",
    keys: &[
        Key {
            names: "`store`",
            default: Given::Value("\"sqlite\""),
            meaning: "Where documents are stored: `\"sqlite\"` is `registry.db` in `data_dir`; \
             `\"postgres\"` is a PostgreSQL database, which several instances may share.",
        },
        Key {
            names: "`url`",
            default: Given::Nothing,
            meaning: "The database of `\"postgres\"`, which needs it: \
             `postgres://user:password@host:5432/database`. Best given as \
             `LANDFALL__REGISTRY__URL`, so that the file holds no password. A host other than \
             this one is spoken to over TLS, and has to prove its name. **Danger:** with \
             `?sslmode=disable`, passwords and documents cross the network in clear text.",
        },
        Key {
            names: "`ca_certificates`",
            default: Given::Words("the operating system's"),
            meaning: "PEM file of the authorities that may vouch for the database's host.",
        },
        Key {
            names: "`pool_size`",
            default: Given::Value("8"),
            meaning: "Connections to the database at most, beside one that listens for changes; 1 to \
             1,000.",
        },
        Key {
            names: "`connect_timeout`",
            default: Given::Value("\"5s\""),
            meaning: "How long to wait for the database's host, and for a free connection; 10 ms to 10 \
             minutes.",
        },
        Key {
            names: "`query_timeout`",
            default: Given::Value("\"5s\""),
            meaning: "How long to wait for an answer of the database; a batch of documents gets six times \
             as long. 10 ms to 10 minutes.",
        },
        Key {
            names: "`grace`",
            default: Given::Value("\"5m\""),
            meaning: "While the store is away, devices in memory may log in for this long; others are \
             told \"server unavailable\", and after it all. Live connections go on. Up to \
             `\"7d\"`. **Danger:** for this long a device logs in although another instance \
             disabled or deleted it.",
        },
        Key {
            names: "`hash_passwords`",
            default: Given::Value("true"),
            meaning: "Whether plain passwords handed in are stored hashed. **Danger:** with `false`, \
             whoever reads the file or a backup of it has the passwords.",
        },
        Key {
            names: "`password_hash`",
            default: Given::Value("\"argon2id\""),
            meaning: "By which hash; for passwords written from now on. `\"blake2s-random-secrets\"` \
             takes a microsecond instead of some 20 milliseconds, so that a million devices are \
             imported in minutes. **Danger:** it protects random secrets of at least 128 bits \
             only, made by machines: whoever reads the file, or a backup of it, tries billions \
             of passwords a second, and finds any that a person chose.",
        },
        Key {
            names: "`cache_entries`",
            default: Given::Value("100000"),
            meaning: "Devices kept in memory, and answers \"no such device\"; about 170 MiB when full. At \
             least 16.",
        },
        Key {
            names: "`verify_workers`",
            default: Given::Words("the number of CPUs"),
            meaning: "Passwords checked at once by slow hashes, and as many again for documents; 1 to \
             1,024. Each takes 19 MiB while it runs, up to 128 MiB if documents bring hashes \
             that want more.",
        },
        Key {
            names: "`verify_queue`",
            default: Given::Value("1024"),
            meaning: "Log-ins that may wait for such a check; a further one is told \"server busy\". 1 to \
             1,000,000.",
        },
    ],
    after: "",
};

pub(super) const CLUSTER: Section = Section {
    name: "cluster",
    before: "## `[cluster]`: several instances as one\n\
     \n\
     Instances that share a registry in PostgreSQL, and reach each other over NATS: a command \
     reaches the instance that holds its device, wherever it was handed in; a device that \
     connects to another instance takes over from its old connection; the list of connections \
     shows all. See [commands.md](commands.md#many-instances). Without this section an instance \
     is alone, and needs no NATS. Each has an [`instance`](#top-level) name of its own.",
    keys: &[
        Key {
            names: "`servers`",
            default: Given::Nothing,
            meaning: "List of `nats://host:4222` or `tls://host:4222`.",
        },
        Key {
            names: "`prefix`",
            default: Given::Value("\"landfall\""),
            meaning: "What the subjects of this fleet begin with; fleets that share a NATS have different \
             ones. **Danger:** whoever may publish there may send commands to every device and \
             end connections: only the instances should.",
        },
        NATS_CREDENTIALS,
        Key {
            names: "`require_tls`",
            default: Given::Value("false"),
            meaning: "Refuse unencrypted connections. `[cluster.tls]`: as for the sink `nats`.",
        },
    ],
    after: "",
};

pub(super) const TELEMETRY: Section = Section {
    name: "telemetry",
    before: "## `[telemetry]`: traces\n\
     \n\
     Without the section there are none. [Operations](operations.md#traces) says what is in \
     them.",
    keys: &[Key {
        names: "`otlp_endpoint`",
        default: Given::Nothing,
        meaning: "Address of an OpenTelemetry collector: OTLP over HTTP, in JSON, as \
             `\"http://127.0.0.1:4318/v1/traces\"`. **Danger:** names of applications, devices \
             and channels are in what it gets.",
    }],
    after: "",
};

pub(super) const LOG: Section = Section {
    name: "log",
    before: "## `[log]`: the process's own log\n\
     \n\
     On standard error. Events are not in it, nor is any secret.",
    keys: &[
        Key {
            names: "`format`",
            default: Given::Value("\"human\""),
            meaning: "`\"human\"`, or `\"json\"`: one object a line.",
        },
        Key {
            names: "`level`",
            default: Given::Value("\"info\""),
            meaning: "Least level: `error`, `warn`, `info`, `debug` or `trace`; or filters by module: \
             `\"warn,landfall::auth=debug\"`. **Danger:** `debug` and `trace` log for every \
             packet. It can be [changed while the server runs](operations.md#logs).",
        },
    ],
    after: "",
};
