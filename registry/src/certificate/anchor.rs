//! Authorities that vouch for devices.

use std::time::{SystemTime, UNIX_EPOCH};

use blake2::{Blake2s256, Digest as _};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::{DIGEST, Template};

/// Which authority: its subject and its public key. A certificate that was renewed for the same key
/// is of the same authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AnchorId([u8; DIGEST]);

impl AnchorId {
    pub(crate) const FIRST: AnchorId = AnchorId([0; DIGEST]);
    pub(crate) const LAST: AnchorId = AnchorId([0xff; DIGEST]);

    /// What the store keeps of an authority: the authorities of one name are a range.
    pub(crate) fn claim(&self, issuer_key: &[u8; DIGEST]) -> Vec<u8> {
        [*issuer_key, self.0].concat()
    }
}

/// What finds the authorities of a name: a digest of the name in DER, without its header.
pub(crate) fn issuer_key(name: &[u8]) -> [u8; DIGEST] {
    Blake2s256::digest(name).into()
}

/// An authority's certificate, ready to verify with.
#[derive(Debug)]
pub(crate) struct Anchor {
    id: AnchorId,
    issuer_key: [u8; DIGEST],
    trust_anchor: TrustAnchor<'static>,
    /// Seconds since 1970, both included.
    not_before: i64,
    not_after: i64,
    /// Most certificates between it and a device's, RFC 5280 section 4.2.1.9.
    path_length: Option<u32>,
    template: Template,
}

impl Anchor {
    /// Reads an authority's certificate and checks that it can vouch for devices. Whether it has
    /// expired is not asked.
    ///
    /// # Errors
    /// Why it cannot, for the writer of the document.
    pub(crate) fn parse(der: &[u8], template: Template) -> Result<Anchor, String> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| "is not an X.509 certificate".to_owned())?;
        if !rest.is_empty() {
            return Err("has bytes behind the certificate".to_owned());
        }
        let path_length = authority(&certificate)?;
        let encoded = CertificateDer::from(der);
        let trust_anchor = webpki::anchor_from_trusted_cert(&encoded)
            .map_err(|error| format!("cannot be used as a trust anchor: {error}"))?
            .to_owned();
        if !is_supported_key(&trust_anchor.subject_public_key_info) {
            return Err(
                "has a public key of a kind that is not supported; supported are RSA, ECDSA with \
                 P-256, P-384 or P-521, and Ed25519"
                    .to_owned(),
            );
        }
        let validity = certificate.validity();
        Ok(Anchor {
            id: id(&trust_anchor),
            issuer_key: issuer_key(&trust_anchor.subject),
            trust_anchor,
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            path_length,
            template,
        })
    }

    pub(crate) fn id(&self) -> AnchorId {
        self.id
    }

    pub(crate) fn issuer_key(&self) -> &[u8; DIGEST] {
        &self.issuer_key
    }

    pub(super) fn trust_anchor(&self) -> &TrustAnchor<'static> {
        &self.trust_anchor
    }

    pub(super) fn path_length(&self) -> Option<u32> {
        self.path_length
    }

    /// How it names devices after their certificates.
    pub(crate) fn template(&self) -> &Template {
        &self.template
    }

    pub(super) fn has_expired(&self, now: SystemTime) -> bool {
        seconds(now) > self.not_after
    }

    pub(super) fn is_premature(&self, now: SystemTime) -> bool {
        seconds(now) < self.not_before
    }
}

fn id(anchor: &TrustAnchor<'_>) -> AnchorId {
    let mut digest = Blake2s256::new();
    // The name is a digest of its own, so that no byte of it can pass for one of the key.
    digest.update(issuer_key(&anchor.subject));
    digest.update(&anchor.subject_public_key_info);
    AnchorId(digest.finalize().into())
}

/// Most certificates between the authority and a device's, if it says.
fn authority(certificate: &X509Certificate<'_>) -> Result<Option<u32>, String> {
    let unreadable = |_| "has extensions that cannot be read".to_owned();
    let constraints = certificate.basic_constraints().map_err(unreadable)?;
    // RFC 5280 section 4.2.1.9: without cA the key must not be used to verify signatures on
    // certificates.
    let Some(constraints) = constraints.filter(|constraints| constraints.value.ca) else {
        return Err(
            "is not a certificate authority: it has no basicConstraints with CA:TRUE".to_owned(),
        );
    };
    // RFC 5280 section 4.2.1.3.
    let usage = certificate.key_usage().map_err(unreadable)?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err("may not sign certificates: its keyUsage is without keyCertSign".to_owned());
    }
    let validity = certificate.validity();
    if validity.not_after < validity.not_before {
        return Err("has a validity that ends before it begins".to_owned());
    }
    Ok(constraints.value.path_len_constraint)
}

/// Whether any of the algorithms takes a key of this kind.
fn is_supported_key(subject_public_key_info: &[u8]) -> bool {
    let takes = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        let id = algorithm.public_key_alg_id();
        is_of_algorithm(subject_public_key_info, &id)
    };
    webpki::ALL_VERIFICATION_ALGS.iter().any(takes)
}

/// `SubjectPublicKeyInfo ::= SEQUENCE { algorithm SEQUENCE { … }, … }`, here without the outer
/// header; `algorithm` is the inside of the inner one.
fn is_of_algorithm(subject_public_key_info: &[u8], algorithm: &[u8]) -> bool {
    // Object identifiers and curve names are short: one byte of length.
    let Some((&[0x30, length], rest)) = subject_public_key_info.split_first_chunk() else {
        return false;
    };
    rest.get(..usize::from(length)) == Some(algorithm)
}

pub(super) fn seconds(now: SystemTime) -> i64 {
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)
}
