//! What is wrong with a device's certificate.

use webpki::Error;

/// Why a certificate chain logs nobody in. For the log; a peer must not learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CertificateFault {
    /// No certificate was presented.
    #[error("no certificate")]
    Absent,
    /// A certificate is not well-formed (RFC 5280 section 4.1), or has unsupported or broken
    /// extensions.
    #[error("malformed certificate")]
    Malformed,
    /// X.509 version 1 or 2; extensions came with version 3, and so did the ways to say what a
    /// certificate is for.
    #[error("certificate of X.509 version 1 or 2; version 3 is needed")]
    OldVersion,
    /// More certificates than are looked at, or more bytes.
    #[error("certificate chain too long")]
    ChainTooLong,
    /// No application has an anchor that the chain leads to.
    #[error("unknown issuer")]
    UnknownIssuer,
    /// The certificate is its own issuer, and no anchor.
    #[error("self-signed certificate")]
    SelfSigned,
    /// An issuer has the right name, but its key did not sign.
    #[error("bad signature")]
    BadSignature,
    /// A signature algorithm, key type or key size that is not accepted.
    #[error("unsupported signature algorithm")]
    UnsupportedAlgorithm,
    /// The certificate, or one between it and the anchor, has expired.
    #[error("certificate expired")]
    Expired,
    /// The certificate, or one between it and the anchor, is not valid yet.
    #[error("certificate not yet valid")]
    NotYetValid,
    /// The only anchor of the issuer's name has expired.
    #[error("trust anchor expired")]
    AnchorExpired,
    /// The only anchor of the issuer's name is not valid yet.
    #[error("trust anchor not yet valid")]
    AnchorNotYetValid,
    /// Its extended key usage does not include client authentication.
    #[error("certificate not meant for client authentication")]
    WrongUsage,
    /// It is the certificate of an authority, not of a device.
    #[error("certificate of an authority")]
    Authority,
    /// An issuer may not issue certificates, not this many levels deep, or not of this name.
    #[error("issuer exceeds its constraints")]
    IssuerConstraint,
    /// The chain takes too many attempts to verify, or its issuer's name is that of too many
    /// anchors.
    #[error("certificate chain too complex")]
    TooComplex,
    /// It leads to anchors of more than one application.
    #[error("certificate chain leads to anchors of several applications")]
    SeveralApplications,
    /// The subject has no attribute (or none of text) by which the anchor names devices.
    #[error("subject without the attribute that names the device")]
    AttributeMissing,
    /// The subject has several of the attribute by which the anchor names devices.
    #[error("subject with several of the attribute that names the device")]
    AttributeAmbiguous,
}

impl From<Error> for CertificateFault {
    fn from(error: Error) -> CertificateFault {
        match error {
            Error::CertExpired { .. } => CertificateFault::Expired,
            Error::CertNotValidYet { .. } => CertificateFault::NotYetValid,
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                CertificateFault::WrongUsage
            }
            Error::CaUsedAsEndEntity => CertificateFault::Authority,
            Error::UnknownIssuer => CertificateFault::UnknownIssuer,
            Error::InvalidSignatureForPublicKey => CertificateFault::BadSignature,
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                CertificateFault::UnsupportedAlgorithm
            }
            Error::EndEntityUsedAsCa
            | Error::PathLenConstraintViolated
            | Error::NameConstraintViolation
            | Error::CertDistrusted => CertificateFault::IssuerConstraint,
            Error::MaximumPathDepthExceeded => CertificateFault::ChainTooLong,
            Error::MaximumNameConstraintComparisonsExceeded
            | Error::MaximumPathBuildCallsExceeded
            | Error::MaximumSignatureChecksExceeded => CertificateFault::TooComplex,
            Error::UnsupportedCertVersion => CertificateFault::OldVersion,
            _ => CertificateFault::Malformed,
        }
    }
}
