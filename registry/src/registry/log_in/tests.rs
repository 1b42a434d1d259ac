//! What a log-in computes. With every place for slow hashes taken, whatever needs one is refused
//! as busy: so the tests see what needs one.

use super::password::PasswordClaim;
use super::*;
use crate::document::parse_documents;
use crate::model::Proof;
use crate::secret::SecretId;
use crate::secret::cost::Cost;
use crate::{Options, PasswordCost};
use tempfile::TempDir;

const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"; // U*U
const CHEAP: PasswordCost = PasswordCost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

async fn registry(folder: &TempDir, change: impl FnOnce(&mut Options)) -> Registry {
    let mut options = Options::new(folder.path().join("registry.db"));
    options.password_cost = CHEAP;
    change(&mut options);
    let registry = Registry::open(options).await.unwrap();
    let documents = format!(
        "metadata: {{ name: app }}
---
metadata: {{ name: sensor01, application: app }}
spec: {{ authentication: {{ credentials: [{{ pass: good }}, {{ pass: fine }}, {{ user: {{ username: u, password: good }} }}] }} }}
---
metadata: {{ name: bcrypted, application: app }}
spec: {{ authentication: {{ credentials: [{{ pass: {{ bcrypt: '{BCRYPT}' }} }}] }} }}
---
metadata: {{ name: disabled, application: app }}
spec: {{ core: {{ disabled: true }}, authentication: {{ credentials: [{{ pass: good }}] }} }}
---
metadata: {{ name: without, application: app }}
"
    );
    apply(&registry, &documents).await;
    registry
}

async fn apply(registry: &Registry, yaml: &str) {
    for (_, document) in parse_documents(yaml).unwrap() {
        registry.apply(document).await.unwrap();
    }
}

fn secret(credential: &CredentialId) -> SecretId {
    match &credential.proof {
        Proof::Password(secret) => *secret,
        Proof::UserPassword(proved) => proved.secret,
        _ => panic!("not by password"),
    }
}

async fn log_in(registry: &Registry, device: &str, password: &str) -> Result<(), LogInError> {
    let presented = Presented::Password(password.as_bytes());
    registry.log_in("app", device, presented).await.map(|_| ())
}

#[tokio::test]
async fn a_good_log_in_is_remembered_and_costs_no_further_hash() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder, |_| {}).await;
    log_in(&registry, "sensor01", "good").await.unwrap();
    let user = |password| Presented::UserPassword {
        user: "u",
        password,
    };
    registry
        .log_in("app", "sensor01", user(b"good"))
        .await
        .unwrap();

    let _occupied = registry.0.verifier.workers.occupy();
    log_in(&registry, "sensor01", "good")
        .await
        .expect("remembered");
    registry
        .log_in("app", "sensor01", user(b"good"))
        .await
        .expect("remembered");
    assert_eq!(
        log_in(&registry, "sensor01", "fine").await,
        Err(LogInError::Busy),
        "not yet"
    );
    assert_eq!(
        log_in(&registry, "sensor01", "wrong").await,
        Err(LogInError::Busy)
    );
}

#[tokio::test]
async fn every_refusal_costs_a_hash_whether_the_device_exists_or_not() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder, |_| {}).await;
    let _occupied = registry.0.verifier.workers.occupy();
    for device in ["sensor01", "bcrypted", "disabled", "without", "unknown"] {
        assert_eq!(
            log_in(&registry, device, "wrong").await,
            Err(LogInError::Busy),
            "{device}"
        );
    }
    let presented = Presented::Password(b"wrong");
    let elsewhere = registry.log_in("unknown", "sensor01", presented).await;
    assert_eq!(elsewhere.unwrap_err(), LogInError::Busy);
    let presented = Presented::UserPassword {
        user: "unknown",
        password: b"good",
    };
    let nobody = registry.log_in("app", "sensor01", presented).await;
    assert_eq!(nobody.unwrap_err(), LogInError::Busy);
}

