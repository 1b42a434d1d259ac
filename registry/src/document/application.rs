//! `spec` of an application.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::device::Core;
use super::mqtt::Mqtt;
use super::publish::Publish;
use super::reader::{At, Fields, list, quote, string};
use super::{certificate, foreign};
use crate::certificate::{Anchor, Template};
use crate::secret::{ReadSecret, Slot};

const MAX_ANCHORS: usize = 32;
/// How an anchor names its devices unless it says otherwise.
pub const DEFAULT_DEVICE_NAME: &str = Template::DEFAULT;

/// `spec` of an application; `S` is the state of the secrets in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSpec<S> {
    /// Switches common to applications and devices.
    #[serde(skip_serializing_if = "Core::is_default")]
    pub core: Core,
    /// Which certificate authorities vouch for the application's devices.
    #[serde(skip_serializing_if = "TrustAnchors::is_empty")]
    pub trust_anchors: TrustAnchors,
    /// What happens to events, and where they go.
    #[serde(skip_serializing_if = "Publish::is_empty")]
    pub publish: Publish<S>,
    /// The topic API of the application's devices.
    #[serde(skip_serializing_if = "Mqtt::is_empty")]
    pub mqtt: Mqtt,
    /// Sections that this server does not know, kept as they came.
    #[serde(flatten)]
    pub foreign: Map<String, Value>,
}

impl<S> Default for ApplicationSpec<S> {
    fn default() -> ApplicationSpec<S> {
        ApplicationSpec {
            core: Core::default(),
            trust_anchors: TrustAnchors::default(),
            publish: Publish::default(),
            mqtt: Mqtt::default(),
            foreign: Map::new(),
        }
    }
}

/// `spec.trustAnchors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrustAnchors {
    /// At most 32; no two applications hold the same one.
    pub anchors: Vec<TrustAnchor>,
}

impl TrustAnchors {
    fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    fn read(value: Value, at: &At<'_>) -> Option<TrustAnchors> {
        const EXAMPLE: &str = "[{ certificate: <base64 of DER, or PEM> }]";
        let mut fields = Fields::open(value, at, "{ anchors: [] }")?;
        let anchors = fields
            .optional("anchors", |value, at| {
                list(value, at, MAX_ANCHORS, EXAMPLE, TrustAnchor::read)
            })
            .unwrap_or_default();
        fields.close();
        Some(TrustAnchors { anchors })
    }
}

/// A certificate authority that vouches for the application's devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustAnchor {
    /// The authority's certificate in DER; written as base64.
    #[serde(serialize_with = "base64")]
    pub certificate: Vec<u8>,
    /// How a device is named after its certificate, with `${CN}` and the like for the parts of
    /// the subject; [`DEFAULT_DEVICE_NAME`], if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
}

impl TrustAnchor {
    fn read(value: Value, at: &At<'_>) -> Option<TrustAnchor> {
        let mut fields = Fields::open(value, at, "{ certificate: <base64 of DER, or PEM> }")?;
        let certificate = fields.required("certificate", "<base64 of DER, or PEM>", |value, at| {
            let text = string(value, at, "<base64 of DER, or PEM>")?;
            certificate::parse(&text)
                .or_else(|reason| at.refuse(reason, "").ok_or(()))
                .ok()
        });
        let device_name = fields.optional("deviceName", device_name);
        fields.close();
        let anchor = TrustAnchor {
            certificate: certificate?,
            device_name,
        };
        match anchor.parse() {
            Ok(_) => Some(anchor),
            Err(reason) => at.key("certificate").refuse(reason, ""),
        }
    }

    /// The authority, ready to verify with.
    ///
    /// # Errors
    /// Why it cannot vouch for devices.
    fn parse(&self) -> Result<Anchor, String> {
        let template = self.device_name.as_deref().unwrap_or(DEFAULT_DEVICE_NAME);
        Anchor::parse(&self.certificate, Template::parse(template)?)
    }
}

fn device_name(value: Value, at: &At<'_>) -> Option<String> {
    let text = string(value, at, DEFAULT_DEVICE_NAME)?;
    match Template::parse(&text) {
        Ok(_) => Some(text),
        Err(reason) => at.refuse(format!("{} {reason}", quote(&text)), DEFAULT_DEVICE_NAME),
    }
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

impl<S> ApplicationSpec<S> {
    pub(crate) fn read(value: Value, at: &At<'_>) -> Option<ApplicationSpec<S>>
    where
        S: ReadSecret,
    {
        let mut fields = Fields::open(value, at, "{ publish: { rules: [] } }")?;
        let core = fields.optional("core", Core::read).unwrap_or_default();
        let trust_anchors = fields
            .optional("trustAnchors", TrustAnchors::read)
            .unwrap_or_default();
        let publish = fields
            .optional("publish", Publish::read)
            .unwrap_or_default();
        let mqtt = fields.optional("mqtt", Mqtt::read).unwrap_or_default();
        foreign::refuse_of_devices(&fields, at);
        let foreign = foreign::sections(fields, at);
        Some(ApplicationSpec {
            core,
            trust_anchors,
            publish,
            mqtt,
            foreign,
        })
    }
}

impl<S> ApplicationSpec<S> {
    /// The same spec with every secret turned into another state; `None` if any could not be.
    pub(crate) fn map_secrets<T>(
        self,
        f: &mut dyn FnMut(&Slot, S) -> Option<T>,
    ) -> Option<ApplicationSpec<T>> {
        let ApplicationSpec {
            core,
            trust_anchors,
            publish,
            mqtt,
            foreign,
        } = self;
        let publish = publish.map_secrets("spec.publish", f)?;
        Some(ApplicationSpec {
            core,
            trust_anchors,
            publish,
            mqtt,
            foreign,
        })
    }

    /// Shows every secret with its place.
    pub(crate) fn visit_secrets(&self, visit: &mut dyn FnMut(&Slot, &S)) {
        self.publish.visit_secrets("spec.publish", visit);
    }

    /// The authorities that vouch for this application's devices, each with its place.
    pub(crate) fn anchors(&self) -> impl Iterator<Item = (String, Anchor)> {
        let anchors = self.trust_anchors.anchors.iter().enumerate();
        // The reader let in only what can be used.
        anchors.filter_map(|(index, anchor)| {
            let path = format!("spec.trustAnchors.anchors[{index}].certificate");
            Some((path, anchor.parse().ok()?))
        })
    }
}
