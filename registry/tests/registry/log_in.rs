//! Who gets in.

use std::time::SystemTime;

use landfall_registry::{Cause, Found, LogInError, Presented};

use crate::common::{cause, fixture};

const ONE_OF_EACH: &str = "{ authentication: { credentials: [{ pass: first }, { pass: second },
    { user: { username: u, password: of-u } }, { user: { username: v, password: of-v, unique: true } },
    { psk: { key: QUJD } }] } }";

#[tokio::test]
async fn any_of_the_devices_credentials_is_good_in_its_own_way() {
    let fixture = fixture().await;
    fixture.device("sensor01", ONE_OF_EACH).await;
    for password in ["first", "second"] {
        let log_in = fixture.log_in("sensor01", password).await.unwrap();
        assert_eq!(
            (log_in.application.name(), log_in.device.name()),
            ("app", "sensor01")
        );
        let credential = log_in.credential.clone();
        assert!(Found::from(log_in).stands(&credential, SystemTime::now()));
    }
    for (user, password) in [("u", "of-u"), ("v", "of-v")] {
        fixture.log_in_as("sensor01", user, password).await.unwrap();
    }
    for (user, password, why) in [
        ("u", "of-v", Cause::WrongPassword),
        ("u", "first", Cause::WrongPassword),
        ("w", "of-u", Cause::NoSuchCredential),
        ("", "first", Cause::NoSuchCredential),
    ] {
        assert_eq!(
            cause(fixture.log_in_as("sensor01", user, password).await),
            why,
            "{user}"
        );
    }
    for password in ["of-u", "QUJD", "ABC", "", "First", "first\0", "firstt"] {
        assert_eq!(
            cause(fixture.log_in("sensor01", password).await),
            Cause::WrongPassword
        );
    }
}

#[tokio::test]
async fn each_refusal_has_its_cause_for_the_log() {
    let fixture = fixture().await;
    fixture.device("none", "{}").await;
    fixture
        .device(
            "keyed",
            "{ authentication: { credentials: [{ psk: { key: QUJD } }] } }",
        )
        .await;
    fixture
        .device(
            "off",
            "{ core: { disabled: true }, authentication: { credentials: [{ pass: p }] } }",
        )
        .await;
    let presented = Presented::Password(b"p");
    let elsewhere = fixture.registry.log_in("nowhere", "off", presented).await;
    assert_eq!(cause(elsewhere), Cause::UnknownApplication);
    assert_eq!(
        cause(fixture.log_in("nobody", "p").await),
        Cause::UnknownDevice
    );
    assert_eq!(
        cause(fixture.log_in("none", "p").await),
        Cause::NoSuchCredential
    );
    assert_eq!(
        cause(fixture.log_in("keyed", "p").await),
        Cause::NoSuchCredential
    );
    assert_eq!(
        cause(fixture.log_in("off", "p").await),
        Cause::DeviceDisabled
    );
    assert_eq!(
        cause(fixture.log_in("off", "wrong").await),
        Cause::DeviceDisabled
    );

    fixture
        .apply("{ metadata: { name: app }, spec: { core: { disabled: true } } }")
        .await
        .unwrap();
    assert_eq!(
        cause(fixture.log_in("off", "p").await),
        Cause::ApplicationDisabled
    );
}

#[tokio::test]
async fn names_are_told_apart_to_the_letter() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: p }] } }",
        )
        .await;
    for device in ["Sensor01", "sensor01 ", "sensor0", "sensor01\0", ""] {
        assert_eq!(
            cause(fixture.log_in(device, "p").await),
            Cause::UnknownDevice,
            "{device:?}"
        );
    }
}

#[tokio::test]
async fn an_empty_password_lets_nobody_in() {
    let fixture = fixture().await;
    fixture.device("sensor01", ONE_OF_EACH).await;
    fixture.device("none", "{}").await;
    assert_eq!(
        cause(fixture.log_in("sensor01", "").await),
        Cause::WrongPassword
    );
    assert_eq!(
        cause(fixture.log_in("none", "").await),
        Cause::NoSuchCredential
    );
}

#[tokio::test]
async fn a_password_beyond_any_stored_one_is_wrong_for_every_device_alike() {
    let fixture = fixture().await;
    let longest = "x".repeat(1024);
    let spec = format!("{{ authentication: {{ credentials: [{{ pass: {longest} }}] }} }}");
    fixture.device("sensor01", &spec).await;
    fixture.log_in("sensor01", &longest).await.unwrap();
    let longer = "x".repeat(1025);
    for device in ["sensor01", "nobody"] {
        assert_eq!(
            cause(fixture.log_in(device, &longer).await),
            Cause::WrongPassword
        );
    }
}

#[tokio::test]
async fn passwords_need_not_be_text() {
    let fixture = fixture().await;
    fixture.device("sensor01", ONE_OF_EACH).await;
    let presented = Presented::Password(&[0xff, 0, 0xfe]);
    let refused = fixture.registry.log_in("app", "sensor01", presented).await;
    assert_eq!(cause(refused), Cause::WrongPassword);
}

