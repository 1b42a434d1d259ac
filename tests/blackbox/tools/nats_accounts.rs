//! A NATS operator with one account and one user: what a credentials file is good for.
//! Claims: <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt>.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

pub(crate) struct Accounts {
    /// Lines of a server's configuration.
    pub(crate) config: String,
    /// The user's credentials file.
    pub(crate) credentials: String,
}

impl Accounts {
    pub(crate) fn make() -> Self {
        let operator = KeyPair::new_operator();
        let (system, account) = (KeyPair::new_account(), KeyPair::new_account());
        let user = KeyPair::new_user();
        let unlimited = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1,
            "consumer": -1,
        });
        let mut without_streams = unlimited.clone();
        for key in ["mem_storage", "disk_storage"] {
            without_streams[key] = json!(0);
        }
        let of_account = |limits| json!({ "type": "account", "version": 2, "limits": limits });
        let operator_token = token(
            &operator,
            &operator,
            &json!({ "type": "operator", "version": 2 }),
        );
        let system_token = token(&operator, &system, &of_account(without_streams));
        let account_token = token(&operator, &account, &of_account(unlimited));
        let user_token = token(
            &account,
            &user,
            &json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 }),
        );
        let (system, account) = (system.public_key(), account.public_key());
        Self {
            config: format!(
                "operator: {operator_token}\nsystem_account: {system}\nresolver: MEMORY\n\
                 resolver_preload: {{\n  {system}: {system_token}\n  {account}: {account_token}\n}}\n"
            ),
            credentials: format!(
                "-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n\
                 -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
                user.seed().unwrap()
            ),
        }
    }
}

fn token(issuer: &KeyPair, subject: &KeyPair, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let body = part(&json!({
        "jti": subject.public_key(), "iat": 1_700_000_000, "iss": issuer.public_key(),
        "name": "test", "sub": subject.public_key(), "nats": claims,
    }));
    let signed = format!("{header}.{body}");
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}
