//! Secrets across write, read and write back.

use landfall_registry::document::{Document, Resource, to_yaml};
use landfall_registry::{Options, Outcome, PasswordHash, WriteError};
use serde_json::{Value, json};

use crate::common::{
    Fixture, cause, device_yaml, fixture, fixture_with, json, options, written_back,
};

fn credential(resource: &impl serde::Serialize, index: usize) -> Value {
    json(resource)["spec"]["authentication"]["credentials"][index].clone()
}

fn secret_ref(secret: &Value) -> String {
    secret["secretRef"].as_str().unwrap().to_owned()
}

async fn refused(fixture: &Fixture, spec: &str) -> Vec<String> {
    let error = fixture
        .apply(&device_yaml("sensor01", spec))
        .await
        .unwrap_err();
    let WriteError::Invalid(invalid) = error else {
        panic!("another error: {error}")
    };
    invalid.problems().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_plain_password_is_stored_as_an_argon2id_hash() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: hunter2 }] } }",
        )
        .await;
    let stored = credential(&fixture.revealed("sensor01").await, 0);
    let hash = stored["pass"]["argon2"].as_str().unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");

    drop(fixture.registry);
    let bytes = fixture.home.bytes().await;
    let is_in = |text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(is_in(hash) && !is_in("hunter2"));
}

#[tokio::test]
async fn the_default_cost_is_owasps_minimum() {
    let fixture =
        fixture_with(|options| options.password_cost = landfall_registry::PasswordCost::default())
            .await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: hunter2 }] } }",
        )
        .await;
    let stored = credential(&fixture.revealed("sensor01").await, 0);
    let hash = stored["pass"]["argon2"].as_str().unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    fixture.log_in("sensor01", "hunter2").await.unwrap();
}

#[tokio::test]
async fn a_plain_password_stays_plain_where_that_is_wanted() {
    let fixture = fixture_with(|options| options.hash_passwords = false).await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: hunter2 }] } }",
        )
        .await;
    let stored = credential(&fixture.revealed("sensor01").await, 0);
    assert_eq!(stored, json!({ "pass": { "plain": "hunter2" } }));
    fixture.log_in("sensor01", "hunter2").await.unwrap();
    assert_eq!(
        cause(fixture.log_in("sensor01", "hunter3").await),
        landfall_registry::Cause::WrongPassword
    );
}

#[tokio::test]
async fn a_machine_made_password_is_stored_as_a_fast_hash_where_that_is_wanted() {
    let fast = |options: &mut Options| options.password_hash = PasswordHash::Blake2sRandomSecrets;
    let fixture = fixture_with(fast).await;
    let spec = "{ authentication: { credentials: [{ pass: hunter2 }] } }";
    fixture.device("sensor01", spec).await;
    let export = fixture.revealed("sensor01").await;
    let hash = &credential(&export, 0)["pass"]["blake2s"];
    assert!(hash.as_str().unwrap().starts_with("$blake2s$"), "{hash}");
    assert_eq!(fixture.device("sensor01", spec).await, Outcome::Unchanged);
    fixture.log_in("sensor01", "hunter2").await.unwrap();
    assert_eq!(
        cause(fixture.log_in("sensor01", "hunter3").await),
        landfall_registry::Cause::WrongPassword
    );

    // An export with secrets is good for every server, whatever hash it makes itself.
    let restored = fixture_with(|_| {}).await;
    restored
        .registry
        .apply(written_back(&export))
        .await
        .unwrap();
    assert_eq!(
        credential(&restored.revealed("sensor01").await, 0)["pass"]["blake2s"],
        *hash
    );
    restored.log_in("sensor01", "hunter2").await.unwrap();
    assert_eq!(restored.device("sensor01", spec).await, Outcome::Unchanged);
}

#[tokio::test]
async fn what_was_stored_plain_is_hashed_at_the_next_write_once_hashing_is_on() {
    let fixture = fixture_with(|options| options.hash_passwords = false).await;
    let spec = "{ authentication: { credentials: [{ pass: hunter2 }] } }";
    fixture.device("sensor01", spec).await;
    let before = credential(&fixture.get("sensor01").await, 0);
    let Fixture { registry, home } = fixture;
    drop(registry);

    let registry = landfall_registry::Registry::open(options(&home))
        .await
        .unwrap();
    let fixture = Fixture { registry, home };
    fixture.log_in("sensor01", "hunter2").await.unwrap();
    assert_eq!(fixture.device("sensor01", spec).await, Outcome::Updated);
    assert_eq!(
        credential(&fixture.get("sensor01").await, 0),
        before,
        "the same secret"
    );
    assert!(credential(&fixture.revealed("sensor01").await, 0)["pass"]["argon2"].is_string());
    fixture.log_in("sensor01", "hunter2").await.unwrap();
}

