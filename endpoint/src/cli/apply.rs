//! `apply`: makes the server's registry hold what documents say.
//!
//! Everything is read and validated before anything is sent. The server decides what a document
//! changes, because only it can tell whether a plain password is the one whose hash it stores. Up
//! to 1,000 documents are written in one transaction: if the server refuses one of them, none is.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::{
    Client, Failure,
    bulk::{self, Batch, Refused},
    client::{self, ServerOptions},
    documents::{self, Sourced},
    output::{self, Format},
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall apply -f devices.yaml
  landfall apply -f registry/ -f more.json
  landfall apply -f devices.yaml -o json")]
pub(super) struct Options {
    /// A file of YAML or JSON documents, a folder of such files, or - for standard input
    #[arg(short, long = "file", value_name = "FILE_OR_DIR", required = true)]
    files: Vec<PathBuf>,
    /// How to print what became of each document
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    server: ServerOptions,
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let documents = documents::read_all(&options.files)?;
    let client = Client::new(options.server)?;
    client::block_on(async {
        let mut results = Vec::new();
        let applied = apply_all(&client, &documents, |document, result| {
            if options.output == Format::Text {
                return output::line(format_args!("{} {result}", document.target));
            }
            results.push(document.target.as_json(result));
            Ok(())
        });
        let applied = applied.await;
        // Also of the documents before one that is refused.
        if options.output == Format::Json {
            output::line(format_args!("{:#}", Value::from(results)))?;
        }
        applied
    })
}

/// Tells `report` what became of each document once its batch is written.
async fn apply_all(
    client: &Client,
    documents: &[Sourced],
    mut report: impl FnMut(&Sourced, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut done = 0;
    while let Some(rest) = documents.get(done..).filter(|rest| !rest.is_empty()) {
        let mut batch = Batch::default();
        for document in rest {
            batch.push(&document.value)?;
            if batch.is_full() {
                break;
            }
        }
        let results = bulk::write(client, batch)
            .await
            .map_err(|refused| explain(refused, rest, done, documents.len()))?;
        done += results.len();
        for (document, result) in rest.iter().zip(results) {
            report(document, &result)?;
        }
    }
    Ok(())
}

/// Says which document is to blame, and where it stands.
fn explain(refused: Refused, batch: &[Sourced], done: usize, all: usize) -> Failure {
    let Refused { document, failure } = refused;
    let applied = match done {
        0 => "nothing was changed".to_owned(),
        done => format!("{done} of {all} documents applied"),
    };
    match document.and_then(|index| batch.get(index)) {
        Some(Sourced { target, place, .. }) => {
            Failure::new(format_args!("{place}: {target}: {failure} ({applied})"))
        }
        None => Failure::new(format_args!("{failure} ({applied})")),
    }
}
