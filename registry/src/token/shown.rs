//! A token as the registry shows it.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{ApiToken, Applications};

/// `{ name, roles, applications, expires, creationTimestamp }`; what holds without limit is left
/// out.
impl Serialize for ApiToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("roles", &self.roles)?;
        if let Applications::Only(names) = &self.applications {
            map.serialize_entry("applications", names)?;
        }
        if let Some(expires) = self.expires {
            map.serialize_entry("expires", &rfc3339(expires))?;
        }
        let created = i128::from(self.created) * 1_000_000;
        let created = OffsetDateTime::from_unix_timestamp_nanos(created).ok();
        map.serialize_entry("creationTimestamp", &created.map(rfc3339))?;
        map.end()
    }
}

fn rfc3339(instant: OffsetDateTime) -> String {
    let utc = instant.to_offset(time::UtcOffset::UTC);
    utc.format(&Rfc3339).unwrap_or_default()
}