#[tokio::test]
async fn an_unknown_device_costs_what_the_last_known_one_did() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder, |_| {}).await;
    assert_eq!(*registry.0.verifier.decoy.costs(), [CHEAP.cost()]);
    log_in(&registry, "bcrypted", "wrong").await.unwrap_err();
    assert_eq!(
        *registry.0.verifier.decoy.costs(),
        [Cost::Bcrypt { cost: 5 }]
    );
    log_in(&registry, "unknown", "wrong").await.unwrap_err();
    assert_eq!(
        *registry.0.verifier.decoy.costs(),
        [Cost::Bcrypt { cost: 5 }]
    );
    log_in(&registry, "sensor01", "good").await.unwrap();
    assert_eq!(*registry.0.verifier.decoy.costs(), [CHEAP.cost(); 2]);
}

#[tokio::test]
async fn plain_passwords_cost_no_hash_and_neither_do_unknown_devices_beside_them() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder, |options| options.hash_passwords = false).await;
    log_in(&registry, "sensor01", "wrong").await.unwrap_err();
    let _occupied = registry.0.verifier.workers.occupy();
    log_in(&registry, "sensor01", "good").await.unwrap();
    for device in ["sensor01", "unknown"] {
        assert!(matches!(
            log_in(&registry, device, "wrong").await,
            Err(LogInError::Refused(_))
        ));
    }
}

#[tokio::test]
async fn what_was_remembered_is_dropped_with_the_secret() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder, |_| {}).await;
    let presented = Presented::Password(b"good");
    let before = registry.log_in("app", "sensor01", presented).await;
    let before = secret(&before.unwrap().credential);
    assert!(registry.0.verifier.remembered.knows(before, b"good"));
    apply(
        &registry,
        "metadata: { name: sensor01, application: app }
spec: { authentication: { credentials: [{ pass: other }] } }",
    )
    .await;
    assert!(!registry.0.verifier.remembered.knows(before, b"good"));
    let _occupied = registry.0.verifier.workers.occupy();
    assert_eq!(
        log_in(&registry, "sensor01", "good").await,
        Err(LogInError::Busy),
        "hashed anew"
    );
}

#[tokio::test]
async fn a_change_that_keeps_the_secret_keeps_what_is_remembered() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder, |_| {}).await;
    log_in(&registry, "sensor01", "good").await.unwrap();
    apply(
        &registry,
        "metadata: { name: sensor01, application: app }
spec: { gatewaySelector: { matchNames: [g] }, authentication: { credentials: [{ pass: good }] } }",
    )
    .await;
    let _occupied = registry.0.verifier.workers.occupy();
    log_in(&registry, "sensor01", "good")
        .await
        .expect("remembered");
}

#[tokio::test]
async fn a_device_that_is_revoked_while_its_password_is_verified_is_refused() {
    let folder = TempDir::new().unwrap();
    let registry = registry(&folder, |_| {}).await;
    for (revoked, cause) in [
        (
            "spec: { core: { disabled: true }, authentication: { credentials: [{ pass: good }] } }",
            Cause::DeviceDisabled,
        ),
        (
            "spec: { authentication: { credentials: [{ pass: other }] } }",
            Cause::NoSuchCredential,
        ),
    ] {
        apply(
            &registry,
            "metadata: { name: sensor01, application: app }
spec: { authentication: { credentials: [{ pass: good }] } }",
        )
        .await;
        // The device as it was when the verification began.
        let found = registry.device("app", "sensor01").await.unwrap().unwrap();
        let claim = PasswordClaim {
            known_as: "sensor01",
            user: None,
            password: b"good",
        };
        let credential = registry
            .0
            .verify(&found.device, claim)
            .await
            .unwrap()
            .unwrap();
        let revoke = format!("metadata: {{ name: sensor01, application: app }}\n{revoked}");
        apply(&registry, &revoke).await;
        let refused = registry
            .standing("app", "sensor01", credential, SystemTime::now())
            .await
            .unwrap_err();
        assert_eq!(refused, LogInError::Refused(cause));
    }
}
