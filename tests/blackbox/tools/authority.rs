//! Certificate authorities of the tests' own.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// An authority, or an intermediate one.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, and those above it but the root's, in PEM.
    chain: String,
    /// Its own certificate in PEM.
    pub(crate) pem: String,
}

/// A certificate chain and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Issued {
    /// The settings of a TLS server that shows this certificate, and demands one of `clients`.
    pub(crate) fn server_config(&self, clients: Option<&Authority>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(&authority.pem));
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        builder
            .with_single_cert(certificates(&self.chain), key)
            .unwrap()
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    let all = CertificateDer::pem_slice_iter(pem.as_bytes());
    all.collect::<Result<_, _>>().unwrap()
}

/// What a certificate of a client says.
pub(crate) struct Leaf<'a> {
    pub(crate) name: &'a str,
    pub(crate) usage: ExtendedKeyUsagePurpose,
    /// From the first of January of the one year to that of the other.
    pub(crate) years: (i32, i32),
}

impl<'a> Leaf<'a> {
    /// A device's certificate that is good for a century.
    pub(crate) fn device(name: &'a str) -> Self {
        Self {
            name,
            usage: ExtendedKeyUsagePurpose::ClientAuth,
            years: (2020, 2120),
        }
    }

    pub(crate) fn usage(self, usage: ExtendedKeyUsagePurpose) -> Self {
        Self { usage, ..self }
    }

    pub(crate) fn years(self, from: i32, to: i32) -> Self {
        let years = (from, to);
        Self { years, ..self }
    }

    fn params(&self) -> CertificateParams {
        let mut params = params(self.name);
        params.extended_key_usages = vec![self.usage.clone()];
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        params
    }

    /// Signed by its own key.
    pub(crate) fn self_signed(&self) -> Issued {
        let key = KeyPair::generate().unwrap();
        let certificate = self.params().self_signed(&key).unwrap();
        Issued {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority(name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            chain: String::new(),
            pem,
        }
    }

    /// An authority whose certificate this one signs.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = authority(name);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            chain: format!("{pem}{}", self.chain),
            pem,
        }
    }

    /// A client's certificate.
    pub(crate) fn issue(&self, leaf: &Leaf<'_>) -> Issued {
        self.sign(&leaf.params(), &KeyPair::generate().unwrap())
    }

    /// A server's certificate for these hosts.
    pub(crate) fn server(&self, hosts: &[&str]) -> Issued {
        self.server_with(hosts, &KeyPair::generate().unwrap())
    }

    /// As [`Authority::server`], with an RSA key.
    pub(crate) fn rsa_server(&self, hosts: &[&str]) -> Issued {
        self.server_with(
            hosts,
            &KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap(),
        )
    }

    fn server_with(&self, hosts: &[&str], key: &KeyPair) -> Issued {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        self.sign(&params, key)
    }

    fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Issued {
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        Issued {
            chain: format!("{}{}", certificate.pem(), self.chain),
            key: key.serialize_pem(),
        }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}
