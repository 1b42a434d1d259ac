//! `metadata` of a document, as handed in and as shown.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::label;
use super::reader::{At, Fields, quote, string};
use crate::name;

/// `metadata` as a caller writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Name of the application or device: 1 to 255 bytes, see [`crate::name`].
    pub name: String,
    /// Short strings to select by; keys and values follow Kubernetes' rules.
    pub labels: BTreeMap<String, String>,
    /// Free strings for people and tools.
    pub annotations: BTreeMap<String, String>,
    /// What the stored resource must still be for a write to happen.
    pub preconditions: Preconditions,
}

/// What a stored resource must still be for a change of it to happen; empty demands nothing.
///
/// Both come from an earlier read: `metadata.uid` and `metadata.resourceVersion`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The resource must be this one, not one that was created later under the same name.
    pub uid: Option<String>,
    /// The resource must not have been written since.
    pub resource_version: Option<String>,
}

/// `metadata` as the registry shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownMetadata {
    /// Name of the application or device.
    pub name: String,
    /// For a device: the application it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// Identity of this resource; another one created later under the same name has another.
    pub uid: String,
    /// When it was created, RFC 3339 in UTC.
    pub creation_timestamp: String,
    /// Starts at 1 and counts the changes of `spec`.
    pub generation: u64,
    /// Changes with every write; opaque.
    pub resource_version: String,
    /// See [`Metadata::labels`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// See [`Metadata::annotations`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the address of a document says about it, to be filled in or contradicted by its text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Address<'a> {
    /// The application in which a device document stands.
    pub application: Option<&'a str>,
    /// The name of the resource.
    pub name: Option<&'a str>,
}

/// Reads `metadata`; the second value is `metadata.application`, for a device only.
pub(crate) fn read(
    value: Value,
    at: &At<'_>,
    of_device: bool,
    address: Address<'_>,
) -> Option<(Metadata, Option<String>)> {
    let mut fields = Fields::open(value, at, "{ name: sensor01, application: my-app }")?;
    let check = if of_device {
        name::check_device
    } else {
        name::check_application
    };
    let name = addressed(&mut fields, "name", at, address.name, check);
    let application = if of_device {
        addressed(
            &mut fields,
            "application",
            at,
            address.application,
            name::check_application,
        )
    } else {
        None
    };
    let labels = fields.optional("labels", label::labels).unwrap_or_default();
    let annotations = fields
        .optional("annotations", label::annotations)
        .unwrap_or_default();
    let uid = fields.optional("uid", |value, at| string(value, at, ""));
    let resource_version =
        fields.optional("resourceVersion", |value, at| string(value, at, "\"42\""));
    // The server's own, or Drogue Cloud's: taken in, so that what was read can be written back.
    for server_side in [
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "finalizers",
    ] {
        fields.optional(server_side, |_, _| Some(()));
    }
    fields.close();

    let preconditions = Preconditions {
        uid: uid.filter(|uid| !uid.is_empty()),
        resource_version: resource_version.filter(|version| !version.is_empty()),
    };
    Some((
        Metadata {
            name: name?,
            labels,
            annotations,
            preconditions,
        },
        application,
    ))
}

/// Reads a name that the document's address may give too.
fn addressed(
    fields: &mut Fields<'_>,
    key: &'static str,
    at: &At<'_>,
    address: Option<&str>,
    check: fn(&str) -> Result<(), &'static str>,
) -> Option<String> {
    let read = |value: Value, at: &At<'_>| {
        let name = string(value, at, "sensor01")?;
        match address {
            Some(address) if address != name => {
                let (name, address) = (quote(&name), quote(address));
                at.refuse(format!("is {name}, but the request is for {address}"), "")
            }
            _ => Some(name),
        }
    };
    let name = match address {
        Some(address) if !fields.has(key) => {
            fields.optional(key, |_, _| Some(()));
            Some(address.to_owned())
        }
        _ => fields.required(key, "sensor01", read),
    }?;
    match check(&name) {
        Ok(()) => Some(name),
        Err(reason) => at
            .key(key)
            .refuse(format!("{} {reason}", quote(&name)), "sensor01"),
    }
}
