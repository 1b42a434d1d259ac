//! Tokens of the API.

use serde_json::{Value, json};

use super::{list, object, reference, with, with_member};
use crate::token::Role;

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let secret = json!({
        "type": "string",
        "description": "The token's text, for `Authorization: Bearer`. It is never shown again.",
    });
    let created = token(&["name", "roles", "creationTimestamp", "secret"]);
    let new = token(&["name", "roles"]);
    // The role admin cannot be limited to applications.
    let admin = json!({ "properties": { "roles": { "contains": { "const": "admin" } } } });
    let unlimited = json!({ "not": { "required": ["applications"] } });
    let new = with(with(new, "if", admin), "then", unlimited);
    vec![
        ("NewToken", new),
        (
            "Token",
            with_member(
                token(&["name", "roles", "creationTimestamp"]),
                "creationTimestamp",
                created_at(),
            ),
        ),
        ("TokenList", list("Token")),
        (
            "CreatedToken",
            with_member(
                with_member(created, "secret", secret),
                "creationTimestamp",
                created_at(),
            ),
        ),
    ]
}

fn created_at() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn token(required: &[&str]) -> Value {
    object(
        required,
        json!({
            "name": { "type": "string", "pattern": "^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$" },
            "roles": {
                "type": "array", "minItems": 1, "maxItems": 4,
                "items": { "enum": Role::ALL.map(Role::as_str) },
            },
            "applications": {
                "type": "array", "minItems": 1, "maxItems": 100,
                "items": reference("ApplicationName"),
                "description": "The applications it holds for; left out: all. Not with `admin`.",
            },
            "expires": {
                "type": "string", "format": "date-time",
                "description": "From when on it is refused; left out: never.",
            },
        }),
    )
}
