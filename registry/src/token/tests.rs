//! Tokens as their documents ask for them, and what proves them.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn read(value: Value) -> Result<NewToken, String> {
    NewToken::read(value, now()).map_err(|invalid| invalid.to_string())
}

#[test]
fn a_token_holds_for_all_applications_and_for_ever_unless_it_says_otherwise() {
    let token = read(json!({"name": "ci", "roles": ["registry", "events"]})).unwrap();
    assert_eq!(token.roles, BTreeSet::from([Role::Registry, Role::Events]));
    assert_eq!(token.applications, Applications::All);
    assert_eq!(token.expires, None);
    let limited = json!({
        "name": "ci", "roles": ["command"], "applications": ["a", "b"],
        "expires": "2027-01-15T08:00:01Z",
    });
    let token = read(limited).unwrap();
    assert!(token.applications.contain("a") && !token.applications.contain("c"));
    assert!(token.expires > Some(now()));
}

#[test]
fn refuses_tokens_that_say_less_or_more_than_is_meant() {
    let token = |key: &str, value: Value| {
        let mut token = json!({"name": "ci", "roles": ["registry"]});
        token[key] = value;
        token
    };
    for (document, words) in [
        (token("name", json!("")), "name"),
        (token("name", json!("a/b")), "name"),
        (token("name", json!("-a")), "name"),
        (token("name", json!("x".repeat(64))), "63"),
        (token("roles", json!([])), "at least one role"),
        (token("roles", json!(["root"])), "roles[0]"),
        (token("roles", json!("admin")), "list"),
        (token("applications", json!([])), "left out, it is all"),
        (token("applications", json!(["a@b"])), "applications[0]"),
        (token("expires", json!("tomorrow")), "RFC 3339"),
        (token("expires", json!("2027-01-15T08:00:00Z")), "is over"),
        (token("aps", json!(["a"])), "aps"),
        (json!({"name": "ci"}), "roles"),
        (json!(["ci"]), "mapping"),
        (
            json!({"name": "ci", "roles": ["admin"], "applications": ["a"]}),
            "admin",
        ),
    ] {
        let refusal = read(document.clone()).unwrap_err();
        assert!(refusal.contains(words), "{document}: {refusal}");
    }
}

#[test]
fn every_secret_is_another_and_names_its_id() {
    let (id, secret) = TokenSecret::random().unwrap();
    let (other_id, other) = TokenSecret::random().unwrap();
    assert!(secret.reveal().starts_with("landfall_"));
    assert_eq!(TokenId::in_text(secret.reveal().as_bytes()), Some(id));
    assert_ne!(id, other_id);
    assert_ne!(secret.reveal(), other.reveal());
    assert!(secret.digest().is(&Digest::of(secret.reveal().as_bytes())));
    assert!(!secret.digest().is(&other.digest()));
}

#[test]
fn texts_of_another_form_are_no_tokens() {
    let (_, secret) = TokenSecret::random().unwrap();
    let text = secret.reveal();
    let cut = &text[..text.len() - 1];
    let longer = format!("{text}0");
    let foreign = text.replace("landfall_", "lindfall_");
    for text in ["", "landfall_", cut, &longer, &foreign] {
        assert_eq!(TokenId::in_text(text.as_bytes()), None, "{text}");
    }
    assert_eq!(TokenId::in_text(&[0xff; 90]), None);
}

#[test]
fn a_token_expires_at_its_time() {
    let expires = Some(now());
    let token = ApiToken {
        name: "ci".to_owned(),
        roles: BTreeSet::new(),
        applications: Applications::All,
        expires,
        created: 0,
        id: TokenSecret::random().unwrap().0,
    };
    assert!(!token.is_expired(now() - time::Duration::NANOSECOND));
    assert!(token.is_expired(now()));
}

#[test]
fn debug_shows_neither_secret_nor_hash() {
    let (_, secret) = TokenSecret::random().unwrap();
    let digest = secret.digest();
    assert!(!format!("{secret:?}").contains(secret.reveal()));
    assert!(!format!("{digest:?}").contains(&digest.hex()));
}
