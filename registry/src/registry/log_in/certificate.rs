//! Log-ins by X.509 certificate.

use std::sync::Arc;
use std::time::SystemTime;

use super::super::cache::MAX_NAMESAKES;
use super::super::{Inner, Registry};
use super::{Cause, LogIn, LogInError, check_enabled, other_name};
use crate::certificate::{Candidate, CertificateFault, Chain, DIGEST, Subject};
use crate::error::Unavailable;
use crate::model::{Application, CredentialId, Device, Found, Proof, VouchedFor};

/// The applications that a chain may lead to.
struct Applications {
    list: Vec<Arc<Application>>,
    /// Whether there may be more, which are not looked at.
    cut: bool,
}

/// A chain that an application's anchor vouches for.
struct Verified {
    application: Arc<Application>,
    /// The anchor's place among those of the application.
    anchor: usize,
    subject: Subject,
}

impl Registry {
    /// Logs in a device whose peer has shown, by a TLS handshake, to have the private key of the
    /// first certificate of `chain`: DER, the device's own first, the others in any order, at most
    /// 8 certificates and 64 KiB. The authority's own need not be among them.
    ///
    /// The application is the one with a trust anchor that the chain leads to: every certificate
    /// valid at `now`, the anchor's too, and the device's for client authentication, if it says what
    /// it is for (RFC 5280 section 4.2.1.12). The device is the one whose name or alias is the
    /// certificate's whole subject, in the certificate's own order, with comma and space; else the
    /// one that the anchor's `deviceName` makes of the subject.
    ///
    /// Verification runs on a bounded number of workers, and checks at most 100 signatures.
    ///
    /// # Errors
    /// [`LogInError`].
    pub async fn log_in_by_certificate(
        &self,
        chain: &[&[u8]],
        now: SystemTime,
    ) -> Result<LogIn, LogInError> {
        let chain = Chain::new(chain)?;
        let issuers = chain.issuers()?;
        let applications = self.0.applications(&issuers).await?;
        let compute = move || verify(&chain, &issuers, &applications, now);
        let verified = self.0.verifier.workers.run(compute).await??;
        let (device, credential) = self.0.vouched_for(&verified).await?;
        let found = Found {
            application: verified.application,
            device,
        };
        check_enabled(&found)?;
        self.standing(
            found.application.name(),
            found.device.name(),
            credential,
            now,
        )
        .await
    }
}

impl Inner {
    async fn applications(&self, issuers: &[[u8; DIGEST]]) -> Result<Applications, Unavailable> {
        let Inner {
            resources, store, ..
        } = self;
        let mut found = Applications {
            list: Vec::new(),
            cut: false,
        };
        for issuer in issuers {
            let names = resources.applications_by_issuer(store, issuer).await?;
            found.cut |= names.len() >= MAX_NAMESAKES;
            for name in names.iter() {
                if found.list.iter().any(|known| known.name() == name) {
                    continue;
                }
                found.list.extend(resources.application(store, name).await?);
            }
        }
        Ok(found)
    }

    /// The device that a verified certificate is of.
    async fn vouched_for(
        &self,
        verified: &Verified,
    ) -> Result<(Arc<Device>, CredentialId), LogInError> {
        let Verified {
            application,
            anchor,
            subject,
        } = verified;
        let anchor = application
            .anchors()
            .get(*anchor)
            .ok_or(CertificateFault::UnknownIssuer)?;
        let credential = |device: &Device, name: &str, template| CredentialId {
            proof: Proof::Certificate(Box::new(VouchedFor {
                anchor: anchor.id(),
                template,
            })),
            known_as: other_name(device, name),
        };
        if let Some(device) = self
            .device_answering_to(application, subject.text())
            .await?
        {
            let credential = credential(&device, subject.text(), None);
            return Ok((device, credential));
        }
        let name = anchor.template().name(subject)?;
        let device = self.device_answering_to(application, &name).await?;
        let device = device.ok_or(Cause::UnknownDevice)?;
        let credential = credential(&device, &name, Some(anchor.template().clone()));
        Ok((device, credential))
    }

    /// As [`Inner::device_known_as`], but not by a user name: that is for passwords.
    async fn device_answering_to(
        &self,
        application: &Application,
        name: &str,
    ) -> Result<Option<Arc<Device>>, Unavailable> {
        let device = self.device_known_as(application, name).await?;
        Ok(device.filter(|device| device.answers_to(name)))
    }
}

fn verify(
    chain: &Chain,
    issuers: &[[u8; DIGEST]],
    applications: &Applications,
    now: SystemTime,
) -> Result<Verified, CertificateFault> {
    let mut candidates = Vec::new();
    let mut places = Vec::new();
    for (index, application) in applications.list.iter().enumerate() {
        for (place, anchor) in application.anchors().iter().enumerate() {
            if issuers.contains(anchor.issuer_key()) {
                candidates.push(Candidate {
                    application: index,
                    anchor,
                });
                places.push((application, place));
            }
        }
    }
    let verified = chain.verify(&candidates, now);
    let index = verified.map_err(|fault| match fault {
        CertificateFault::BadSignature if applications.cut => CertificateFault::TooComplex,
        fault => fault,
    })?;
    let (application, anchor) = places.get(index).ok_or(CertificateFault::UnknownIssuer)?;
    Ok(Verified {
        application: Arc::clone(application),
        anchor: *anchor,
        subject: chain.subject()?,
    })
}
