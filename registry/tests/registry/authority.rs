//! Certificate authorities for the tests, and what they issue.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SignatureAlgorithm, date_time_ymd,
};

pub(crate) struct Authority {
    pub(crate) der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// Parameters with the attributes of a subject, valid from 2020 to 2040.
fn params(subject: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (attribute, value) in subject {
        params.distinguished_name.push(attribute.clone(), *value);
    }
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(&[(DnType::CommonName, name)]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

impl Authority {
    pub(crate) fn root(name: &str) -> Authority {
        Authority::root_with(name, &rcgen::PKCS_ECDSA_P256_SHA256, |_| {})
    }

    pub(crate) fn root_with(
        name: &str,
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Authority {
        Authority::renewed(name, KeyPair::generate_for(algorithm).unwrap(), change)
    }

    /// A root for a key that another certificate may be for, too.
    pub(crate) fn renewed(
        name: &str,
        key: KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Authority {
        let mut params = authority_params(name);
        change(&mut params);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);
        Authority { der, issuer }
    }

    pub(crate) fn intermediate(&self, name: &str) -> Authority {
        self.intermediate_with(name, |_| {})
    }

    pub(crate) fn intermediate_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Authority {
        let mut params = authority_params(name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        let issuer = Issuer::new(params, key);
        Authority { der, issuer }
    }

    /// A certificate of a device `CN=name`.
    pub(crate) fn device(&self, name: &str) -> Vec<u8> {
        self.device_with(&[(DnType::CommonName, name)], |_| {})
    }

    pub(crate) fn device_with(
        &self,
        subject: &[(DnType, &str)],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let mut params = params(subject);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &self.issuer).unwrap().der().to_vec()
    }

    /// As it stands in a document.
    pub(crate) fn base64(&self) -> String {
        BASE64_STANDARD.encode(&self.der)
    }
}

/// `spec` of an application with these trust anchors, in YAML flow style.
pub(crate) fn anchors(authorities: &[&Authority]) -> String {
    let anchors: Vec<_> = authorities
        .iter()
        .map(|authority| format!("{{ certificate: '{}' }}", authority.base64()))
        .collect();
    format!(
        "{{ trustAnchors: {{ anchors: [{}] }} }}",
        anchors.join(", ")
    )
}