#[tokio::test]
async fn a_read_written_back_loses_nothing_and_changes_nothing() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: a }, { user: { username: u, password: b } },
               { psk: { key: QUJD } }] } }",
        )
        .await;
    let (shown, revealed) = (
        fixture.get("sensor01").await,
        fixture.revealed("sensor01").await,
    );
    let written = fixture.registry.apply(written_back(&shown)).await.unwrap();
    assert_eq!(written.outcome, Outcome::Unchanged);
    assert_eq!(written.resource, Resource::Device(shown.clone()));

    let Document::Device(mut edited) = written_back(&shown) else {
        panic!("not a device")
    };
    edited
        .spec
        .gateway_selector
        .match_names
        .push("gateway01".to_owned());
    let written = fixture.registry.replace_device(edited).await.unwrap();
    assert_eq!(written.outcome, Outcome::Updated);
    assert_eq!(
        credential(&fixture.get("sensor01").await, 1),
        credential(&shown, 1)
    );
    assert_eq!(
        fixture.revealed("sensor01").await.spec.authentication,
        revealed.spec.authentication
    );
    fixture.log_in("sensor01", "a").await.unwrap();
    fixture.log_in_as("sensor01", "u", "b").await.unwrap();
}

#[tokio::test]
async fn an_export_with_secrets_restores_elsewhere() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: a }, { user: { username: u, password: b } },
               { psk: { key: QUJD } }] } }",
        )
        .await;
    let revealed = fixture.revealed("sensor01").await;
    let yaml = to_yaml(std::slice::from_ref(&revealed)).unwrap();

    let other = crate::common::fixture().await;
    assert_eq!(other.apply(&yaml).await.unwrap(), Outcome::Created);
    other.log_in("sensor01", "a").await.unwrap();
    other.log_in_as("sensor01", "u", "b").await.unwrap();
    let restored = other.revealed("sensor01").await;
    assert_eq!(restored.spec, revealed.spec);
    assert_ne!(restored.metadata.uid, revealed.metadata.uid);
}

#[tokio::test]
async fn the_same_plain_password_keeps_the_stored_hash() {
    let fixture = fixture().await;
    let spec = "{ authentication: { credentials: [{ pass: hunter2 }] } }";
    assert_eq!(fixture.device("sensor01", spec).await, Outcome::Created);
    let before = fixture.revealed("sensor01").await;
    assert_eq!(fixture.device("sensor01", spec).await, Outcome::Unchanged);
    assert_eq!(fixture.revealed("sensor01").await, before);

    let spec = "{ authentication: { credentials: [{ pass: hunter3 }] } }";
    assert_eq!(fixture.device("sensor01", spec).await, Outcome::Updated);
    assert_eq!(
        cause(fixture.log_in("sensor01", "hunter2").await),
        landfall_registry::Cause::WrongPassword
    );
    fixture.log_in("sensor01", "hunter3").await.unwrap();
}

#[tokio::test]
async fn a_reference_is_drawn_anew_with_each_secret_and_says_nothing_of_it() {
    let fixture = fixture().await;
    let mut seen = std::collections::HashSet::new();
    for (device, password) in [("a", "x"), ("b", "x"), ("a", "y"), ("a", "x")] {
        let spec = format!("{{ authentication: {{ credentials: [{{ pass: {password} }}] }} }}");
        fixture.device(device, &spec).await;
        let reference = secret_ref(&credential(&fixture.get(device).await, 0)["pass"]);
        assert_eq!(reference.len(), 32);
        assert!(seen.insert(reference), "seen before");
    }
}

