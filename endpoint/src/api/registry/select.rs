//! Which resources of a list, and what of each.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use landfall_registry::{LabelSelector, Secrets};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::IntoParams;

use crate::api::{access::Access, error::ApiError, input::Paging};

/// What a list is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct ListQuery {
    /// Most items of the page; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The name to go on after: `Landfall-Continue` of the page before.
    #[serde(rename = "continue")]
    #[param(rename = "continue")]
    after: Option<String>,
    /// What the labels must be like, all of it: `a=b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`,
    /// `a` and `!a`, joined by commas.
    labels: Option<String>,
    /// Paths of the members to show, separated by commas, as `metadata.labels,spec.core`;
    /// `metadata.name` always comes.
    fields: Option<String>,
    /// Show hashes and keys instead of references; needs the role `admin`.
    #[serde(default)]
    with_secrets: bool,
}

/// What of a resource is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct GetQuery {
    /// As for lists.
    fields: Option<String>,
    /// As for lists.
    #[serde(default)]
    with_secrets: bool,
}

/// A valid [`ListQuery`].
pub(super) struct Selection {
    /// Which resources.
    pub(super) which: landfall_registry::ListQuery,
    pub(super) secrets: Secrets,
    fields: Fields,
}

impl ListQuery {
    pub(super) fn selection(self, access: &Access) -> Result<Selection, ApiError> {
        let labels: LabelSelector = self
            .labels
            .as_deref()
            .unwrap_or_default()
            .parse()
            .map_err(|error| ApiError::bad_request("bad_query", format_args!("labels: {error}")))?;
        Ok(Selection {
            which: landfall_registry::ListQuery {
                after: self.after.unwrap_or_default(),
                limit: Paging::check(self.limit)?,
                labels,
            },
            secrets: secrets(self.with_secrets, access)?,
            fields: Fields::parse(self.fields.as_deref())?,
        })
    }
}

impl GetQuery {
    pub(super) fn resolve(self, access: &Access) -> Result<(Fields, Secrets), ApiError> {
        let fields = Fields::parse(self.fields.as_deref())?;
        Ok((fields, secrets(self.with_secrets, access)?))
    }
}

impl Selection {
    /// The items, each with what is asked for.
    pub(super) fn project(&self, items: &[impl Serialize]) -> Result<Response, ApiError> {
        if self.fields.0.is_empty() {
            return Ok(Json(items).into_response());
        }
        let items = items.iter().map(|item| self.fields.of(item));
        Ok(Json(items.collect::<Result<Vec<_>, _>>()?).into_response())
    }
}

fn secrets(revealed: bool, access: &Access) -> Result<Secrets, ApiError> {
    match revealed {
        true if access.is_admin() => Ok(Secrets::Revealed),
        true => Err(ApiError::needs_admin("withSecrets")),
        false => Ok(Secrets::Hidden),
    }
}

/// Most paths of one request.
const MOST_FIELDS: usize = 32;

/// Which members of a resource are shown; all, without any path.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<Box<str>>);

impl Fields {
    fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        let paths: Vec<Box<str>> = text.split(',').map(|path| path.trim().into()).collect();
        let known = |path: &str| matches!(path.split('.').next(), Some("metadata" | "spec"));
        if let Some(wrong) = paths.iter().find(|path| !known(path)) {
            return Err(ApiError::bad_request(
                "bad_query",
                format_args!("fields: `{wrong}` starts neither with metadata nor with spec"),
            ));
        }
        if paths.len() > MOST_FIELDS {
            return Err(ApiError::bad_request(
                "bad_query",
                format_args!("fields: {} paths, at most {MOST_FIELDS}", paths.len()),
            ));
        }
        Ok(Self(paths))
    }

    /// A resource with these members.
    pub(super) fn project(&self, resource: &impl Serialize) -> Result<Response, ApiError> {
        if self.0.is_empty() {
            return Ok(Json(resource).into_response());
        }
        Ok(Json(self.of(resource)?).into_response())
    }

    fn of(&self, resource: &impl Serialize) -> Result<Value, ApiError> {
        let whole = serde_json::to_value(resource)
            .map_err(|error| ApiError::internal("writing a resource", error))?;
        let mut shown = Value::Object(Map::new());
        for path in std::iter::once("metadata.name").chain(self.0.iter().map(|path| &**path)) {
            copy(&whole, path, &mut shown);
        }
        Ok(shown)
    }
}

/// Copies the member at `path`, if there is one. Keys may hold dots themselves, as those of labels
/// do: the shortest key that leads on is taken.
fn copy(from: &Value, path: &str, to: &mut Value) -> bool {
    let (Some(members), Value::Object(target)) = (from.as_object(), to) else {
        return false;
    };
    if let Some(member) = members.get(path) {
        target.insert(path.to_owned(), member.clone());
        return true;
    }
    path.match_indices('.').any(|(dot, _)| {
        let (Some(key), Some(rest)) = (path.get(..dot), path.get(dot + 1..)) else {
            return false;
        };
        let Some(member) = members.get(key) else {
            return false;
        };
        // What is there already was asked for whole, or holds other members of it.
        let mut inner = target
            .get(key)
            .cloned()
            .unwrap_or_else(|| Value::Object(Map::new()));
        let found = inner == *member || copy(member, rest, &mut inner);
        if found {
            target.insert(key.to_owned(), inner);
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(fields: &str) -> Value {
        let resource = json!({
            "metadata": {"name": "d", "uid": "u", "labels": {"example.com/site": "n", "a": "1"}},
            "spec": {"core": {"disabled": true}, "alias": ["x"]},
        });
        Fields::parse(Some(fields)).unwrap().of(&resource).unwrap()
    }

    #[test]
    fn what_is_named_is_shown_and_always_the_name() {
        assert_eq!(
            shown("spec.alias"),
            json!({"metadata": {"name": "d"}, "spec": {"alias": ["x"]}})
        );
        assert_eq!(
            shown("metadata.uid, spec"),
            json!({
                "metadata": {"name": "d", "uid": "u"},
                "spec": {"core": {"disabled": true}, "alias": ["x"]},
            })
        );
        assert_eq!(
            shown("spec,spec.core.disabled")["spec"]["alias"],
            json!(["x"]),
            "a part takes nothing from the whole"
        );
    }

    #[test]
    fn keys_with_dots_are_found() {
        assert_eq!(
            shown("metadata.labels.example.com/site"),
            json!({"metadata": {"name": "d", "labels": {"example.com/site": "n"}}})
        );
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let name = json!({"metadata": {"name": "d"}});
        for fields in [
            "spec.mqtt",
            "spec.core.x",
            "metadata.labels.b",
            "spec.alias.x",
        ] {
            assert_eq!(shown(fields), name, "{fields}");
        }
    }

    #[test]
    fn paths_that_cannot_lead_anywhere_are_refused() {
        let many = vec!["spec"; 33].join(",");
        for fields in ["", "name", "spec,", "specs.core", many.as_str()] {
            let refusal = Fields::parse(Some(fields)).unwrap_err();
            assert_eq!(refusal.code(), "bad_query", "{fields}");
        }
    }
}
