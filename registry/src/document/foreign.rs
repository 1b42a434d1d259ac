//! Sections below `spec` that this server does not know.

use serde_json::{Map, Value};

use super::reader::{At, Fields};
use super::similar::closest_section;

/// What a device has below `spec`, and an application does not.
const OF_DEVICES: [&str; 3] = ["authentication", "credentials", "gatewaySelector"];

/// Refuses an application's sections that only a device has. A device whose application is not named is
/// taken for an application: its credentials would be kept, and shown, as they came.
pub(crate) fn refuse_of_devices(fields: &Fields<'_>, at: &At<'_>) {
    for section in fields.unread() {
        if closest_section(section, &OF_DEVICES).is_some() {
            at.key(section).refuse::<()>(
                "belongs to a device: name its application in `metadata.application`",
                "",
            );
        }
    }
}

/// Keeps the unknown sections as they came, but refuses the near miss of a known one: a typo must
/// not silently switch something off.
pub(crate) fn sections(fields: Fields<'_>, at: &At<'_>) -> Map<String, Value> {
    for (section, meant) in fields.near_misses() {
        at.key(section)
            .refuse::<()>(format!("is not known; did you mean `{meant}`?"), "");
    }
    fields.rest()
}
