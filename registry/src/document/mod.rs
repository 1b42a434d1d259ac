//! Resource documents: applications and devices, in the shape that Drogue Cloud gave them.
//!
//! A caller writes an [`ApplicationDocument`] or [`DeviceDocument`], as YAML or JSON; the registry
//! shows an [`ApplicationResource`] or [`DeviceResource`]. Reading a document finds all its
//! problems at once ([`Invalid`]), each with its field path. What a resource shows, a document
//! accepts, and writing it back changes nothing.

mod application;
mod certificate;
mod credential;
mod device;
mod dialect;
mod duration;
mod external;
mod foreign;
pub(crate) mod label;
mod metadata;
mod mqtt;
pub(crate) mod parse;
pub(crate) mod problem;
mod publish;
pub(crate) mod reader;
pub mod schema;
mod similar;
mod step;
pub mod stream;
mod strict;

use serde::Serialize;
use serde_json::Value;

pub use application::{ApplicationSpec, DEFAULT_DEVICE_NAME, TrustAnchor, TrustAnchors};
pub use credential::{Credential, Validity};
pub(crate) use device::MAX_ALIAS;
pub use device::{Authentication, Core, DeviceSpec, GatewaySelector};
pub use dialect::{AutoRegister, DialectSpec};
pub use external::{Authorization, ExternalEndpoint, Header, Tls};
pub use metadata::{Address, Metadata, Preconditions, ShownMetadata};
pub use mqtt::{Mqtt, PayloadEncoding};
pub use parse::{
    InvalidDocument, InvalidDocuments, MAX_DOCUMENT_TEXT, MAX_DOCUMENTS_TEXT, document_values,
    parse_documents, to_yaml,
};
pub use problem::{Invalid, Problem};
pub use publish::{Publish, Rule, When};
pub use step::{Attribute, ContentMode, Request, Response, Step};

use crate::secret::{Given, Held, Shown};
use problem::Problems;
use reader::{At, Fields};

/// An application as a caller writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationDocument {
    /// Name, labels, annotations, preconditions.
    pub metadata: Metadata,
    /// What the application is like.
    pub spec: ApplicationSpec<Given>,
}

/// A device as a caller writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceDocument {
    /// The application it belongs to: `metadata.application`.
    pub application: String,
    /// Name, labels, annotations, preconditions.
    pub metadata: Metadata,
    /// What the device is like.
    pub spec: DeviceSpec<Given>,
}

/// A document of either kind: one with `metadata.application` is a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// An application.
    Application(ApplicationDocument),
    /// A device.
    Device(DeviceDocument),
}

impl Document {
    /// The name in `metadata`.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Document::Application(document) => &document.metadata.name,
            Document::Device(document) => &document.metadata.name,
        }
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        match self {
            Document::Application(document) => &document.metadata,
            Document::Device(document) => &document.metadata,
        }
    }

    /// Reads a document that has been parsed into a value.
    ///
    /// # Errors
    /// Every problem of the document.
    pub fn read(value: Value) -> Result<Document, Invalid> {
        let of_device = value
            .pointer("/metadata/application")
            .is_some_and(|v| !v.is_null());
        if of_device {
            DeviceDocument::read(value, Address::default()).map(Document::Device)
        } else {
            ApplicationDocument::read(value, None).map(Document::Application)
        }
    }
}

impl ApplicationDocument {
    /// Reads the document of one application, YAML or JSON. The name in the document's address, if
    /// it has one, stands in for `metadata.name` and may not be contradicted by it.
    ///
    /// # Errors
    /// Every problem of the document.
    pub fn parse(text: &str, name: Option<&str>) -> Result<ApplicationDocument, Invalid> {
        ApplicationDocument::read(parse::single(text)?, name)
    }

    /// As [`ApplicationDocument::parse`], of a value.
    ///
    /// # Errors
    /// Every problem of the document.
    pub fn read(value: Value, name: Option<&str>) -> Result<ApplicationDocument, Invalid> {
        let problems = Problems::default();
        let at = At::root(&problems);
        let address = Address {
            application: None,
            name,
        };
        let read = read_document(value, &at, false, address, ApplicationSpec::read);
        let document = read.map(|(metadata, _, spec)| ApplicationDocument { metadata, spec });
        problems.finish(document)
    }
}

impl DeviceDocument {
    /// Reads the document of one device, YAML or JSON. What its address says about application
    /// and name stands in for `metadata.application` and `metadata.name` and may not be
    /// contradicted by them.
    ///
    /// # Errors
    /// Every problem of the document.
    pub fn parse(text: &str, address: Address<'_>) -> Result<DeviceDocument, Invalid> {
        DeviceDocument::read(parse::single(text)?, address)
    }

