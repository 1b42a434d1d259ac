//! API tokens.

use landfall_registry::token::{ApiToken, NewToken, Role, TokenSecret};
use landfall_registry::{Registry, WriteError};

use crate::common::{fixture, options};

async fn create(registry: &Registry, document: &str) -> (ApiToken, TokenSecret) {
    let token = NewToken::parse(document).unwrap();
    registry.create_token(token).await.unwrap()
}

const CI: &str = "{ name: ci, roles: [registry], applications: [app] }";

#[tokio::test]
async fn a_created_token_is_known_by_its_text_alone() {
    let registry = fixture().await.registry;
    let (token, secret) = create(&registry, CI).await;
    let text = secret.reveal();
    let found = registry.token(text.as_bytes()).await.unwrap().unwrap();
    assert_eq!(found, token);
    assert_eq!(found.name, "ci");
    assert!(found.roles.contains(&Role::Registry));
    // The last digit decides, too.
    let (rest, last) = text.split_at(text.len() - 1);
    let wrong = format!("{rest}{}", if last == "0" { "1" } else { "0" });
    for wrong in [wrong.as_str(), "ci", ""] {
        assert_eq!(registry.token(wrong.as_bytes()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn names_of_tokens_are_unique_and_free_again_after_a_revocation() {
    let registry = fixture().await.registry;
    let (old, old_secret) = create(&registry, CI).await;
    let again = registry.create_token(NewToken::parse(CI).unwrap()).await;
    assert_eq!(again.unwrap_err(), WriteError::AlreadyExists);
    registry.revoke_token("ci").await.unwrap();
    assert!(!registry.token_stands(&old).await.unwrap());
    let gone = registry.revoke_token("ci").await;
    assert_eq!(gone, Err(WriteError::NotFound));

    let (new, _) = create(&registry, CI).await;
    assert!(registry.token_stands(&new).await.unwrap());
    assert!(
        !registry.token_stands(&old).await.unwrap(),
        "of the same name"
    );
    let presented = old_secret.reveal().as_bytes();
    assert_eq!(registry.token(presented).await.unwrap(), None);
}

#[tokio::test]
async fn tokens_are_listed_by_name_and_are_no_applications() {
    let registry = fixture().await.registry;
    for name in ["b", "a", "c"] {
        create(&registry, &format!("{{ name: {name}, roles: [events] }}")).await;
    }
    let names: Vec<_> = registry.list_tokens().await.unwrap();
    let names: Vec<_> = names.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let applications = registry
        .list_applications(Default::default(), Default::default())
        .await;
    assert_eq!(applications.unwrap().items.len(), 1);
    assert!(registry.application("a").await.unwrap().is_none());
}

#[tokio::test]
async fn the_store_holds_tokens_over_a_restart() {
    let fixture = fixture().await;
    let (token, secret) = create(&fixture.registry, CI).await;
    let (home, registry) = (fixture.home, fixture.registry);
    drop(registry);
    let registry = loop {
        // The store is closed with the last operation.
        if let Ok(registry) = Registry::open(options(&home)).await {
            break registry;
        }
        tokio::task::yield_now().await;
    };
    let found = registry.token(secret.reveal().as_bytes()).await.unwrap();
    assert_eq!(found, Some(token));
}
