//! Who asks, and what they may: a token's roles and applications.
//!
//! The guard puts an [`Access`] into every request that carries a token. [`authorize`] holds it
//! against what the OpenAPI document says that the operation needs, so that what is documented is
//! what is enforced. Operations without a path segment `{app}` look at [`Access::contains`]
//! themselves.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::{
    extract::{
        FromRequestParts, MatchedPath, RawPathParams, Request, State,
        rejection::RawPathParamsRejection,
    },
    http::{Method, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use landfall_registry::{
    Registry, Unavailable,
    token::{ApiToken, Applications, Role},
};
use serde_json::Value;

use super::error::ApiError;

/// The right of one request.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// By the token of `api.token_file`: everything.
    TokenFile,
    /// By a token of the registry.
    Token(Arc<ApiToken>),
}

static ALL: Applications = Applications::All;
/// The name of the token file's token in the log; no token can be named so.
const TOKEN_FILE: &str = "(token file)";

impl Access {
    /// Whether one of these roles, or `admin`, is among the token's.
    pub(super) fn has_any(&self, roles: &[Role]) -> bool {
        match self {
            Self::TokenFile => true,
            Self::Token(token) => {
                let has = |role: &Role| token.roles.contains(role);
                has(&Role::Admin) || roles.iter().any(has)
            }
        }
    }

    pub(super) fn is_admin(&self) -> bool {
        self.has_any(&[])
    }

    /// The token's roles.
    pub(super) fn roles(&self) -> Vec<Role> {
        match self {
            Self::TokenFile => vec![Role::Admin],
            Self::Token(token) => token.roles.iter().copied().collect(),
        }
    }

    /// The applications that the token holds for.
    pub(super) fn applications(&self) -> &Applications {
        match self {
            Self::TokenFile => &ALL,
            Self::Token(token) => &token.applications,
        }
    }

    /// The token's name, for the log.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::TokenFile => TOKEN_FILE,
            Self::Token(token) => &token.name,
        }
    }

    /// Refuses an application that the token does not hold for, whether it exists or not.
    pub(super) fn contains(&self, application: &str) -> Result<(), ApiError> {
        if self.applications().contain(application) {
            return Ok(());
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format_args!("the token does not hold for application `{application}`"),
        ))
    }

    /// Whether the token is still neither revoked nor expired.
    pub(super) async fn stands(&self, registry: &Registry) -> Result<bool, Unavailable> {
        match self {
            Self::TokenFile => Ok(true),
            Self::Token(token) => registry.token_stands(token).await,
        }
    }
}

/// Handlers take it as an argument. Behind the guard there always is one.
impl<S: Send + Sync> FromRequestParts<S> for Access {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let access = parts.extensions.get::<Self>().cloned();
        access.ok_or_else(|| ApiError::internal("the API", "a request passed by the guard"))
    }
}

/// Which roles each operation takes, out of `security` in the OpenAPI document.
pub(super) struct Rules(HashMap<(String, Method), Rule>);

struct Rule {
    /// Any of them is enough, and so is `admin`; without any, every token is.
    roles: BTreeSet<Role>,
    /// Only `admin` will do.
    admin_only: bool,
}

impl Rules {
    /// Reads the rules. An operation that names a role which does not exist, or says nothing, is
    /// for `admin` alone: a slip closes, and the tests tell.
    pub(super) fn of(document: &Value) -> Self {
        let mut rules = HashMap::new();
        let paths = document.get("paths").and_then(Value::as_object);
        for (path, item) in paths.into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if let Ok(method) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) {
                    rules.insert((path.clone(), method), Rule::of(operation));
                }
            }
        }
        Self(rules)
    }

    fn check(&self, path: &str, method: &Method, access: &Access) -> Result<(), ApiError> {
        // A HEAD is answered by what answers GET.
        let method = match *method {
            Method::HEAD => Method::GET,
            ref other => other.clone(),
        };
        let rule = self.0.get(&(path.to_owned(), method));
        match rule {
            Some(rule) if rule.allows(access) => Ok(()),
            Some(rule) => Err(insufficient(rule)),
            None => Err(ApiError::internal(
                "the API",
                format_args!("{path} is in no document"),
            )),
        }
    }
}

impl Rule {
    fn of(operation: &Value) -> Self {
        let names = operation.pointer("/security/0/token");
        let names = names.and_then(Value::as_array);
        let roles: Option<BTreeSet<Role>> = names.and_then(|names| {
            let roles = names.iter().map(|name| Role::of(name.as_str()?));
            roles.collect()
        });
        let roles = roles.unwrap_or_else(|| BTreeSet::from([Role::Admin]));
        Self {
            admin_only: roles.contains(&Role::Admin),
            roles,
        }
    }

    fn allows(&self, access: &Access) -> bool {
        if self.admin_only {
            return access.is_admin();
        }
        let roles: Vec<_> = self.roles.iter().copied().collect();
        roles.is_empty() || access.has_any(&roles)
    }
}

/// RFC 6750, 3.1: the request needs more than the token gives.
fn insufficient(rule: &Rule) -> ApiError {
    let mut roles: Vec<_> = rule.roles.iter().map(|role| role.as_str()).collect();
    if !rule.admin_only {
        roles.push(Role::Admin.as_str());
    }
    ApiError::new(
        StatusCode::FORBIDDEN,
        "insufficient_scope",
        format_args!("the token needs the role {}", roles.join(" or ")),
    )
}

/// Lets a request through to its handler if its token allows that.
pub(super) async fn authorize(
    State(rules): State<Arc<Rules>>,
    access: Access,
    path: MatchedPath,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let checked = rules.check(path.as_str(), request.method(), &access);
    let allowed = checked.and_then(|()| match &parameters {
        Ok(parameters) => {
            let mut applications = parameters.iter().filter(|(name, _)| *name == "app");
            applications.try_for_each(|(_, application)| access.contains(application))
        }
        Err(rejection) => Err(ApiError::bad_request("bad_path", rejection.body_text())),
    });
    match allowed {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}
