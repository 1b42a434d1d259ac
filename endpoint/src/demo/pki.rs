//! The demo's development CA, and what it signs: the server's certificate and a device's. What
//! exists is left as it is, so that clients' copies stay good.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use super::DEVICE;
use crate::cli::Failure;

pub(super) const CA: &str = "ca.pem";
pub(super) const SERVER: &str = "server.pem";
pub(super) const SERVER_KEY: &str = "server.key";
pub(super) const DEVICE_CERTIFICATE: &str = "sensor01.pem";
pub(super) const DEVICE_KEY: &str = "sensor01.key";
const FILES: [&str; 5] = [CA, SERVER, SERVER_KEY, DEVICE_CERTIFICATE, DEVICE_KEY];
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const YEARS: i64 = 10;

/// Makes what is missing; the CA's certificate if it is new.
///
/// The CA's key is not kept: what it signs is made once, with it, and nobody can sign more.
pub(super) fn make(data_dir: &Path) -> Result<Option<String>, Failure> {
    if FILES.iter().all(|file| data_dir.join(file).exists()) {
        return Ok(None);
    }
    let made = sign().map_err(|error| Failure::new(format_args!("development CA: {error}")))?;
    let failed =
        |file: &Path, error: &io::Error| Failure::new(format_args!("{}: {error}", file.display()));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(|error| failed(data_dir, &error))?;
    for (name, text) in FILES.iter().zip([
        &made.ca,
        &made.server.0,
        &made.server.1,
        &made.device.0,
        &made.device.1,
    ]) {
        let file = data_dir.join(name);
        write(&file, text).map_err(|error| failed(&file, &error))?;
    }
    Ok(Some(made.ca))
}

/// PEM.
struct Made {
    ca: String,
    /// Certificate and key.
    server: (String, String),
    device: (String, String),
}

fn sign() -> Result<Made, rcgen::Error> {
    let mut authority = params("Landfall development CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let ca = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);

    let mut server = params("Landfall demo");
    server.subject_alt_names = CertificateParams::new(HOSTS.map(str::to_owned))?.subject_alt_names;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut device = params(DEVICE);
    device.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(Made {
        ca,
        server: leaf(server, &issuer)?,
        device: leaf(device, &issuer)?,
    })
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    let now = OffsetDateTime::now_utc();
    // Clocks of clients may be behind.
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(365 * YEARS);
    params
}

fn leaf(
    mut params: CertificateParams,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(String, String), rcgen::Error> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// For its owner alone, from the first byte on.
fn write(file: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    made.write_all(text.as_bytes())
}
