//! X.509 certificates: authorities as trust anchors, devices' chains verified against them, and
//! the names in a device's subject.
//!
//! rustls-webpki verifies; x509-parser reads names and what an authority says of itself.

mod anchor;
mod chain;
mod fault;
mod subject;
mod template;

pub(crate) use anchor::{Anchor, AnchorId, issuer_key};
pub(crate) use chain::{Candidate, Chain};
pub use fault::CertificateFault;
pub(crate) use subject::Subject;
pub(crate) use template::Template;

/// Length of the digests by which names and authorities are found, in bytes.
pub(crate) const DIGEST: usize = 32;
