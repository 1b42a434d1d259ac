//! Log-ins by a signature with a pre-shared key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landfall_registry::{Cause, LogInError, Signed};

use crate::common::{Fixture, fixture};

/// HMAC-SHA256 of `org1\n1900000000` with the key `hey,rodney`, computed by OpenSSL.
const TEXT: &[u8] = b"org1\n1900000000";
const MAC: [u8; 32] = [
    0x65, 0x3f, 0xdf, 0x81, 0xa0, 0xde, 0xd8, 0xf8, 0x19, 0xae, 0xa5, 0x97, 0x49, 0xe9, 0xc2, 0x8b,
    0x85, 0xa6, 0x4a, 0x99, 0xa9, 0x60, 0xfb, 0xfb, 0x7e, 0x1c, 0x00, 0x33, 0x97, 0x96, 0x6f, 0x1e,
];
const EXPIRY: u64 = 1_900_000_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

async fn log_in(fixture: &Fixture, device: &str, mac: &[u8], now: u64) -> Result<String, Cause> {
    let signed = Signed {
        text: TEXT,
        mac,
        expiry: EXPIRY,
    };
    let log_in = fixture
        .registry
        .log_in_by_signature("app", device, signed, at(now));
    match log_in.await {
        Ok(log_in) => Ok(log_in.device.name().to_owned()),
        Err(LogInError::Refused(cause)) => Err(cause),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_signature_with_the_devices_key_logs_in_until_it_expires() {
    let fixture = fixture().await;
    let key =
        "{ authentication: { credentials: [{ psk: { key: aGV5LHJvZG5leQ== } }] }, alias: [other] }";
    fixture.device("sensor01", key).await;
    let now = EXPIRY - 1;
    assert_eq!(
        log_in(&fixture, "sensor01", &MAC, now).await.as_deref(),
        Ok("sensor01")
    );
    assert_eq!(
        log_in(&fixture, "other", &MAC, EXPIRY).await.as_deref(),
        Ok("sensor01")
    );
    assert_eq!(
        log_in(&fixture, "sensor01", &MAC, EXPIRY + 1).await,
        Err(Cause::Expired)
    );
    assert_eq!(
        log_in(&fixture, "nobody", &MAC, now).await,
        Err(Cause::UnknownDevice)
    );
    for wrong in [&[0; 32][..], &MAC[..31], &[]] {
        let refused = log_in(&fixture, "sensor01", wrong, now).await;
        assert_eq!(refused, Err(Cause::WrongSignature));
    }
}

#[tokio::test]
async fn keys_that_are_not_valid_and_devices_without_one_sign_nothing() {
    let fixture = fixture().await;
    let old = "{ authentication: { credentials: [{ psk: { key: aGV5LHJvZG5leQ==, validity: \
               { notBefore: 2020-01-01T00:00:00Z, notAfter: 2021-01-01T00:00:00Z } } }] } }";
    fixture.device("sensor01", old).await;
    fixture.device("sensor02", "{}").await;
    fixture
        .device("sensor03", "{ core: { disabled: true }, authentication: { credentials: [{ psk: { key: aGV5LHJvZG5leQ== } }] } }")
        .await;
    let now = EXPIRY - 1;
    assert_eq!(
        log_in(&fixture, "sensor01", &MAC, now).await,
        Err(Cause::WrongSignature)
    );
    assert_eq!(
        log_in(&fixture, "sensor02", &MAC, now).await,
        Err(Cause::WrongSignature)
    );
    assert_eq!(
        log_in(&fixture, "sensor03", &MAC, now).await,
        Err(Cause::DeviceDisabled)
    );
}