#[tokio::test]
async fn a_reference_that_is_unknown_or_of_another_device_is_refused_alike() {
    let fixture = fixture().await;
    let spec = "{ authentication: { credentials: [{ pass: hunter2 }] } }";
    fixture.device("other", spec).await;
    fixture.device("sensor01", "{}").await;
    let foreign = secret_ref(&credential(&fixture.get("other").await, 0)["pass"]);
    let mut told = Vec::new();
    for reference in [foreign.as_str(), &"0".repeat(32)] {
        let spec = format!(
            "{{ authentication: {{ credentials: [{{ pass: {{ secretRef: {reference} }} }}] }} }}"
        );
        let spec = spec.replace(reference, &format!("'{reference}'"));
        told.push(refused(&fixture, &spec).await);
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(
        told[0],
        [
            "spec.authentication.credentials[0].pass: no password is stored here under this secretRef"
        ]
    );
}

#[tokio::test]
async fn a_new_device_cannot_refer_to_secrets() {
    let fixture = fixture().await;
    let spec = format!(
        "{{ authentication: {{ credentials: [{{ pass: {{ secretRef: '{}' }} }}, {{ psk: {{ key: {{ secretRef: '{}' }} }} }}] }} }}",
        "1".repeat(32),
        "2".repeat(32)
    );
    let told = refused(&fixture, &spec).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[1].contains("credentials[1].psk.key: no key is stored here"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_reference_fits_only_where_such_a_secret_may_stand_and_once() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ psk: { key: QUJD } }, { pass: p }] } }",
        )
        .await;
    let shown = fixture.get("sensor01").await;
    let key = secret_ref(&credential(&shown, 0)["psk"]["key"]);
    let password = secret_ref(&credential(&shown, 1)["pass"]);

    let spec =
        format!("{{ authentication: {{ credentials: [{{ pass: {{ secretRef: '{key}' }} }}] }} }}");
    assert!(refused(&fixture, &spec).await[0].contains("no password is stored here"));
    let spec = format!(
        "{{ authentication: {{ credentials: [{{ pass: {{ secretRef: '{password}' }} }},
           {{ pass: {{ secretRef: '{password}' }} }}] }} }}"
    );
    let told = refused(&fixture, &spec).await;
    assert!(
        told[0].contains("credentials[1].pass: this secretRef stands in another place"),
        "{told:?}"
    );

    // From one place to another of the same kind it may move.
    let spec = format!(
        "{{ authentication: {{ credentials: [{{ user: {{ username: u, password: {{ secretRef: '{password}' }} }} }}] }} }}"
    );
    fixture.device("sensor01", &spec).await;
    fixture.log_in_as("sensor01", "u", "p").await.unwrap();
}

#[tokio::test]
async fn credentials_may_change_places_by_reference() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: a }, { pass: b }] } }",
        )
        .await;
    let shown = fixture.get("sensor01").await;
    let (a, b) = (
        secret_ref(&credential(&shown, 0)["pass"]),
        secret_ref(&credential(&shown, 1)["pass"]),
    );
    let spec = format!(
        "{{ authentication: {{ credentials: [{{ pass: {{ secretRef: '{b}' }} }}, {{ pass: {{ secretRef: '{a}' }} }}] }} }}"
    );
    assert_eq!(fixture.device("sensor01", &spec).await, Outcome::Updated);
    let shown = fixture.get("sensor01").await;
    assert_eq!(secret_ref(&credential(&shown, 0)["pass"]), b);
    fixture.log_in("sensor01", "a").await.unwrap();
    fixture.log_in("sensor01", "b").await.unwrap();
}

#[tokio::test]
async fn a_ready_hash_is_stored_as_it_is() {
    let fixture = fixture().await;
    let hash = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    let spec =
        format!("{{ authentication: {{ credentials: [{{ pass: {{ bcrypt: '{hash}' }} }}] }} }}");
    fixture.device("sensor01", &spec).await;
    assert_eq!(
        credential(&fixture.revealed("sensor01").await, 0)["pass"]["bcrypt"],
        hash
    );
    assert_eq!(fixture.device("sensor01", &spec).await, Outcome::Unchanged);
    let plain = "{ authentication: { credentials: [{ pass: 'U*U' }] } }";
    assert_eq!(
        fixture.device("sensor01", plain).await,
        Outcome::Unchanged,
        "its plain text"
    );
}

#[tokio::test]
async fn the_shown_document_never_holds_a_secret() {
    let fixture = fixture().await;
    let spec =
        "{ authentication: { credentials: [{ pass: hunter2 }, { psk: { key: aHVudGVyMg== } },
                  { user: { username: u, password: { plain: hunter2 } } }] } }";
    fixture.device("sensor01", spec).await;
    let shown = fixture.get("sensor01").await;
    for text in [json(&shown).to_string(), format!("{shown:?}")] {
        for secret in ["hunter2", "aHVudGVyMg", "argon2", "blake2s"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
