//! Sections below `spec` that this server does not know.

use serde_json::{Map, Value};

use super::reader::{At, Fields};

/// Keeps the unknown sections as they came, but refuses the near miss of a known one: a typo must
/// not silently switch something off.
pub(crate) fn sections(fields: Fields<'_>, at: &At<'_>) -> Map<String, Value> {
    for (section, meant) in fields.near_misses() {
        at.key(section)
            .refuse::<()>(format!("is not known; did you mean `{meant}`?"), "");
    }
    fields.rest()
}
