//! `deviceName` of a trust anchor: how devices are named after their certificates.

use x509_parser::objects::oid_registry;

use super::Subject;
use super::fault::CertificateFault;

/// Text with `${ATTRIBUTE}` for values of the certificate's subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Attribute(Box<str>),
}

impl Template {
    /// How an anchor names its devices unless it says otherwise.
    pub(crate) const DEFAULT: &str = "${CN}";
    const MAX: usize = 255;

    /// Reads a template with at least one attribute: without one all devices had the same name.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        if text.len() > Template::MAX || text.chars().any(char::is_control) {
            let most = Template::MAX;
            return Err(format!(
                "must be at most {most} bytes without control characters"
            ));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (attribute, after) = after.split_once('}').ok_or("has a `${` without a `}`")?;
            if !is_attribute(attribute) {
                return Err(
                    "names an attribute that is not known: use the short name, as in ${CN}, or \
                     the number, as in ${2.5.4.3}"
                        .to_owned(),
                );
            }
            parts.extend(text_part(before));
            parts.push(Part::Attribute(attribute.into()));
            rest = after;
        }
        if parts.is_empty() {
            return Err("must name at least one attribute of the subject".to_owned());
        }
        parts.extend(text_part(rest));
        Ok(Template { parts })
    }

    /// The name of the device that a subject is of.
    pub(crate) fn name(&self, subject: &Subject) -> Result<String, CertificateFault> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Attribute(attribute) => name.push_str(subject.only(attribute)?),
            }
        }
        Ok(name)
    }
}

fn text_part(text: &str) -> Option<Part> {
    (!text.is_empty()).then(|| Part::Text(text.into()))
}

/// A short name that x509-parser knows, or a dotted number.
fn is_attribute(name: &str) -> bool {
    const SHORT: [&str; 8] = ["CN", "C", "L", "ST", "O", "OU", "DC", "Email"];
    let number = !name.is_empty()
        && name
            .split('.')
            .all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()));
    number
        || SHORT.iter().any(|short| short.eq_ignore_ascii_case(name))
        || oid_registry()
            .iter()
            .any(|(_, entry)| entry.sn().eq_ignore_ascii_case(name))
}
