//! What is said of `[[listeners]]` and `[limits]`.

use super::{Given, Key, Section};

pub(super) const LISTENERS: Section = Section {
    name: "listeners",
    before: "## `[[listeners]]`: where devices connect\n\
     \n\
     At least one. [transports.md](transports.md) tells how they work and how to tune them.",
    keys: &[
        Key {
            names: "`bind`",
            default: Given::Nothing,
            meaning: "Address, or `\"unix:PATH\"` for a Unix socket, whose file is replaced if nobody \
             serves it. **Danger:** without TLS and elsewhere than on this machine, passwords \
             and data cross the network in clear text.",
        },
        Key {
            names: "`transport`",
            default: Given::Value("\"mqtt\""),
            meaning: "What is spoken there: `\"mqtt\"`, MQTT 3.1, 3.1.1 and 5 directly; `\"websocket\"`, \
             the same in binary WebSocket messages.",
        },
        Key {
            names: "`path`",
            default: Given::Value("\"/mqtt\""),
            meaning: "WebSocket only: the path of the URL; others are answered 404.",
        },
        Key {
            names: "`origins`",
            default: Given::Words("all"),
            meaning: "WebSocket only: web pages whose scripts may connect, as \
             `[\"https://app.example.com\"]`. Clients that are no browsers send no origin, and \
             may connect.",
        },
        Key {
            names: "`connections`",
            default: Given::Words("no limit"),
            meaning: "Devices at once through this listener; a further one is told that the quota is \
             exceeded (0x97).",
        },
        Key {
            names: "`connection_rate`",
            default: Given::Words("no limit"),
            meaning: "New connections a second from one IPv4 address or IPv6 /64 network, on average; as \
             many may come at once. A further one is told (0x9F), or closed before a TLS \
             handshake. **Danger:** a whole fleet may stand behind one address.",
        },
        Key {
            names: "`accept_loops`",
            default: Given::Value("1"),
            meaning: "Sockets that accept side by side (`SO_REUSEPORT`), 1 to 64; for thousands of new \
             connections a second.",
        },
        Key {
            names: "`tcp_keepalive`",
            default: Given::Value("\"10m\""),
            meaning: "How long a TCP connection may be silent before the system probes it; a minute of \
             probes in vain ends it. `\"0s\"` turns it off.",
        },
        Key {
            names: "`proxy_protocol`",
            default: Given::Value("[]"),
            meaning: "Peers that must begin with a PROXY header (version 1 or 2), which names the \
             device's address: networks as `\"10.0.0.0/8\"`, and `\"unix\"` for those of a Unix \
             socket. **Danger:** whoever is in there can claim any address.",
        },
        Key {
            names: "`anonymous_device`",
            default: Given::Nothing,
            meaning: "`\"device@application\"`: log-ins without any credentials become this device, which \
             must exist. Written like a user name: split at the first `@`, the device part may \
             be percent-encoded. Loopback and Unix socket binds only: whoever reaches the \
             listener is that device.",
        },
    ],
    after: "",
};

pub(super) const LISTENERS_TLS: Section = Section {
    name: "listeners.tls",
    before: "### `[listeners.tls]`: TLS",
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
        Key {
            names: "`certificates`",
            default: Given::Nothing,
            meaning: "Further ones: `[[listeners.tls.certificates]]` with `certificate` and `key`. The \
             one whose names hold the host that the client asks for is shown, the first if none \
             does; of several for one host, the first that the client can verify (ECDSA, RSA).",
        },
        Key {
            names: "`client_certificates`",
            default: Given::Value("false"),
            meaning: "Whether clients are asked for a certificate; they need not have one. Leave it off \
             where browsers connect.",
        },
        Key {
            names: "`psk`",
            default: Given::Value("false"),
            meaning: "Whether devices may log in by a pre-shared key; `certificate` may then be left out.",
        },
        Key {
            names: "`minimum_version`",
            default: Given::Value("\"1.2\""),
            meaning: "Lowest version of TLS: `\"1.2\"` or `\"1.3\"`.",
        },
        Key {
            names: "`cipher_suites`",
            default: Given::Words("all that are secure"),
            meaning: "Their IANA names, the preferred first.",
        },
        Key {
            names: "`legacy_rsa`",
            default: Given::Value("false"),
            meaning: "Whether clients that offer only RSA key exchange are served. **Danger:** whoever \
             gets the key later can read what was recorded.",
        },
    ],
    after: "",
};

