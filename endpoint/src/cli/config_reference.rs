//! `config-reference`: what each key of the configuration means.

use clap::Args;

use super::{Failure, output};
use crate::config::reference;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall config-reference | less
  landfall config-reference limits
  landfall config-reference sinks.kafka")]
pub(super) struct Options {
    /// A section and those below it, as limits or sinks.kafka; left out, all
    section: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let text = match options.section.as_deref() {
        None => reference::page(),
        Some(name) => reference::section(name).ok_or_else(|| {
            let names: Vec<_> = reference::names().collect();
            let names = names.join(", ");
            Failure::new(format_args!(
                "there is no section `{name}`; there are: {names}"
            ))
        })?,
    };
    output::write(text)
}
