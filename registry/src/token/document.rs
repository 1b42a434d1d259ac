//! A token that somebody asks for: `{ name, roles, applications, expires }`.

use std::collections::BTreeSet;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Applications, Role};
use crate::document::Invalid;
use crate::document::parse::single;
use crate::document::problem::Problems;
use crate::document::reader::{At, Fields, list, quote, string};
use crate::name;

/// Longest name, in bytes.
const MAX_NAME: usize = 63;
/// Most applications that one token names.
const MAX_APPLICATIONS: usize = 100;

/// A token to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    pub(crate) name: String,
    pub(crate) roles: BTreeSet<Role>,
    pub(crate) applications: Applications,
    pub(crate) expires: Option<OffsetDateTime>,
}

impl NewToken {
    /// Reads the document of a token, YAML or JSON.
    ///
    /// # Errors
    /// Every problem: a name of other than 1 to 63 letters, digits, `-`, `_` and `.`; no role or
    /// one that does not exist; `admin` limited to applications, which would be no limit at all,
    /// as it may create tokens; a time of expiry that is over.
    pub fn parse(text: &str) -> Result<NewToken, Invalid> {
        NewToken::read(single(text)?, OffsetDateTime::now_utc())
    }

    pub(crate) fn read(value: Value, now: OffsetDateTime) -> Result<NewToken, Invalid> {
        let problems = Problems::default();
        let at = At::root(&problems);
        let read = read(value, &at, now);
        problems.finish(read)
    }
}

fn read(value: Value, at: &At<'_>, now: OffsetDateTime) -> Option<NewToken> {
    let mut fields = Fields::open(value, at, "{ name: ci, roles: [registry] }")?;
    let name = fields.required("name", "ci", token_name);
    let roles = fields.required("roles", "[registry]", roles);
    let applications = match fields.has("applications") {
        true => fields.required("applications", "[my-app]", applications),
        false => fields
            .optional("applications", |_, _| None)
            .or(Some(Applications::All)),
    };
    let expires = match fields.has("expires") {
        true => fields
            .required("expires", EXPIRES, |value, at| expires(value, at, now))
            .map(Some),
        false => {
            fields.optional("expires", |_, _| Some(()));
            Some(None)
        }
    };
    fields.close();
    let (roles, applications) = (roles?, applications?);
    if roles.contains(&Role::Admin) && applications != Applications::All {
        return at.key("applications").refuse(
            "cannot limit the role admin: it may create tokens for all applications",
            "",
        );
    }
    Some(NewToken {
        name: name?,
        roles,
        applications,
        expires: expires?,
    })
}

const EXPIRES: &str = "2030-01-01T00:00:00Z";

fn token_name(value: Value, at: &At<'_>) -> Option<String> {
    let name = string(value, at, "ci")?;
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() > MAX_NAME || !outer(name.chars().next()) || !name.chars().all(allowed) {
        let reason = format!(
            "{} must be up to {MAX_NAME} letters, digits, `-`, `_`, `.`, starting with a letter or \
             digit",
            quote(&name)
        );
        return at.refuse(reason, "ci");
    }
    Some(name)
}

fn roles(value: Value, at: &At<'_>) -> Option<BTreeSet<Role>> {
    let roles = list(value, at, Role::ALL.len(), "[registry]", role)?;
    if roles.is_empty() {
        return at.refuse("must name at least one role", "[registry]");
    }
    Some(roles.into_iter().collect())
}

fn role(value: Value, at: &At<'_>) -> Option<Role> {
    let name = string(value, at, "registry")?;
    let role = Role::of(&name);
    role.or_else(|| {
        let all = Role::ALL.map(Role::as_str).join(", ");
        at.refuse(
            format!("{} is no role; there are {all}", quote(&name)),
            "registry",
        )
    })
}

fn applications(value: Value, at: &At<'_>) -> Option<Applications> {
    let names = list(value, at, MAX_APPLICATIONS, "[my-app]", |value, at| {
        let name = string(value, at, "my-app")?;
        match name::check_application(&name) {
            Ok(()) => Some(name),
            Err(reason) => at.refuse(format!("{} {reason}", quote(&name)), "my-app"),
        }
    })?;
    if names.is_empty() {
        // Taken for "all" it would be a slip that opens everything.
        return at.refuse("must name at least one; left out, it is all", "[my-app]");
    }
    Some(Applications::Only(names.into_iter().collect()))
}

fn expires(value: Value, at: &At<'_>, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let text = string(value, at, EXPIRES)?;
    match OffsetDateTime::parse(&text, &Rfc3339) {
        Ok(expires) if expires > now => Some(expires),
        Ok(_) => at.refuse(format!("{} is over", quote(&text)), EXPIRES),
        Err(_) => at.refuse(format!("{} is not an RFC 3339 time", quote(&text)), EXPIRES),
    }
}