pub(super) const LIMITS: Section = Section {
    name: "limits",
    before: "## `[limits]`: what connections may take\n\
     \n\
     They hold for all listeners.",
    keys: &[
        Key {
            names: "`connections`",
            default: Given::Value("100000"),
            meaning: "Connections at once, those not yet logged in included; a further one is told \
             \"server busy\". The process needs as many file descriptors and some 1,000 more; it \
             raises its soft limit to the hard one, and warns if that is too low.",
        },
        Key {
            names: "`connections_per_device`",
            default: Given::Value("4"),
            meaning: "Connections of one device at once; a further one closes the oldest. Of \
             [several instances](commands.md#many-instances), each counts its own: a device can have \
             as many on each.",
        },
        Key {
            names: "`connections_per_application`",
            default: Given::Words("no limit"),
            meaning: "Connections of one application at once; a further one is told that the quota is \
             exceeded (0x97). Of several instances, each counts its own.",
        },
        Key {
            names: "`maximum_packet_size`",
            default: Given::Value("\"64KiB\""),
            meaning: "Largest packet taken from a device, fixed header included: 128 B to 268,435,460 B. \
             A larger one is refused from its header on. It is also the largest payload of a \
             command that the API takes. **Danger:** each connection may hold one packet of this \
             size in memory.",
        },
        Key {
            names: "`receive_maximum`",
            default: Given::Value("100"),
            meaning: "QoS 1 and 2 publishes of one connection that may wait for their acknowledgement, 1 \
             to 65,535. MQTT 5 clients are told, and a breach closes; 3.x clients are not read \
             from while that many wait.",
        },
        Key {
            names: "`publish_rate`",
            default: Given::Words("no limit"),
            meaning: "PUBLISH packets a second of one connection, of any QoS, on average; as many may \
             come at once. Beyond them the client is read no further until the next may come: \
             nothing is lost or refused, what it sends waits in the network, and its keep-alive \
             stands still. **Danger:** a gateway publishes for many devices over one connection.",
        },
        Key {
            names: "`publish_byte_rate`",
            default: Given::Words("no limit"),
            meaning: "The same for the bytes of these packets, from `\"1KiB\"`. A packet larger than a \
             second's is taken, and waited for afterwards.",
        },
        Key {
            names: "`topic_alias_maximum`",
            default: Given::Value("16"),
            meaning: "Topic aliases that an MQTT 5 client may set; 0 turns them off. **Danger:** each may \
             keep a topic of 64 KiB in memory, per connection.",
        },
        Key {
            names: "`subscriptions`",
            default: Given::Value("100"),
            meaning: "Subscriptions of one connection.",
        },
        Key {
            names: "`send_maximum`",
            default: Given::Value("32"),
            meaning: "QoS 1 commands that may wait for one connection's acknowledgement, 1 to 65,535, \
             even if the client offers to take more.",
        },
        Key {
            names: "`command_queue`",
            default: Given::Value("32"),
            meaning: "Commands for one device that may wait to be written to one connection; for all \
             devices behind a gateway together, eight times as many. A further one is refused, \
             and its sender is told (409).",
        },
        Key {
            names: "`held_commands`",
            default: Given::Value("100"),
            meaning: "Commands that may be [held](api.md#held-commands) for one device; a further one is \
             refused (409). `0` holds none.",
        },
        Key {
            names: "`held_command_bytes`",
            default: Given::Value("\"256MiB\""),
            meaning: "Bytes of all held commands together, in `commands.db` in `data_dir`; at least 1 \
             MiB.",
        },
        Key {
            names: "`handshake_timeout`",
            default: Given::Value("\"10s\""),
            meaning: "From the start of a connection to the end of its PROXY header, TLS handshake and \
             WebSocket upgrade, where the listener has them; 1 s to 5 min. Small devices on slow \
             links need more.",
        },
        Key {
            names: "`connect_timeout`",
            default: Given::Value("\"10s\""),
            meaning: "From there to the complete CONNECT; 1 s to 5 min.",
        },
        Key {
            names: "`log_in_failures_per_address`",
            default: Given::Value("100"),
            meaning: "Failed log-ins of one address (of IPv6: of its /64 network) that are free within 10 \
             minutes. Beyond them the address waits, 1 s first and twice as long after each \
             further failure; its log-ins are told 0x9F (3.x: 0x03) meanwhile, without being \
             tried. Devices that were let in from there within a day, or are connected from \
             there, are spared. 0 allows any number. **Danger:** behind a load balancer that \
             hides the devices' addresses, all of them share one: set it to 0.",
        },
        Key {
            names: "`log_in_failures_per_device`",
            default: Given::Value("10"),
            meaning: "The same for the log-ins of one device, from wherever; they are told what a wrong \
             password is told, so that nobody learns whether the device exists. A device that \
             was let in from its address, or is connected from there, is held to its own \
             failures from there alone. 0 allows any number. **Danger:** without it, a short \
             password can be guessed.",
        },
        Key {
            names: "`log_in_longest_wait`",
            default: Given::Value("\"1m\""),
            meaning: "The longest such wait, 1 s to 1 h. **Danger:** for as long, somebody who fails on \
             purpose keeps a device out that was not let in from its address before.",
        },
        Key {
            names: "`stall_timeout`",
            default: Given::Value("\"30s\""),
            meaning: "How long publishes may wait for their sinks without any progress before the \
             connection is closed; 1 s to 1 h.",
        },
        Key {
            names: "`maximum_keep_alive`",
            default: Given::Words("no limit"),
            meaning: "Longest keep-alive, which then also holds for clients that ask for none; whole \
             seconds, 1 s to 65,535 s. MQTT 5 clients are told; 3.x clients are held to what \
             they asked for. **Danger:** without a limit, a client that asks for no keep-alive \
             and vanishes holds its connection until the network reports it gone.",
        },
        Key {
            names: "`acknowledge_refused`",
            default: Given::Value("false"),
            meaning: "What a 3.x client is told of a refused QoS 1 or 2 publish, as 3.x has no negative \
             acknowledgement: `false` closes the connection. **Danger:** `true` acknowledges and \
             drops, so that the client believes the event was taken.",
        },
        Key {
            names: "`drain_timeout`",
            default: Given::Value("\"10s\""),
            meaning: "How long a stopping server waits for what was handed to the sinks to be taken and \
             acknowledged; 0 s to 10 min.",
        },
        Key {
            names: "`drain_spread`",
            default: Given::Value("\"0s\""),
            meaning: "Over how long a stopping server spreads its goodbyes, so that not all devices \
             connect elsewhere at once; `drain_timeout` begins after it. Up to 10 min.",
        },
        Key {
            names: "`server_reference`",
            default: Given::Nothing,
            meaning: "Where MQTT 5 devices are told to go when the server stops: host names or addresses \
             with ports, parted by spaces. They get DISCONNECT 0x9C with it, instead of 0x8B.",
        },
    ],
    after: "",
};
