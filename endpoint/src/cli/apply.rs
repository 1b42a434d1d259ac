//! `apply`: makes the server's registry hold what documents say.
//!
//! Everything is read and validated before anything is sent. The server decides what a document
//! changes, because only it can tell whether a plain password is the one whose hash it stores: a
//! PUT with `apply=true` creates, replaces or leaves the resource, and says which.

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;

use super::{
    Client, Failure,
    client::{self, ServerOptions, registry_path},
    documents::{self, Sourced, Target},
    output,
};

#[derive(Args, Debug)]
pub(super) struct Options {
    /// A file of YAML or JSON documents, a folder of such files, or - for standard input
    #[arg(short, long = "file", value_name = "FILE_OR_DIR", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerOptions,
}

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let documents = documents::read_all(&options.files)?;
    let client = Client::new(options.server)?;
    client::block_on(apply_all(&client, &documents))
}

async fn apply_all(client: &Client, documents: &[Sourced]) -> Result<(), Failure> {
    for (done, document) in documents.iter().enumerate() {
        let result = apply(client, document).await.map_err(|failure| {
            let (target, all) = (&document.target, documents.len());
            Failure::new(format_args!(
                "{target}: {failure} ({done} of {all} documents applied)"
            ))
        })?;
        output::line(format_args!("{} {result}", document.target))?;
    }
    Ok(())
}

async fn apply(client: &Client, document: &Sourced) -> Result<String, Failure> {
    let path = match &document.target {
        Target::Application(name) => registry_path(name, None),
        Target::Device { application, name } => registry_path(application, Some(name)),
    };
    let request = client
        .quick(Method::PUT, &path)
        .query(&[("apply", "true")])
        .json(&document.value);
    let response = client.send(request).await?;
    match response
        .headers()
        .get("landfall-result")
        .map(|result| result.to_str())
    {
        Some(Ok(result)) => Ok(result.to_owned()),
        _ => Err(Failure::new("the server does not say what it did")),
    }
}
