//! Any bytes as a CONNECT, from its frame to the registry's verdict: no panic, nobody gets in without
//! a secret of the device that it becomes, and no description of a log-in shows its password.

#![no_main]

use std::sync::LazyLock;
use std::time::SystemTime;

use landfall::auth::{Claim, Named, Proof};
use landfall_protocol::{codec, packet::Connect};
use landfall_registry::{LogIn, Presented, Registry, Signed};
use libfuzzer_sys::fuzz_target;

#[path = "../support/registry.rs"]
mod registry;

/// The devices, with what logs each of them in.
const DOCUMENTS: &str = "metadata: { name: app }
---
metadata: { name: dev, application: app }
spec: { authentication: { credentials: [{ pass: pw-of-dev }] }, alias: [alias] }
---
metadata: { name: user, application: app }
spec: { authentication: { credentials: [{ user: { username: u, password: pw-of-user } }] } }
---
metadata: { name: unique, application: app }
spec: { authentication: { credentials: [{ user: { username: one, password: pw-of-unique, unique: true } }] } }
---
metadata: { name: disabled, application: app }
spec: { core: { disabled: true }, authentication: { credentials: [{ pass: pw-of-disabled }] } }
---
metadata: { name: hub, application: app }
spec:
  mqtt: { dialect: { type: azureIotHub } }
  authentication: { credentials: [{ psk: { key: a2V5LW9mLWh1Yi0wMTIzNDU2Nzg5 } }] }
---
metadata: { name: 'type:id', application: org }
spec: { mqtt: { dialect: { type: watsonIoT } }, authentication: { credentials: [{ pass: pw-of-watson }] } }
---
metadata: { name: org }
";

/// Device, and the only password that lets it in.
const PASSWORDS: [(&str, &str); 4] = [
    ("dev", "pw-of-dev"),
    ("user", "pw-of-user"),
    ("unique", "pw-of-unique"),
    ("type:id", "pw-of-watson"),
];

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| registry::with(DOCUMENTS));

fuzz_target!(|input: &[u8]| {
    // Opened here: opening waits, and so do those who use it.
    LazyLock::force(&REGISTRY);
    let Ok(Some(raw)) = codec::split(input, 65_536) else {
        return;
    };
    let Ok(connect) = codec::decode_connect(&raw) else {
        return;
    };
    let _ = Named::of(&connect);
    let Ok(claim) = Claim::of(&connect, None) else {
        return;
    };
    shows_no_password(&connect, &claim);
    if let Some(log_in) = registry::wait(log_in(&claim)) {
        let device = log_in.device.name();
        let password = PASSWORDS.iter().find(|(name, _)| *name == device);
        let password = password.unwrap_or_else(|| panic!("{device} got in")).1;
        assert_eq!(connect.password, Some(password.as_bytes()), "{device}");
        assert_eq!(claim.application, log_in.application.name());
    }
});

/// As the server does it.
async fn log_in(claim: &Claim) -> Option<LogIn> {
    let Claim { application, device, .. } = claim;
    let presented = match &claim.proof {
        Proof::Password(password) => Presented::Password(password),
        Proof::User { user, password } => Presented::UserPassword { user, password },
        Proof::Signature(signature) => {
            let signed = Signed {
                text: signature.signed.as_bytes(),
                mac: &signature.mac,
                expiry: signature.expiry,
            };
            let now = SystemTime::now();
            return REGISTRY.log_in_by_signature(application, device, signed, now).await.ok();
        }
        Proof::Anonymous => panic!("the listener has no anonymous device"),
    };
    REGISTRY.log_in(application, device, presented).await.ok()
}

/// What describes a log-in is the same whatever its password is.
fn shows_no_password(connect: &Connect<'_>, claim: &Claim) {
    let other = Connect { password: Some(b"another password"), ..connect.clone() };
    let Ok(other) = Claim::of(&other, None) else {
        return;
    };
    // One that is a signature says more, as it has fields of its own.
    let is_secret = |claim: &Claim| matches!(claim.proof, Proof::Password(_) | Proof::User { .. });
    if is_secret(claim) && is_secret(&other) {
        assert_eq!(format!("{claim:?}"), format!("{other:?}"));
    }
}