/// Vectors of the algorithms' own authors: Openwall's bcrypt, Drepper's SHA-crypt, and the Argon2
/// reference implementation.
#[tokio::test]
async fn hashes_made_elsewhere_are_verified() {
    let fixture = fixture().await;
    for (form, hash, password) in [
        (
            "bcrypt",
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
        (
            "bcrypt",
            "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "U*U",
        ),
        (
            "sha512",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            "Hello world!",
        ),
        (
            "sha512",
            "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            "Hello world!",
        ),
        (
            "argon2",
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "password",
        ),
        // Argon2 1.0 wrote no version.
        (
            "argon2",
            "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
            "password",
        ),
    ] {
        let spec = format!(
            "{{ authentication: {{ credentials: [{{ pass: {{ {form}: '{hash}' }} }}] }} }}"
        );
        fixture.device("sensor01", &spec).await;
        fixture.log_in("sensor01", password).await.expect(hash);
        fixture
            .log_in("sensor01", password)
            .await
            .expect("remembered");
        assert_eq!(
            cause(fixture.log_in("sensor01", "other").await),
            Cause::WrongPassword,
            "{hash}"
        );
    }
}

#[tokio::test]
async fn an_error_tells_the_peer_nothing_that_differs() {
    // The endpoint answers every `Refused` alike; what is told here is the cause, and no secret.
    let fixture = fixture().await;
    fixture.device("sensor01", ONE_OF_EACH).await;
    let error = fixture.log_in("sensor01", "hunter2").await.unwrap_err();
    assert_eq!(error, LogInError::Refused(Cause::WrongPassword));
    assert_eq!(error.to_string(), "refused: wrong password");
    let presented = Presented::UserPassword {
        user: "u",
        password: b"hunter2",
    };
    assert_eq!(format!("{presented:?}"), "UserPassword(\"u\", …)");
    assert_eq!(
        format!("{:?}", Presented::Password(b"hunter2")),
        "Password(…)"
    );
}

#[tokio::test]
async fn an_alias_logs_in_with_the_devices_own_password() {
    let fixture = fixture().await;
    let spec = "{ alias: [other], authentication: { credentials: [{ pass: p },
        { user: { username: u, password: of-u } }] } }";
    fixture.device("sensor01", spec).await;
    let log_in = fixture.log_in("other", "p").await.unwrap();
    assert_eq!(log_in.device.name(), "sensor01");
    fixture.log_in_as("other", "u", "of-u").await.unwrap();
    assert_eq!(
        cause(fixture.log_in("other", "wrong").await),
        Cause::WrongPassword
    );
    let credential = log_in.credential.clone();
    assert!(Found::from(log_in).stands(&credential, SystemTime::now()));

    let without = spec.replace("alias: [other], ", "");
    fixture.device("sensor01", &without).await;
    assert_eq!(
        cause(fixture.log_in("other", "p").await),
        Cause::UnknownDevice
    );
    let found = fixture.registry.device("app", "sensor01").await.unwrap();
    assert!(!found.unwrap().stands(&credential, SystemTime::now()));
}

#[tokio::test]
async fn a_unique_user_name_is_a_name_of_its_device_with_its_own_password() {
    let fixture = fixture().await;
    let spec = |unique: bool, user: &str| {
        format!(
            "{{ authentication: {{ credentials: [{{ pass: p }},
               {{ user: {{ username: {user}, password: of-u, unique: {unique} }} }}] }} }}"
        )
    };
    fixture.device("sensor01", &spec(true, "u")).await;
    let log_in = fixture.log_in("u", "of-u").await.unwrap();
    assert_eq!(log_in.device.name(), "sensor01");
    assert_eq!(cause(fixture.log_in("u", "p").await), Cause::WrongPassword);
    // It is no name beside another user name, as an alias is.
    assert_eq!(
        cause(fixture.log_in_as("u", "u", "of-u").await),
        Cause::NoSuchCredential
    );
    let credential = log_in.credential;
    for (edited, stands) in [(spec(true, "u"), true), (spec(false, "u"), false)] {
        fixture.device("sensor01", &edited).await;
        let found = fixture.registry.device("app", "sensor01").await.unwrap();
        assert_eq!(
            found.unwrap().stands(&credential, SystemTime::now()),
            stands
        );
    }
    assert_eq!(
        cause(fixture.log_in("u", "of-u").await),
        Cause::UnknownDevice
    );
    fixture.log_in_as("sensor01", "u", "of-u").await.unwrap();

    // Named like the device itself, both passwords are good.
    fixture.device("sensor01", &spec(true, "sensor01")).await;
    for password in ["p", "of-u"] {
        fixture.log_in("sensor01", password).await.unwrap();
    }
}

#[tokio::test]
async fn a_name_that_nobody_can_have_is_unknown() {
    let fixture = fixture().await;
    let long = "x".repeat(65_535);
    assert_eq!(
        cause(fixture.log_in(&long, "p").await),
        Cause::UnknownDevice
    );
    let presented = Presented::Password(b"p");
    let nowhere = fixture.registry.log_in(&long, "d", presented).await;
    assert_eq!(cause(nowhere), Cause::UnknownApplication);
    assert!(fixture.registry.device_if_cached("app", &long).is_none());
}
