//! What a log-in costs once its device is in memory.
//!
//! ```sh
//! cargo run --release -p landfall-registry --example log_in_cost -- MODE [COUNT]
//! ```
//!
//! MODE is `password` (remembered), `fast` (a fast hash, computed each time), `certificate` (P-256,
//! one intermediate, verified each time) or `key` (pre-shared: served, then logged in). COUNT
//! log-ins of 100 devices are made one after the other (default 100,000). For instructions per
//! log-in, run it twice under `valgrind --tool=callgrind` with different counts, and divide the
//! difference.

// An example may break off.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use landfall_registry::document::parse_documents;
use landfall_registry::{LogIn, Options, PasswordCost, PasswordHash, Presented, Registry};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

const DEVICES: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Password,
    Fast,
    Certificate,
    Key,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = match arguments.next().as_deref() {
        Some("password") => Mode::Password,
        Some("fast") => Mode::Fast,
        Some("certificate") => Mode::Certificate,
        Some("key") => Mode::Key,
        _ => panic!("MODE is password, fast, certificate or key"),
    };
    let count: usize = arguments
        .next()
        .map_or(100_000, |text| text.parse().unwrap());

    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().join("registry.db"));
    // Of a log-in that is remembered the hash is no part, and the preparations are shorter so.
    options.password_cost = PasswordCost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    if mode == Mode::Fast {
        options.password_hash = PasswordHash::Blake2sRandomSecrets;
    }
    let registry = Registry::open(options).await.unwrap();
    let fleet = Fleet::set_up(&registry).await;
    for device in &fleet.devices {
        device.log_in(&registry, mode, &fleet).await;
    }

    let (begun, worked) = (Instant::now(), cpu_time());
    for device in fleet.devices.iter().cycle().take(count) {
        device.log_in(&registry, mode, &fleet).await;
    }
    let (elapsed, worked) = (begun.elapsed(), cpu_time() - worked);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{count} log-ins: {:.2} µs each, {:.2} µs of CPU, {:.0} a second and core",
        each(elapsed),
        each(worked),
        count as f64 / worked.as_secs_f64(),
    );
}

struct Fleet {
    intermediate: Vec<u8>,
    devices: Vec<Device>,
}

struct Device {
    name: String,
    certificate: Vec<u8>,
}

impl Fleet {
    async fn set_up(registry: &Registry) -> Fleet {
        let (root_certificate, root) = authority("root", None);
        let (intermediate, issuer) = authority("intermediate", Some(&root));
        let anchor = BASE64_STANDARD.encode(root_certificate);
        let mut documents = format!(
            "metadata: {{ name: app }}
spec: {{ trustAnchors: {{ anchors: [{{ certificate: '{anchor}' }}] }} }}\n"
        );
        let mut devices = Vec::new();
        for n in 0..DEVICES {
            let name = format!("device-{n}");
            documents.push_str(&format!(
                "---
metadata: {{ name: {name}, application: app }}
spec: {{ authentication: {{ credentials: [{{ pass: a-password }}, {{ psk: {{ key: QUJD }} }}] }} }}\n"
            ));
            let params = params(&name);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap().der().to_vec();
            devices.push(Device { name, certificate });
        }
        for (_, document) in parse_documents(&documents).unwrap() {
            registry.apply(document).await.unwrap();
        }
        Fleet {
            intermediate,
            devices,
        }
    }
}

impl Device {
    async fn log_in(&self, registry: &Registry, mode: Mode, fleet: &Fleet) -> LogIn {
        match mode {
            Mode::Password | Mode::Fast => {
                let presented = Presented::Password(b"a-password");
                registry.log_in("app", &self.name, presented).await
            }
            Mode::Certificate => {
                let chain = [&*self.certificate, &*fleet.intermediate];
                registry
                    .log_in_by_certificate(&chain, SystemTime::now())
                    .await
            }
            Mode::Key => {
                let now = SystemTime::now();
                let served = registry.pre_shared_key("app", &self.name, now).await;
                let (_, credential) = served.unwrap().unwrap();
                registry
                    .log_in_by_pre_shared_key("app", &self.name, &credential)
                    .await
            }
        }
        .unwrap()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(
    name: &str,
    issuer: Option<&Issuer<'static, KeyPair>>,
) -> (Vec<u8>, Issuer<'static, KeyPair>) {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    let certificate = certificate.unwrap().der().to_vec();
    (certificate, Issuer::new(params, key))
}

/// Of all threads of this process, in steps of 10 ms (proc_pid_stat(5): fields 14 and 15).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}
