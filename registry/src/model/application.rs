use std::collections::BTreeMap;

use crate::certificate::Anchor;
use crate::document::{
    ApplicationSpec, DialectSpec, ExternalEndpoint, Invalid, PayloadEncoding, Rule, read_stored,
};
use crate::secret::Held;
use crate::store::{Labels, ResourceId, Row};

/// An application, ready to use.
#[derive(Debug)]
pub struct Application {
    id: ResourceId,
    name: Box<str>,
    uid: Box<str>,
    generation: u64,
    labels: BTreeMap<String, String>,
    enabled: bool,
    sinks: Option<Vec<String>>,
    rules: Vec<Rule<Held>>,
    endpoint: Option<ExternalEndpoint<Held>>,
    dialect: Option<DialectSpec>,
    payload_encoding: Option<PayloadEncoding>,
    anchors: Vec<Anchor>,
}

impl Application {
    pub(crate) fn from_row(row: &Row) -> Result<Application, Invalid> {
        let spec: ApplicationSpec<Held> = read_stored(&row.spec)?;
        let anchors = spec.anchors().map(|(_, anchor)| anchor).collect();
        Ok(Application {
            id: row.id,
            name: row.name.as_str().into(),
            uid: row.uid.as_str().into(),
            generation: row.generation,
            labels: Labels::parse(&row.labels)?,
            enabled: !spec.core.disabled,
            sinks: spec.publish.sinks,
            rules: spec.publish.rules,
            endpoint: spec.publish.endpoint,
            dialect: spec.mqtt.dialect,
            payload_encoding: spec.mqtt.payload_encoding,
            anchors,
        })
    }

    pub(crate) fn id(&self) -> ResourceId {
        self.id
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `metadata.generation`: grows with every change of the spec.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// `metadata.labels`.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// Whether its devices may connect: not `spec.core.disabled`.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// `spec.publish.sinks`: names of the sinks that take its events; all of the server's, if
    /// `None`.
    #[must_use]
    pub fn sinks(&self) -> Option<&[String]> {
        self.sinks.as_deref()
    }

    /// `spec.publish.endpoint`, with its secrets: where sinks of type `http` post its events.
    #[must_use]
    pub fn endpoint(&self) -> Option<&ExternalEndpoint<Held>> {
        self.endpoint.as_ref()
    }

    /// `spec.publish.rules`, with their secrets.
    #[must_use]
    pub fn rules(&self) -> &[Rule<Held>] {
        &self.rules
    }

    /// `spec.mqtt.dialect` as it stands; see [`crate::effective_dialect`].
    #[must_use]
    pub fn dialect(&self) -> Option<DialectSpec> {
        self.dialect
    }

    /// `spec.mqtt.payloadEncoding` as it stands; see [`crate::effective_payload_encoding`].
    #[must_use]
    pub fn payload_encoding(&self) -> Option<PayloadEncoding> {
        self.payload_encoding
    }

    /// The authorities that vouch for its devices: `spec.trustAnchors.anchors`.
    pub(crate) fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }
}
