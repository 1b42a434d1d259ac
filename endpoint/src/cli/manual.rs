//! `completions` and `man`: what shells and `man` want to know, made of the command line itself.

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Failure, output};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall completions bash > /etc/bash_completion.d/landfall
  landfall completions zsh > \"${fpath[1]}/_landfall\"
  landfall completions fish > ~/.config/fish/completions/landfall.fish")]
pub(super) struct CompletionsOptions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(options: &CompletionsOptions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "landfall", &mut script);
    output::write(script)
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall man | man -l -
  landfall man --dir /usr/local/share/man/man1")]
pub(super) struct ManOptions {
    /// Write a page for the program and one for each subcommand into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn man(options: &ManOptions) -> Result<(), Failure> {
    match &options.dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .map_err(|error| Failure::of_output(&error))?;
            output::write(page)
        }
        Some(folder) => {
            let failed = |error| Failure::new(format_args!("{}: {error}", folder.display()));
            fs::create_dir_all(folder).map_err(failed)?;
            clap_mangen::generate_to(Cli::command(), folder).map_err(failed)
        }
    }
}
