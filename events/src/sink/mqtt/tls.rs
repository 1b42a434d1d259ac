//! TLS of the client.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::{MqttError, MqttTls};

/// What a client of a broker needs for TLS.
///
/// # Errors
///
/// [`MqttError::Trust`] and [`MqttError::Identity`]: what cannot be read.
pub fn client_config(options: &MqttTls) -> Result<Arc<ClientConfig>, MqttError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = Arc::new(roots(options.trust.as_deref())?);
    let not_trusted = |error: &dyn std::fmt::Display| MqttError::Trust(error.to_string());
    let strict = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| not_trusted(&error))?;
    let verifier: Arc<dyn ServerCertVerifier> = if options.any_host_name {
        Arc::new(AnyHostName(strict))
    } else {
        strict
    };
    let builder = config_builder(provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let failed = |error: &dyn std::fmt::Display| MqttError::Identity(error.to_string());
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let chain = chain.map_err(|error| failed(&error))?;
            let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| failed(&error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| failed(&error))?
        }
    };
    Ok(Arc::new(config))
}

fn config_builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, MqttError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| MqttError::Options(error.to_string()))
}

/// The given authorities, else the system's.
fn roots(trust: Option<&[u8]>) -> Result<RootCertStore, MqttError> {
    let mut roots = RootCertStore::empty();
    match trust {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|e| MqttError::Trust(e.to_string()))?;
                let added = roots.add(certificate);
                added.map_err(|error| MqttError::Trust(error.to_string()))?;
            }
        }
        None => {
            // Single unreadable files of a system are common and no reason to trust nobody.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        return Err(MqttError::Trust("there are none".to_owned()));
    }
    Ok(roots)
}

/// Trusts certificates for whatever host name.
#[derive(Debug)]
struct AnyHostName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyHostName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = &self.0;
        match verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            // The name is looked at after everything else.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
