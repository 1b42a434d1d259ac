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

#[cfg(test)]
mod tests {
    use super::*;

    /// A DER element of up to 255 bytes.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        let mut element = vec![tag];
        element.extend((length > 127).then_some(0x81));
        element.push(length);
        element.extend(content);
        element
    }

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];
    const OU: &[u8] = &[0x55, 4, 11];
    const DC: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 0x19];
    const EMAIL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
    const SERIAL_NUMBER: &[u8] = &[0x55, 4, 5];
    /// 1.2.3.4, which nobody knows.
    const UNKNOWN: &[u8] = &[0x2a, 3, 4];
    const UTF8: u8 = 0x0c;

    fn attribute(number: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        der(0x30, &[der(6, number), der(tag, value)].concat())
    }

    /// A name of levels, each of one attribute or more.
    fn subject(levels: &[&[Vec<u8>]]) -> Subject {
        let levels: Vec<u8> = levels
            .iter()
            .flat_map(|attributes| der(0x31, &attributes.concat()))
            .collect();
        let name = der(0x30, &levels);
        let (_, name) = X509Name::from_der(&name).unwrap();
        Subject::of_name(&name)
    }

    fn only(number: &[u8], tag: u8, value: &[u8]) -> String {
        subject(&[&[attribute(number, tag, value)]])
            .text()
            .to_owned()
    }

    #[test]
    fn attributes_stand_in_the_certificates_order_with_comma_and_space() {
        let ordinary = subject(&[
            &[attribute(O, UTF8, b"Example")],
            &[attribute(CN, UTF8, b"sensor01")],
        ]);
        assert_eq!(ordinary.text(), "O=Example, CN=sensor01");
        assert_eq!(subject(&[]).text(), "");
    }

    #[test]
    fn ordinary_subjects_read_as_x509_parser_writes_them() {
        let attributes = [
            attribute(DC, 0x16, b"com"),
            attribute(O, 0x13, b"Example"),
            attribute(OU, UTF8, "Wärme".as_bytes()),
            attribute(SERIAL_NUMBER, 0x13, b"77"),
            attribute(EMAIL, 0x16, b"a@b.example"),
            attribute(CN, 0x14, b"sensor01"),
        ];
        let levels: Vec<u8> = attributes
            .iter()
            .flat_map(|attribute| der(0x31, attribute))
            .collect();
        let name = der(0x30, &levels);
        let (_, name) = X509Name::from_der(&name).unwrap();
        let text = "DC=com, O=Example, OU=Wärme, serialNumber=77, Email=a@b.example, CN=sensor01";
        assert_eq!(Subject::of_name(&name).text(), text);
        assert_eq!(name.to_string(), text);
    }

    #[test]
    fn several_attributes_of_one_level_are_joined_by_a_plus_sign() {
        let level = [attribute(CN, UTF8, b"a"), attribute(OU, UTF8, b"b")];
        let more = [attribute(O, UTF8, b"c")];
        assert_eq!(subject(&[&level, &more]).text(), "CN=a + OU=b, O=c");
    }

    #[test]
    fn values_that_would_look_like_more_attributes_are_escaped() {
        for (value, text) in [
            ("Example, CN=x", r"CN=Example\, CN=x"),
            ("a + OU=b", r"CN=a \+ OU=b"),
            (r"back\slash", r"CN=back\\slash"),
            (r#""quoted";<>"#, r#"CN=\"quoted\"\;\<\>"#),
            (" spaces ", r"CN=\ spaces\ "),
            (" ", r"CN=\ "),
            ("#00", r"CN=\#00"),
            ("a#b=c", "CN=a#b=c"),
            ("line\nbreak\0", r"CN=line\0Abreak\00"),
            ("\u{85}", r"CN=\C2\85"),
            ("", "CN="),
        ] {
            assert_eq!(only(CN, UTF8, value.as_bytes()), text);
        }
    }

    #[test]
    fn unusual_types_are_read_or_shown_as_hexadecimal_digits() {
        let utf16: Vec<u8> = "ä€".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(only(CN, 0x1e, &utf16), "CN=ä€");
        assert_eq!(only(CN, 0x1c, &[0, 1, 0xf6, 0]), "CN=😀");
        assert_eq!(only(CN, 0x14, &[0xe4]), "CN=ä");
        assert_eq!(only(CN, 4, &[1, 0xff]), "CN=#01ff", "an octet string");
        assert_eq!(only(CN, 0x1e, &[0xd8, 0]), "CN=#d800", "half a character");
        assert_eq!(only(CN, 0x1e, &[0]), "CN=#00");
        assert_eq!(only(CN, 0x1c, &[0xff; 4]), "CN=#ffffffff");
    }

    #[test]
    fn attributes_without_a_name_are_shown_by_their_number() {
        assert_eq!(only(UNKNOWN, UTF8, b"x"), "1.2.3.4=x");
    }

    #[test]
    fn an_attribute_counts_if_it_is_the_only_one_and_text() {
        let subject = subject(&[
            &[attribute(CN, UTF8, b"a, b")],
            &[attribute(OU, UTF8, b"one"), attribute(OU, UTF8, b"two")],
            &[attribute(O, 4, b"bytes")],
            &[attribute(UNKNOWN, UTF8, b"x")],
        ]);
        for name in ["CN", "cn", "commonName", "2.5.4.3"] {
            assert_eq!(subject.only(name), Ok("a, b"), "as it is, not escaped");
        }
        assert_eq!(subject.only("1.2.3.4"), Ok("x"));
        for (name, fault) in [
            ("OU", CertificateFault::AttributeAmbiguous),
            ("O", CertificateFault::AttributeMissing),
            ("L", CertificateFault::AttributeMissing),
            ("", CertificateFault::AttributeMissing),
        ] {
            assert_eq!(subject.only(name), Err(fault), "{name}");
        }
    }
}
