//! The subject of a device's certificate.

use std::fmt::Write as _;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::objects::oid_registry;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::fault::CertificateFault;

/// The names in a certificate's subject.
#[derive(Debug)]
pub(crate) struct Subject {
    text: String,
    attributes: Vec<Attribute>,
}

#[derive(Debug)]
struct Attribute {
    /// `CN`, for example, if there is a short form.
    short: Option<&'static str>,
    /// `commonName`, for example, if it is known.
    long: Option<Box<str>>,
    /// `2.5.4.3`, for example.
    number: String,
    /// `None` if it is no text.
    value: Option<String>,
}

impl Subject {
    /// Reads the subject of a certificate in DER.
    pub(crate) fn of(der: &[u8]) -> Result<Subject, CertificateFault> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| CertificateFault::Malformed)?;
        Ok(Subject::of_name(certificate.subject()))
    }

    fn of_name(name: &X509Name<'_>) -> Subject {
        let mut subject = Subject {
            text: String::new(),
            attributes: Vec::new(),
        };
        for (index, rdn) in name.iter_rdn().enumerate() {
            if index > 0 {
                subject.text.push_str(", ");
            }
            for (index, attribute) in rdn.iter().enumerate() {
                if index > 0 {
                    subject.text.push_str(" + ");
                }
                subject.add(attribute);
            }
        }
        subject
    }

    fn add(&mut self, attribute: &AttributeTypeAndValue<'_>) {
        let value = attribute.attr_value();
        let attribute = Attribute::read(attribute);
        self.text.push_str(attribute.name());
        self.text.push('=');
        match &attribute.value {
            Some(text) => escape(text, &mut self.text),
            None => hexadecimal(value.data, &mut self.text),
        }
        self.attributes.push(attribute);
    }

    /// The whole subject, for example `O=Example, CN=sensor01`: attributes in the certificate's own
    /// order, comma and space between them, ` + ` between those of one level, as Drogue Cloud (and
    /// x509-parser) write it. Unlike there, characters that would make two subjects look alike are
    /// escaped as RFC 4514 section 2.4 says: `O=Example\, Inc., CN=sensor01`.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The value of an attribute, named by its short name, its long name or its number.
    ///
    /// # Errors
    /// It is absent, or no text; or there are several, of which none is the one.
    pub(super) fn only(&self, attribute: &str) -> Result<&str, CertificateFault> {
        let mut found = self.attributes.iter().filter(|a| a.is(attribute));
        let first = found.next().ok_or(CertificateFault::AttributeMissing)?;
        if found.next().is_some() {
            return Err(CertificateFault::AttributeAmbiguous);
        }
        first
            .value
            .as_deref()
            .ok_or(CertificateFault::AttributeMissing)
    }
}

impl Attribute {
    fn read(attribute: &AttributeTypeAndValue<'_>) -> Attribute {
        let number = attribute.attr_type().to_id_string();
        let known = oid_registry().get(attribute.attr_type());
        Attribute {
            short: short(&number),
            long: known.map(|entry| entry.sn().into()),
            value: value(attribute.attr_value()),
            number,
        }
    }

    fn name(&self) -> &str {
        self.short.or(self.long.as_deref()).unwrap_or(&self.number)
    }

    fn is(&self, name: &str) -> bool {
        self.number == name
            || [self.short, self.long.as_deref()]
                .into_iter()
                .flatten()
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The short names that Drogue Cloud (and x509-parser) write.
fn short(number: &str) -> Option<&'static str> {
    Some(match number {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "Email",
        _ => return None,
    })
}

/// The text, if it is of one of ASN.1's string types.
fn value(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::NumericString
        | Tag::Ia5String
        | Tag::VisibleString
        | Tag::GeneralString => std::str::from_utf8(value.data).ok().map(str::to_owned),
        // As everybody reads it: Latin-1.
        Tag::T61String => Some(value.data.iter().map(|&byte| char::from(byte)).collect()),
        Tag::BmpString => utf16(value.data),
        Tag::UniversalString => utf32(value.data),
        _ => None,
    }
}

fn utf16(data: &[u8]) -> Option<String> {
    let (units, rest) = data.as_chunks();
    let units: Vec<u16> = units.iter().map(|&unit| u16::from_be_bytes(unit)).collect();
    rest.is_empty().then(|| String::from_utf16(&units).ok())?
}

fn utf32(data: &[u8]) -> Option<String> {
    let (units, rest) = data.as_chunks();
    let mut units = units
        .iter()
        .map(|&unit| char::from_u32(u32::from_be_bytes(unit)));
    rest.is_empty().then(|| units.by_ref().collect())?
}

/// RFC 4514 section 2.4, of what is no text.
fn hexadecimal(data: &[u8], into: &mut String) {
    into.push('#');
    for byte in data {
        let _ = write!(into, "{byte:02x}");
    }
}

/// RFC 4514 section 2.4, of text; control characters too, which no alias holds.
fn escape(value: &str, into: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => into.extend(['\\', c]),
            '#' if index == 0 => into.push_str("\\#"),
            ' ' if index == 0 || index == last => into.push_str("\\ "),
            c if c.is_control() => {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    let _ = write!(into, "\\{byte:02X}");
                }
            }
            c => into.push(c),
        }
    }
}
