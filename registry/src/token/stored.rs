//! A token's row: its spec is JSON without the secret.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{ApiToken, Applications, Digest, NewToken, Role, TokenId};
use crate::store::{Body, Row, Unavailable};

/// A token with what its secret is compared with.
#[derive(Debug)]
pub(crate) struct StoredToken {
    pub(crate) token: ApiToken,
    pub(crate) digest: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    id: String,
    /// BLAKE2s-256 of the token's text, in hexadecimal.
    hash: String,
    roles: Vec<String>,
    /// Absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    applications: Option<BTreeSet<String>>,
    /// Nanoseconds since 1970, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i128>,
}

pub(crate) fn body(new: &NewToken, id: TokenId, digest: &Digest) -> Result<Body, Unavailable> {
    let spec = Spec {
        id: id.to_string(),
        hash: digest.hex(),
        roles: new.roles.iter().map(ToString::to_string).collect(),
        applications: match &new.applications {
            Applications::All => None,
            Applications::Only(names) => Some(names.clone()),
        },
        expires: new.expires.map(OffsetDateTime::unix_timestamp_nanos),
    };
    let spec = serde_json::to_string(&spec)
        .map_err(|error| Unavailable(format!("the token cannot be stored: {error}")))?;
    Ok(Body {
        labels: "{}".to_owned(),
        annotations: "{}".to_owned(),
        spec: Zeroizing::new(spec),
        claims: Vec::new(),
    })
}

impl StoredToken {
    /// `None`: the row is damaged.
    pub(crate) fn of_row(row: &Row) -> Option<StoredToken> {
        let spec: Spec = serde_json::from_str(&row.spec).ok()?;
        let id = TokenId::parse(&spec.id)?;
        let roles = spec.roles.iter().map(|role| Role::of(role));
        let expires = match spec.expires {
            Some(nanos) => Some(OffsetDateTime::from_unix_timestamp_nanos(nanos).ok()?),
            None => None,
        };
        Some(StoredToken {
            digest: Digest::parse(&spec.hash)?,
            token: ApiToken {
                name: row.name.clone(),
                roles: roles.collect::<Option<_>>()?,
                applications: spec
                    .applications
                    .map_or(Applications::All, Applications::Only),
                expires,
                created: row.created,
                id,
            },
        })
    }
}
