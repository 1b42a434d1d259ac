//! OpenSSL's settings: the same certificates, question for certificates, and protocols as the other
//! library's.

use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::PKey;
use openssl::ssl::{
    AlpnError, Ssl, SslContext, SslContextBuilder, SslContextRef, SslMethod, SslMode, SslOptions,
    SslSessionCacheMode, SslVerifyMode, SslVersion, select_next_proto,
};
use openssl::x509::X509;

use super::key::Exchange;
use crate::config::{TlsConfig, TlsVersion};
use crate::listener::suites::{self, Kind};
use crate::listener::tls::Inside;
use crate::listener::tls::files::{Certificate, LoadError};
use crate::listener::tls::resolver::candidates;

/// Keys of clients' certificates and signatures are judged by the registry; short tags and SHA-1
/// (in HMAC, where it stands) only work below OpenSSL's usual level. Suites are named one by one.
const SECURITY_LEVEL: u32 = 0;

/// A context for each set of certificates that a host name can lead to.
pub(in crate::listener::tls) struct Contexts {
    names: Vec<Vec<String>>,
    contexts: Vec<(Vec<usize>, SslContext)>,
    fallback: SslContext,
    index: Index<Ssl, Exchange>,
    psk: bool,
}

impl Contexts {
    pub(in crate::listener::tls) fn new(
        config: &TlsConfig,
        inside: Inside,
        certificates: &[Certificate],
    ) -> Result<Self, LoadError> {
        let library = |error: ErrorStack| LoadError::Library(error.to_string());
        let index = Ssl::new_ex_index().map_err(library)?;
        let names: Vec<Vec<String>> = certificates.iter().map(|one| one.names.clone()).collect();
        let patterns: Vec<_> = names.iter().map(Vec::as_slice).collect();
        let mut contexts: Vec<(Vec<usize>, SslContext)> = Vec::new();
        for name in names.iter().flatten() {
            // Any host that the pattern stands for.
            let host = name.replacen('*', "any", 1);
            let set = candidates(&patterns, Some(&host));
            if !contexts.iter().any(|(other, _)| *other == set) {
                let context = context(config, inside, certificates, &set, index)?;
                contexts.push((set, context));
            }
        }
        let usual = candidates(&patterns, None);
        Ok(Self {
            fallback: context(config, inside, certificates, &usual, index)?,
            psk: config.psk,
            names,
            contexts,
            index,
        })
    }

    pub(super) fn takes_keys(&self) -> bool {
        self.psk
    }

    pub(super) fn index(&self) -> Index<Ssl, Exchange> {
        self.index
    }

    pub(super) fn for_host(&self, host: Option<&str>) -> &SslContextRef {
        let patterns: Vec<_> = self.names.iter().map(Vec::as_slice).collect();
        let set = candidates(&patterns, host);
        let found = self.contexts.iter().find(|(other, _)| *other == set);
        found.map_or(&self.fallback, |(_, context)| context)
    }
}

fn context(
    config: &TlsConfig,
    inside: Inside,
    certificates: &[Certificate],
    set: &[usize],
    index: Index<Ssl, Exchange>,
) -> Result<SslContext, LoadError> {
    let library = |error: ErrorStack| LoadError::Library(error.to_string());
    let mut builder = builder(config, inside, index).map_err(library)?;
    // OpenSSL holds one certificate of each kind of key: the first counts, so it is set last.
    for certificate in set
        .iter()
        .rev()
        .filter_map(|index| certificates.get(*index))
    {
        show(&mut builder, certificate)
            .map_err(|error| LoadError::content(&certificate.file, error.to_string()))?;
    }
    Ok(builder.build())
}

fn builder(
    config: &TlsConfig,
    inside: Inside,
    index: Index<Ssl, Exchange>,
) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls_server())?;
    builder.set_min_proto_version(Some(match config.minimum_version {
        TlsVersion::V1_2 => SslVersion::TLS1_2,
        TlsVersion::V1_3 => SslVersion::TLS1_3,
    }))?;
    builder.set_security_level(SECURITY_LEVEL);
    set_suites(&mut builder, config)?;
    // No memory of sessions on either side: a client with a key resumes nothing.
    builder.set_options(
        SslOptions::NO_TICKET | SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION,
    );
    builder.set_num_tickets(0)?;
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    // OpenSSL takes an external key for a session, and none without a context beside a request for
    // certificates.
    builder.set_session_id_context(b"landfall")?;
    // An idle connection holds no buffers.
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    // RFC 3526, 3.
    let dh = Dh::from_pqg(
        BigNum::get_rfc3526_prime_2048()?,
        None,
        BigNum::from_u32(2)?,
    )?;
    builder.set_tmp_dh(&dh)?;
    if config.client_certificates {
        // Possession is proved, and no more: the registry judges the chain.
        builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    }
    let protocols = inside.protocols_on_the_wire();
    builder.set_alpn_select_callback(move |_, offered| {
        select_next_proto(protocols, offered).ok_or(AlpnError::ALERT_FATAL)
    });
    if config.psk {
        builder.set_psk_server_callback(move |ssl, identity, room| {
            let exchange = ssl.ex_data(index);
            let answer = exchange
                .zip(identity)
                .map(|(exchange, name)| exchange.answer(name, room));
            Ok(answer.unwrap_or(0))
        });
    }
    Ok(builder)
}

/// Ours is the preference. First come those of pre-shared keys: a client that offers them has one,
/// and means to log in by it; an external key of TLS 1.3 goes with SHA-256 alone (RFC 8446, 4.2.11).
/// Otherwise the order is that of the configuration.
fn set_suites(builder: &mut SslContextBuilder, config: &TlsConfig) -> Result<(), ErrorStack> {
    let mut chosen = suites::chosen(&config.cipher_suites);
    chosen.sort_by_key(|suite| match suite.kind {
        Kind::PreSharedKey | Kind::ShortTag => false,
        Kind::V1_3 => config.psk && !suite.name.ends_with("_SHA256"),
        Kind::Certificate | Kind::LegacyRsa => true,
    });
    builder.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    let list = |wanted: &dyn Fn(Kind) -> bool| {
        let names = chosen
            .iter()
            .filter(|suite| wanted(suite.kind))
            .map(|suite| suite.openssl);
        names.collect::<Vec<_>>().join(":")
    };
    let v1_3 = list(&|kind| kind == Kind::V1_3);
    builder.set_ciphersuites(&v1_3)?;
    if v1_3.is_empty() {
        // Otherwise it agrees to TLS 1.3, and then finds no suite.
        builder.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    }
    let v1_2 = list(&|kind| match kind {
        Kind::V1_3 => false,
        Kind::Certificate => true,
        Kind::PreSharedKey | Kind::ShortTag => config.psk,
        Kind::LegacyRsa => config.legacy_rsa,
    });
    match v1_2.is_empty() {
        true => builder.set_min_proto_version(Some(SslVersion::TLS1_3)),
        false => builder.set_cipher_list(&v1_2),
    }
}

fn show(builder: &mut SslContextBuilder, certificate: &Certificate) -> Result<(), ErrorStack> {
    let mut chain = certificate.certified.cert.iter();
    if let Some(leaf) = chain.next() {
        builder.set_certificate(&*X509::from_der(leaf)?)?;
    }
    let key = PKey::private_key_from_der(certificate.key.secret_der())?;
    builder.set_private_key(&key)?;
    for above in chain {
        builder.add_extra_chain_cert(X509::from_der(above)?)?;
    }
    Ok(())
}
