//! What log-ins cost, in hashes that were computed.

use std::time::{Duration, Instant};

use landfall_registry::{LogInError, PasswordCost, PasswordHash};
use tokio::task::JoinSet;

use crate::common::{CHEAP, Fixture, device_yaml, fixture, fixture_with};

const WITH_PASSWORD: &str = "{ authentication: { credentials: [{ pass: good }] } }";

/// Presents `passwords[n]` for `devices[n]`, all at once; how many got in.
async fn storm(fixture: &Fixture, attempts: Vec<(String, &'static str)>) -> usize {
    let mut storm = JoinSet::new();
    for (device, password) in attempts {
        let registry = fixture.registry.clone();
        storm.spawn(async move {
            let presented = landfall_registry::Presented::Password(password.as_bytes());
            match registry.log_in("app", &device, presented).await {
                Ok(_) => 1,
                Err(LogInError::Refused(_)) => 0,
                Err(other) => panic!("{other}"),
            }
        });
    }
    storm.join_all().await.into_iter().sum()
}

async fn with_devices(fixture: &Fixture, count: usize) {
    for n in 0..count {
        fixture
            .apply(&device_yaml(&format!("d{n}"), WITH_PASSWORD))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_connects_costs_one_hash_per_device() {
    const DEVICES: usize = 100;
    let fixture = fixture().await;
    with_devices(&fixture, DEVICES).await;
    let everybody = |times: usize| {
        let devices = (0..DEVICES * times).map(|n| (format!("d{}", n % DEVICES), "good"));
        devices.collect::<Vec<_>>()
    };
    let admitted = storm(&fixture, everybody(20)).await;
    assert_eq!(admitted, 20 * DEVICES);
    assert_eq!(fixture.registry.log_in_hashes(), DEVICES as u64);
    let again = storm(&fixture, everybody(5)).await;
    assert_eq!(again, 5 * DEVICES);
    assert_eq!(fixture.registry.log_in_hashes(), DEVICES as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_credential_of_a_device_costs_one_hash_of_its_own_and_those_before_it() {
    let fixture = fixture().await;
    let spec = "{ authentication: { credentials: [{ pass: a }, { pass: b }] } }";
    fixture.device("two", spec).await;
    let both = (0..50).map(|n| ("two".to_owned(), if n % 2 == 0 { "a" } else { "b" }));
    assert_eq!(storm(&fixture, both.collect()).await, 50);
    assert_eq!(fixture.registry.log_in_hashes(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_goes_with_a_change_of_the_secret_only() {
    let fixture = fixture().await;
    fixture.device("d", WITH_PASSWORD).await;
    fixture.log_in("d", "good").await.unwrap();
    let labelled = "{ alias: [x], authentication: { credentials: [{ pass: good }] } }";
    fixture.device("d", labelled).await;
    fixture.log_in("d", "good").await.unwrap();
    assert_eq!(fixture.registry.log_in_hashes(), 1);
    let other = "{ authentication: { credentials: [{ pass: other }] } }";
    fixture.device("d", other).await;
    fixture.device("d", WITH_PASSWORD).await;
    fixture.log_in("d", "good").await.unwrap();
    assert_eq!(fixture.registry.log_in_hashes(), 2);
}

/// It may be forgotten: then it costs another hash, and is right all the same.
#[tokio::test(flavor = "multi_thread")]
async fn more_devices_than_are_remembered_get_in_too() {
    let fixture = fixture_with(|options| options.cache_entries = 16).await;
    with_devices(&fixture, 100).await;
    for _ in 0..2 {
        let all = (0..100).map(|n| (format!("d{n}"), "good")).collect();
        assert_eq!(storm(&fixture, all).await, 100);
    }
    let hashes = fixture.registry.log_in_hashes();
    assert!((101..=200).contains(&hashes), "{hashes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_costs_as_many_hashes_as_an_unknown_device_does() {
    let fixture = fixture().await;
    let two = "{ authentication: { credentials: [{ pass: a }, { pass: b }] } }";
    fixture.device("two", two).await;
    fixture.device("none", "{}").await;
    let mut before = 0;
    let mut cost = async |device: &str| {
        fixture.log_in(device, "wrong").await.unwrap_err();
        let after = fixture.registry.log_in_hashes();
        let cost = after - before;
        before = after;
        cost
    };
    assert_eq!(cost("two").await, 2);
    for device in ["unknown", "none", "two", "unknown", "none"] {
        assert_eq!(cost(device).await, 2, "{device}");
    }
}

/// Median times of wrong passwords for a device that exists and one that does not, taken in turns,
/// so that both see the same noise.
#[tokio::test]
async fn a_wrong_password_takes_as_long_as_an_unknown_device_does() {
    let cost = PasswordCost {
        memory_kib: 1024,
        passes: 2,
        ..CHEAP
    };
    let fixture = fixture_with(|options| options.password_cost = cost).await;
    fixture.device("known", WITH_PASSWORD).await;
    let mut times = [const { Vec::<Duration>::new() }; 2];
    for round in 0..41 {
        for (device, times) in ["known", "unknown"].iter().zip(&mut times) {
            let begun = Instant::now();
            let refused = fixture.log_in(device, "wrong").await;
            times.push(begun.elapsed());
            assert!(matches!(refused, Err(LogInError::Refused(_))), "{round}");
        }
    }
    let [known, unknown] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    });
    let ratio = known / unknown;
    assert!((0.5..2.0).contains(&ratio), "{ratio}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fast_hashes_cost_no_slow_one_whoever_asks() {
    let fixture = fixture_with(|options| {
        options.password_hash = PasswordHash::Blake2sRandomSecrets;
    })
    .await;
    with_devices(&fixture, 20).await;
    let all = (0..200).map(|n| (format!("d{}", n % 20), "good")).collect();
    assert_eq!(storm(&fixture, all).await, 200);
    for device in ["d0", "unknown"] {
        fixture.log_in(device, "wrong").await.unwrap_err();
    }
    assert_eq!(fixture.registry.log_in_hashes(), 0);
}
