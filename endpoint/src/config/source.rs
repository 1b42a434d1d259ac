//! The configuration's source: the file's text with the environment laid over it, as one tree in
//! which every value knows where it came from.
//!
//! `LANDFALL__SECTION__KEY=value` sets `key` of `[section]`; further `__` go deeper, a number picks
//! an entry of a list, and the number after the last one adds an entry. Names are taken in lower
//! case. A value that is a TOML boolean, integer or quoted string is that; anything else is a
//! string as it stands. A string that looks like a number needs TOML's quotes: `'"42"'`.
//!
//! Values of the environment get spans beyond the end of the file's text, one per variable, so that
//! an error found anywhere later leads back to the variable that caused it.

use std::{ops::Range, path::Path};

use toml::{
    Spanned,
    de::{DeArray, DeString, DeTable, DeValue, Deserializer},
};

use super::{
    error::{ConfigError, Flaw, Place},
    sinks::RawSink,
};

const PREFIX: &str = "LANDFALL__";

/// The span of the file as a whole.
const WHOLE: Range<usize> = 0..usize::MAX;

pub(super) struct Source<'a> {
    text: &'a str,
    path: &'a Path,
    variables: Vec<Variable>,
}

/// One override.
struct Variable {
    name: String,
    steps: Vec<Step>,
    value: String,
}

/// One step from the root towards a value. Ordered so that list entries come in turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Entry(usize),
    Key(String),
}

impl<'a> Source<'a> {
    pub(super) fn new(
        text: &'a str,
        path: &'a Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut variables = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX))
            .map(|(name, value)| Variable::parse(name, value))
            .collect::<Result<Vec<_>, _>>()?;
        variables.sort_by(|a, b| a.steps.cmp(&b.steps));
        Ok(Self {
            text,
            path,
            variables,
        })
    }

    /// The whole tree, with the sinks taken out: their keys depend on their type.
    pub(super) fn tree(&self) -> Result<(Deserializer<'_>, Vec<RawSink>), ConfigError> {
        let mut root = DeTable::parse(self.text)
            .map_err(|error| self.blame(error.into()))?
            .into_inner();
        for (index, variable) in self.variables.iter().enumerate() {
            let span = self.span_of(index);
            let value = Spanned::new(span.clone(), scalar(&variable.value));
            set_in_table(&mut root, &variable.steps, value, &span)
                .map_err(|message| variable.refuse(message))?;
        }
        let sinks = match root.remove("sinks") {
            Some(list) => RawSink::list(list).map_err(|flaw| self.blame(flaw))?,
            None => Vec::new(),
        };
        // The root has no line: what it lacks is missing from the file as a whole.
        Ok((Deserializer::from(Spanned::new(WHOLE, root)), sinks))
    }

    /// Names the line or the variable that a flaw lies in.
    pub(super) fn blame(&self, flaw: Flaw) -> ConfigError {
        let place = match flaw.span {
            Some(span) if span != WHOLE => match self.variable_at(span.start) {
                Some(variable) => Place::Variable(variable.name.clone()),
                None => Place::in_text(self.path, self.text, span.start),
            },
            _ => Place::File(self.path.to_owned()),
        };
        ConfigError::Invalid {
            place,
            message: flaw.message,
        }
    }

    fn span_of(&self, variable: usize) -> Range<usize> {
        let start = self.text.len() + 1 + variable;
        start..start + 1
    }

    fn variable_at(&self, offset: usize) -> Option<&Variable> {
        let index = offset.checked_sub(self.text.len() + 1)?;
        self.variables.get(index)
    }
}

impl Variable {
    fn parse(name: String, value: String) -> Result<Self, ConfigError> {
        let mut steps = Vec::new();
        for part in name.trim_start_matches(PREFIX).split("__") {
            if part.is_empty() {
                return Err(ConfigError::Invalid {
                    place: Place::Variable(name),
                    message: "an empty name between two `__`".to_owned(),
                });
            }
            steps.push(match part.parse() {
                Ok(entry) => Step::Entry(entry),
                Err(_) => Step::Key(part.to_ascii_lowercase()),
            });
        }
        Ok(Self { name, steps, value })
    }

    fn refuse(&self, message: String) -> ConfigError {
        ConfigError::Invalid {
            place: Place::Variable(self.name.clone()),
            message,
        }
    }
}

/// A variable's value: a TOML boolean, integer or quoted string, else the text itself.
fn scalar(text: &str) -> DeValue<'_> {
    match DeValue::parse(text).map(Spanned::into_inner) {
        Ok(value) if value.is_bool() || value.is_integer() || value.is_str() => value,
        _ => DeValue::String(text.into()),
    }
}

fn set_in_table<'t>(
    table: &mut DeTable<'t>,
    steps: &[Step],
    value: Spanned<DeValue<'t>>,
    span: &Range<usize>,
) -> Result<(), String> {
    match steps {
        [] => Err("names no key".to_owned()),
        [Step::Entry(entry), ..] => Err(format!("expected a key, found the number {entry}")),
        [Step::Key(key)] => {
            table.remove(key.as_str());
            table.insert(key_at(key, span), value);
            Ok(())
        }
        [Step::Key(key), rest @ ..] => {
            let below = table
                .entry(key_at(key, span))
                .or_insert_with(|| container_for(rest, span));
            set(below, rest, value, span)
        }
    }
}

fn set_in_list<'t>(
    list: &mut DeArray<'t>,
    steps: &[Step],
    value: Spanned<DeValue<'t>>,
    span: &Range<usize>,
) -> Result<(), String> {
    let (entry, rest) = match steps {
        [Step::Entry(entry), rest @ ..] => (*entry, rest),
        _ => return Err("expected the number of a list entry, counted from 0".to_owned()),
    };
    let len = list.len();
    if entry > len {
        return Err(format!(
            "the list has {len} entries: the next one is number {len}, not {entry}"
        ));
    }
    if entry == len {
        list.push(container_for(rest, span));
    }
    match list.get_mut(entry) {
        Some(place) if rest.is_empty() => {
            *place = value;
            Ok(())
        }
        Some(place) => set(place, rest, value, span),
        None => Err("no such list entry".to_owned()),
    }
}

fn set<'t>(
    below: &mut Spanned<DeValue<'t>>,
    steps: &[Step],
    value: Spanned<DeValue<'t>>,
    span: &Range<usize>,
) -> Result<(), String> {
    match below.get_mut() {
        DeValue::Table(table) => set_in_table(table, steps, value, span),
        DeValue::Array(list) => set_in_list(list, steps, value, span),
        other => Err(format!(
            "expected a section or a list, found {}",
            other.type_str()
        )),
    }
}

/// What the steps go into: a list if a number comes next, else a table.
fn container_for<'t>(steps: &[Step], span: &Range<usize>) -> Spanned<DeValue<'t>> {
    let container = match steps.first() {
        Some(Step::Entry(_)) => DeValue::Array(DeArray::new()),
        _ => DeValue::Table(DeTable::new()),
    };
    Spanned::new(span.clone(), container)
}

fn key_at<'t>(key: &str, span: &Range<usize>) -> Spanned<DeString<'t>> {
    Spanned::new(span.clone(), key.to_owned().into())
}