    /// As [`DeviceDocument::parse`], of a value.
    ///
    /// # Errors
    /// Every problem of the document.
    pub fn read(value: Value, address: Address<'_>) -> Result<DeviceDocument, Invalid> {
        let problems = Problems::default();
        let at = At::root(&problems);
        let read = read_document(value, &at, true, address, DeviceSpec::read);
        let document = read.and_then(|(metadata, application, spec)| {
            Some(DeviceDocument {
                application: application?,
                metadata,
                spec,
            })
        });
        problems.finish(document)
    }
}

fn read_document<T: Default>(
    value: Value,
    at: &At<'_>,
    of_device: bool,
    address: Address<'_>,
    read_spec: impl FnOnce(Value, &At<'_>) -> Option<T>,
) -> Option<(Metadata, Option<String>, T)> {
    let mut fields = Fields::open(value, at, "{ metadata: { name: sensor01 }, spec: {} }")?;
    let metadata = if address.name.is_some() && !fields.has("metadata") {
        fields.optional("metadata", |_, _| Some(()));
        metadata::read(
            Value::Object(serde_json::Map::new()),
            &at.key("metadata"),
            of_device,
            address,
        )
    } else {
        fields.required("metadata", "{ name: sensor01 }", |value, at| {
            metadata::read(value, at, of_device, address)
        })
    };
    let spec = fields.optional("spec", read_spec).unwrap_or_default();
    // The server's own; Drogue Cloud shows one.
    fields.optional("status", |_, _| Some(()));
    fields.close();
    let (metadata, application) = metadata?;
    Some((metadata, application, spec))
}

/// An application as the registry shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApplicationResource {
    /// Name, labels, annotations, and what the server says of it.
    pub metadata: ShownMetadata,
    /// What the application is like.
    pub spec: ApplicationSpec<Shown>,
}

/// A device as the registry shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceResource {
    /// Name, labels, annotations, and what the server says of it.
    pub metadata: ShownMetadata,
    /// What the device is like.
    pub spec: DeviceSpec<Shown>,
}

/// A resource of either kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Resource {
    /// An application.
    Application(ApplicationResource),
    /// A device.
    Device(DeviceResource),
}

/// What applications and devices have in common, so that one piece of code stores both.
pub(crate) trait Spec: Sized + Send + 'static {
    type Given: Send + 'static;
    type Shown;

    /// Reads the stored form.
    fn read(value: Value, at: &At<'_>) -> Option<Self>;
    fn to_stored(&self) -> serde_json::Result<String>;
    fn resolve(
        given: Self::Given,
        f: &mut dyn FnMut(&crate::secret::Slot, Given) -> Option<Held>,
    ) -> Option<Self>;
    fn visit(&self, f: &mut dyn FnMut(&crate::secret::Slot, &Held));
    fn show(self, f: fn(Held) -> Shown) -> Option<Self::Shown>;
}

macro_rules! stored_spec {
    ($spec:ident) => {
        impl Spec for $spec<Held> {
            type Given = $spec<Given>;
            type Shown = $spec<Shown>;

            fn read(value: Value, at: &At<'_>) -> Option<Self> {
                $spec::<Held>::read(value, at)
            }

            fn to_stored(&self) -> serde_json::Result<String> {
                serde_json::to_string(self)
            }

            fn resolve(
                given: $spec<Given>,
                f: &mut dyn FnMut(&crate::secret::Slot, Given) -> Option<Held>,
            ) -> Option<Self> {
                given.map_secrets(f)
            }

            fn visit(&self, f: &mut dyn FnMut(&crate::secret::Slot, &Held)) {
                self.visit_secrets(f);
            }

            fn show(self, f: fn(Held) -> Shown) -> Option<$spec<Shown>> {
                self.map_secrets(&mut |_, held| Some(f(held)))
            }
        }
    };
}

stored_spec!(ApplicationSpec);
stored_spec!(DeviceSpec);

/// Reads the stored form of a spec; a failure means that the store is damaged.
pub(crate) fn read_stored<T: Spec>(text: &str) -> Result<T, Invalid> {
    let value = serde_json::from_str(text).map_err(|_| Invalid::one("spec", "is not JSON"))?;
    let problems = Problems::default();
    let root = At::root(&problems);
    let read = T::read(value, &root.key("spec"));
    problems.finish(read)
}
