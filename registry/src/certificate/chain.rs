//! A device's certificate with those that came with it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

use super::anchor::seconds;
use super::{Anchor, CertificateFault, DIGEST, Subject, issuer_key};

/// Most certificates of a chain: a device's, six between (which is all that rustls-webpki tries),
/// and the authority's.
const MAX_CERTIFICATES: usize = 8;
/// Most bytes of a chain. It is what a TLS library accepts in a Certificate message by default.
const MAX_BYTES: usize = 64 * 1024;

/// A chain of bounded length; nothing of it is verified.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    device: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
}

/// One of the anchors that a chain may lead to, and whose it is.
pub(crate) struct Candidate<'a> {
    /// Tells applications apart.
    pub(crate) application: usize,
    pub(crate) anchor: &'a Anchor,
}

impl Chain {
    /// Takes certificates in DER, the device's first, the others in any order.
    pub(crate) fn new(certificates: &[&[u8]]) -> Result<Chain, CertificateFault> {
        let (device, others) = certificates.split_first().ok_or(CertificateFault::Absent)?;
        let bytes: usize = certificates.iter().map(|der| der.len()).sum();
        if certificates.len() > MAX_CERTIFICATES || bytes > MAX_BYTES {
            return Err(CertificateFault::ChainTooLong);
        }
        let owned = |der: &[u8]| CertificateDer::from(der.to_vec());
        Ok(Chain {
            device: owned(device),
            others: others.iter().map(|der| owned(der)).collect(),
        })
    }

    /// The issuers' names to which the chain may lead, as [`issuer_key`]s: the device's, that of
    /// whoever has this name, and so on.
    pub(crate) fn issuers(&self) -> Result<Vec<[u8; DIGEST]>, CertificateFault> {
        let device = EndEntityCert::try_from(&self.device)?;
        // What cannot be read issues nothing; others may be enough.
        let others: Vec<_> = self
            .others
            .iter()
            .filter_map(|der| EndEntityCert::try_from(der).ok())
            .collect();
        let mut names = vec![device.issuer()];
        let mut seen = BTreeSet::from([device.issuer()]);
        let mut next = 0;
        while let Some(&name) = names.get(next) {
            let issuers = others.iter().filter(|other| other.subject() == name);
            for issuer in issuers.map(|issuer| issuer.issuer()) {
                if seen.insert(issuer) {
                    names.push(issuer);
                }
            }
            next += 1;
        }
        Ok(names.into_iter().map(issuer_key).collect())
    }

    /// The anchor that vouches for the device at a time, as an index among `candidates`.
    ///
    /// Every certificate must be valid at that time, the anchor's too; the device's must be for
    /// client authentication if it says what it is for. rustls-webpki bounds the work: at most 100
    /// signatures are checked.
    pub(crate) fn verify(
        &self,
        candidates: &[Candidate<'_>],
        now: SystemTime,
    ) -> Result<usize, CertificateFault> {
        let device = EndEntityCert::try_from(&self.device)?;
        let valid: Vec<usize> = (0..candidates.len())
            .filter(|&index| {
                candidates.get(index).is_some_and(|candidate| {
                    !candidate.anchor.has_expired(now) && !candidate.anchor.is_premature(now)
                })
            })
            .collect();
        if valid.is_empty() {
            return Err(unknown_issuer(&device, candidates, now));
        }
        let anchors: Vec<TrustAnchor<'_>> = valid
            .iter()
            .filter_map(|&index| candidates.get(index))
            .map(|candidate| candidate.anchor.trust_anchor().clone())
            .collect();
        let verdict = RefCell::new(Verdict::default());
        let judge = |path: &VerifiedPath<'_>| {
            let index = anchors
                .iter()
                .position(|anchor| std::ptr::eq(anchor, path.anchor()));
            let index = index.and_then(|index| valid.get(index).copied());
            verdict.borrow_mut().take(path, index, candidates)
        };
        let verified = device.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &self.others,
            UnixTime::since_unix_epoch(Duration::from_secs(
                u64::try_from(seconds(now)).unwrap_or_default(),
            )),
            KeyUsage::client_auth(),
            None,
            Some(&judge),
        );
        let error = verified.err();
        verdict.into_inner().finish(error)
    }

    /// The subject of the device's certificate.
    pub(crate) fn subject(&self) -> Result<Subject, CertificateFault> {
        Subject::of(&self.device)
    }
}

/// Why no anchor can vouch for a device, when none is valid.
fn unknown_issuer(
    device: &EndEntityCert<'_>,
    candidates: &[Candidate<'_>],
    now: SystemTime,
) -> CertificateFault {
    if candidates
        .iter()
        .any(|candidate| candidate.anchor.has_expired(now))
    {
        CertificateFault::AnchorExpired
    } else if !candidates.is_empty() {
        CertificateFault::AnchorNotYetValid
    } else if device.issuer() == device.subject() {
        CertificateFault::SelfSigned
    } else {
        CertificateFault::UnknownIssuer
    }
}

/// What the paths that were verified say together.
#[derive(Default)]
struct Verdict {
    /// The first one found, which is the nearest to the device.
    found: Option<usize>,
    several: bool,
    too_deep: bool,
}

impl Verdict {
    /// Judges a verified path. An error makes rustls-webpki look for further ones.
    fn take(
        &mut self,
        path: &VerifiedPath<'_>,
        index: Option<usize>,
        candidates: &[Candidate<'_>],
    ) -> Result<(), Error> {
        let Some(candidate) = index.and_then(|index| candidates.get(index)) else {
            return Err(Error::UnknownIssuer);
        };
        // RFC 5280 section 4.2.1.9; rustls-webpki asks certificates for it, but not anchors.
        let depth = path.intermediate_certificates().count();
        let most = candidate.anchor.path_length();
        if most.is_some_and(|most| depth > usize::try_from(most).unwrap_or(usize::MAX)) {
            self.too_deep = true;
            return Err(Error::PathLenConstraintViolated);
        }
        let first = self
            .found
            .and_then(|index| candidates.get(index))
            .unwrap_or(candidate);
        self.several |= first.application != candidate.application;
        self.found = self.found.or(index);
        // Whoever can make an application can give it any certificate as an anchor, that of
        // another's intermediate authority too. With one application there is nothing to confuse.
        let one_only = candidates
            .iter()
            .all(|other| other.application == candidate.application);
        if one_only {
            Ok(())
        } else {
            Err(Error::UnknownIssuer)
        }
    }

    fn finish(self, error: Option<Error>) -> Result<usize, CertificateFault> {
        if self.several {
            return Err(CertificateFault::SeveralApplications);
        }
        let error = error.map(CertificateFault::from);
        match (self.found, error) {
            // Not all paths were looked at.
            (_, Some(CertificateFault::TooComplex)) => Err(CertificateFault::TooComplex),
            (Some(index), _) => Ok(index),
            (None, _) if self.too_deep => Err(CertificateFault::IssuerConstraint),
            (None, error) => Err(error.unwrap_or(CertificateFault::UnknownIssuer)),
        }
    }
}
