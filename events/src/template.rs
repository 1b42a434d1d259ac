//! Names that depend on the event: topics, subjects, paths.

use crate::record::Record;

/// A text with fields in braces, for instance `events.{application}.{channel}`.
///
/// Parsed when the configuration is read, so that a wrong field is refused at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// What an event can be named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Application,
    Device,
    Sender,
    Channel,
    Type,
    Instance,
}

const FIELDS: &str = "{application}, {device}, {sender}, {channel}, {type}, {instance}";

/// What is wrong with a template; the operator who wrote it is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A name in braces that is no field.
    #[error("{{{0}}} is no field of an event; there are {FIELDS}")]
    UnknownField(String),
    /// A brace without its partner.
    #[error("a brace without its partner")]
    Brace,
    /// Nothing at all.
    #[error("is empty")]
    Empty,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            push_text(&mut parts, before)?;
            let (name, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
            parts.push(Part::Field(Field::parse(name)?));
            rest = after;
        }
        push_text(&mut parts, rest)?;
        if parts.is_empty() {
            return Err(TemplateError::Empty);
        }
        Ok(Self { parts })
    }

    /// The name for an event. Values from outside go through `encode`, which leaves out or replaces
    /// what such a name must not contain; the template's own text stands as it is.
    pub(crate) fn render(
        &self,
        record: &Record<'_>,
        mut encode: impl FnMut(&mut String, &str),
    ) -> String {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Field(field) => encode(&mut name, record.get(field.attribute())),
            }
        }
        name
    }

    /// The name if every field were `value`, for checks of what the template's own text may hold.
    pub(crate) fn example(&self, value: &str) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(_) => value.to_owned(),
        };
        self.parts.iter().map(text).collect()
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) -> Result<(), TemplateError> {
    if text.contains('}') {
        return Err(TemplateError::Brace);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

impl Field {
    fn parse(name: &str) -> Result<Self, TemplateError> {
        Ok(match name {
            "application" => Self::Application,
            "device" => Self::Device,
            "sender" => Self::Sender,
            "channel" => Self::Channel,
            "type" => Self::Type,
            "instance" => Self::Instance,
            other => return Err(TemplateError::UnknownField(other.to_owned())),
        })
    }

    fn attribute(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Device => "device",
            Self::Sender => "sender",
            Self::Channel => "subject",
            Self::Type => "type",
            Self::Instance => "instance",
        }
    }
}

/// Appends `value` with every byte that `keep` does not let through as `escape` and two hexadecimal
/// digits. Injective as long as `keep` does not keep `escape`: no two values become one name.
pub(crate) fn push_escaped(out: &mut String, value: &str, escape: char, keep: fn(u8) -> bool) {
    for byte in value.bytes() {
        if byte.is_ascii() && keep(byte) {
            out.push(char::from(byte));
        } else {
            out.push(escape);
            for nibble in [byte >> 4, byte & 0xf] {
                out.extend(
                    char::from_digit(nibble.into(), 16).map(|digit| digit.to_ascii_uppercase()),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Data;
    use crate::record::tests::{record_of, with_draft};

    fn rendered(template: &str) -> String {
        let template = Template::parse(template).unwrap();
        let mut name = String::new();
        with_draft("a/b c", false, Data::None, |draft| {
            let bytes = record_of(draft);
            let record = Record::read(&bytes).unwrap();
            name = template.render(&record, |out, value| {
                push_escaped(out, value, '_', |byte| byte.is_ascii_alphanumeric());
            });
        });
        name
    }

    #[test]
    fn fields_are_filled_in_and_escaped_and_text_stands() {
        assert_eq!(rendered("plain_text"), "plain_text");
        assert_eq!(
            rendered("x.{application}.{device}/{sender}-{channel}"),
            "x.app.de_20v/gate-a_2Fb_20c"
        );
        assert_eq!(rendered("{type}"), "io_2Edrogue_2Eevent_2Ev1");
    }

    #[test]
    fn what_is_no_template_is_refused_by_name() {
        let error = |text| Template::parse(text).unwrap_err();
        assert_eq!(error(""), TemplateError::Empty);
        assert_eq!(error("a{b"), TemplateError::Brace);
        assert_eq!(error("a}b"), TemplateError::Brace);
        assert_eq!(
            error("{topic}"),
            TemplateError::UnknownField("topic".to_owned())
        );
        assert!(error("{}").to_string().contains("{channel}"));
    }
}
