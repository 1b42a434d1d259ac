//! The cipher suites that are served, by their IANA names.

/// What a suite is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// TLS 1.3, with a certificate or a pre-shared key.
    V1_3,
    /// TLS 1.2 with a certificate.
    Certificate,
    /// TLS 1.2 with a pre-shared key.
    PreSharedKey,
    /// As that, with authentication tags of 64 bits: only where asked for by name.
    ShortTag,
    /// TLS 1.2 with RSA key exchange.
    LegacyRsa,
}

/// One suite.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) code: u16,
    /// OpenSSL's name; for TLS 1.3 it is the IANA name.
    pub(crate) openssl: &'static str,
    pub(crate) kind: Kind,
}

/// All suites, the preferred first: AEAD with forward secrecy, then what small devices have. Of those
/// with certificates, the ones whose SHA-256 the processor computes: a resumed handshake is mostly
/// hashing, and with SHA-384 takes a fifth more.
const SUITES: &[Suite] = &[
    suite(
        "TLS_AES_128_GCM_SHA256",
        0x1301,
        "TLS_AES_128_GCM_SHA256",
        Kind::V1_3,
    ),
    suite(
        "TLS_AES_256_GCM_SHA384",
        0x1302,
        "TLS_AES_256_GCM_SHA384",
        Kind::V1_3,
    ),
    suite(
        "TLS_CHACHA20_POLY1305_SHA256",
        0x1303,
        "TLS_CHACHA20_POLY1305_SHA256",
        Kind::V1_3,
    ),
    suite(
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        0xc02b,
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        Kind::Certificate,
    ),
    suite(
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        0xc02c,
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        Kind::Certificate,
    ),
    suite(
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        0xcca9,
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        Kind::Certificate,
    ),
    suite(
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        0xc02f,
        "ECDHE-RSA-AES128-GCM-SHA256",
        Kind::Certificate,
    ),
    suite(
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        0xc030,
        "ECDHE-RSA-AES256-GCM-SHA384",
        Kind::Certificate,
    ),
    suite(
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        0xcca8,
        "ECDHE-RSA-CHACHA20-POLY1305",
        Kind::Certificate,
    ),
    suite(
        "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
        0xccac,
        "ECDHE-PSK-CHACHA20-POLY1305",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA384",
        0xc038,
        "ECDHE-PSK-AES256-CBC-SHA384",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256",
        0xc037,
        "ECDHE-PSK-AES128-CBC-SHA256",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA",
        0xc036,
        "ECDHE-PSK-AES256-CBC-SHA",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA",
        0xc035,
        "ECDHE-PSK-AES128-CBC-SHA",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384",
        0x00ab,
        "DHE-PSK-AES256-GCM-SHA384",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256",
        0x00aa,
        "DHE-PSK-AES128-GCM-SHA256",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
        0xccad,
        "DHE-PSK-CHACHA20-POLY1305",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_DHE_PSK_WITH_AES_256_CCM",
        0xc0a7,
        "DHE-PSK-AES256-CCM",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_DHE_PSK_WITH_AES_128_CCM",
        0xc0a6,
        "DHE-PSK-AES128-CCM",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_DHE_PSK_WITH_AES_256_CBC_SHA384",
        0x00b3,
        "DHE-PSK-AES256-CBC-SHA384",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_DHE_PSK_WITH_AES_128_CBC_SHA256",
        0x00b2,
        "DHE-PSK-AES128-CBC-SHA256",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_256_GCM_SHA384",
        0x00a9,
        "PSK-AES256-GCM-SHA384",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_128_GCM_SHA256",
        0x00a8,
        "PSK-AES128-GCM-SHA256",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256",
        0xccab,
        "PSK-CHACHA20-POLY1305",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_256_CCM",
        0xc0a5,
        "PSK-AES256-CCM",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_128_CCM",
        0xc0a4,
        "PSK-AES128-CCM",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_256_CBC_SHA384",
        0x00af,
        "PSK-AES256-CBC-SHA384",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_128_CBC_SHA256",
        0x00ae,
        "PSK-AES128-CBC-SHA256",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_256_CBC_SHA",
        0x008d,
        "PSK-AES256-CBC-SHA",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_128_CBC_SHA",
        0x008c,
        "PSK-AES128-CBC-SHA",
        Kind::PreSharedKey,
    ),
    suite(
        "TLS_PSK_WITH_AES_128_CCM_8",
        0xc0a8,
        "PSK-AES128-CCM8",
        Kind::ShortTag,
    ),
    suite(
        "TLS_PSK_WITH_AES_256_CCM_8",
        0xc0a9,
        "PSK-AES256-CCM8",
        Kind::ShortTag,
    ),
    suite(
        "TLS_RSA_WITH_AES_256_GCM_SHA384",
        0x009d,
        "AES256-GCM-SHA384",
        Kind::LegacyRsa,
    ),
    suite(
        "TLS_RSA_WITH_AES_128_GCM_SHA256",
        0x009c,
        "AES128-GCM-SHA256",
        Kind::LegacyRsa,
    ),
    suite(
        "TLS_RSA_WITH_AES_256_CBC_SHA256",
        0x003d,
        "AES256-SHA256",
        Kind::LegacyRsa,
    ),
    suite(
        "TLS_RSA_WITH_AES_128_CBC_SHA256",
        0x003c,
        "AES128-SHA256",
        Kind::LegacyRsa,
    ),
    suite(
        "TLS_RSA_WITH_AES_256_CBC_SHA",
        0x0035,
        "AES256-SHA",
        Kind::LegacyRsa,
    ),
    suite(
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        0x002f,
        "AES128-SHA",
        Kind::LegacyRsa,
    ),
];

const fn suite(name: &'static str, code: u16, openssl: &'static str, kind: Kind) -> Suite {
    Suite {
        name,
        code,
        openssl,
        kind,
    }
}

/// The suite of this IANA name.
pub(crate) fn by_name(name: &str) -> Option<&'static Suite> {
    SUITES.iter().find(|suite| suite.name == name)
}

/// All names, for messages.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    SUITES.iter().map(|suite| suite.name)
}

/// The suites that a configuration names, in its order; all but those with short tags if it names
/// none.
pub(crate) fn chosen(names: &[String]) -> Vec<&'static Suite> {
    if names.is_empty() {
        let usual = |suite: &&Suite| suite.kind != Kind::ShortTag;
        return SUITES.iter().filter(usual).collect();
    }
    names.iter().filter_map(|name| by_name(name)).collect()
}
