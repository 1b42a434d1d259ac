//! Log-ins by certificate.

mod chains;
mod devices;
mod revocation;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landfall_registry::{Cause, CertificateFault, LogIn, LogInError};

use crate::authority::{Authority, anchors};
use crate::common::{Fixture, fixture};

/// 2030-01-01, when the tests' certificates are valid.
fn now() -> SystemTime {
    at(1_893_456_000)
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

async fn trusting(authorities: &[&Authority]) -> Fixture {
    let fixture = fixture().await;
    fixture.application(&anchors(authorities)).await;
    fixture
}

impl Fixture {
    async fn application(&self, spec: &str) {
        self.apply(&format!("metadata: {{ name: app }}\nspec: {spec}"))
            .await
            .unwrap();
    }

    async fn present(&self, chain: &[&[u8]]) -> Result<LogIn, LogInError> {
        self.registry.log_in_by_certificate(chain, now()).await
    }

    /// The device that a chain logs in.
    async fn present_ok(&self, chain: &[&[u8]]) -> String {
        self.present(chain).await.unwrap().device.name().to_owned()
    }

    async fn present_fault(&self, chain: &[&[u8]]) -> CertificateFault {
        fault(self.present(chain).await)
    }
}

fn fault(result: Result<LogIn, LogInError>) -> CertificateFault {
    match result {
        Err(LogInError::Refused(Cause::Certificate(fault))) => fault,
        other => panic!("no fault of the certificate: {other:?}"),
    }
}
