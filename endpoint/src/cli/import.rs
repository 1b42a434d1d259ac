//! `import`: documents of any number, out of a stream that is never held whole.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use landfall_registry::document::{
    Document, document_values,
    stream::{DocumentText, Splitter, StreamFormat},
};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{
    Client, Failure,
    bulk::{self, Batch, Refused},
    client::{self, ServerOptions},
    output,
    progress::Progress,
};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  landfall import devices.ndjson
  zcat backup.yaml.gz | landfall import -

The file holds JSON documents, one a line, or YAML documents parted by ---. An import that broke off
can be started again: what is there already is left as it is.")]
pub(super) struct Options {
    /// The file, or - for standard input
    file: PathBuf,
    /// Read and validate everything, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not read the whole file for invalid documents before the first is written; standard input
    /// never is
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    server: ServerOptions,
}

/// Bytes read at a time.
const CHUNK: usize = 256 << 10;
/// Invalid documents that are listed.
const MOST_PROBLEMS: usize = 20;

pub(super) fn run(options: Options) -> Result<(), Failure> {
    let from_stdin = options.file == Path::new("-");
    if options.dry_run || !(from_stdin || options.no_check) {
        let checked = check(&options.file)?;
        if options.dry_run {
            return output::line(format_args!("{checked} documents are valid"));
        }
    }
    let client = Arc::new(Client::new(options.server)?);
    client::block_on(import(client, &options.file))
}

/// Validates all documents of a file. Returns how many there are.
fn check(file: &Path) -> Result<usize, Failure> {
    let mut source = Source::open(file, "checking")?;
    let (mut documents, mut problems) = (0, Vec::new());
    while let Some(text) = source.next()? {
        match values(&text) {
            Ok(values) => documents += values.len(),
            Err(reason) => problems.push(source.at(text.line, &reason)),
        }
        source.progress.documents(documents);
        if problems.len() >= MOST_PROBLEMS {
            problems.push("there may be more".to_owned());
            break;
        }
    }
    source.progress.finish();
    match problems.is_empty() {
        true => Ok(documents),
        false => Err(Failure::new(format_args!(
            "nothing was changed:\n{}",
            problems.join("\n")
        ))),
    }
}

async fn import(client: Arc<Client>, file: &Path) -> Result<(), Failure> {
    let mut source = Source::open(file, "importing")?;
    let mut written = Written::default();
    let mut under_way: Option<Sent> = None;
    loop {
        let (batch, lines) = next_batch(&mut source)
            .map_err(|failure| Failure::new(format_args!("{failure} ({written})")))?;
        // While the server writes a batch, the next one was read.
        if let Some(sent) = under_way.take() {
            written.add(sent.results(&source, &written).await?);
            source.progress.documents(written.all());
        }
        if batch.len() == 0 {
            source.progress.finish();
            return output::line(&written);
        }
        let client = Arc::clone(&client);
        under_way = Some(Sent {
            lines,
            task: tokio::spawn(async move { bulk::write(&client, batch).await }),
        });
        // Sends it before the next batch is read.
        tokio::task::yield_now().await;
    }
}

/// The next documents, with the lines that they start in; none at the end.
fn next_batch(source: &mut Source) -> Result<(Batch, Vec<usize>), Failure> {
    let (mut batch, mut lines) = (Batch::default(), Vec::new());
    while !batch.is_full() {
        let Some(text) = source.next()? else { break };
        let values = values(&text).map_err(|reason| Failure::new(source.at(text.line, &reason)))?;
        for value in &values {
            batch.push(value)?;
            lines.push(text.line);
        }
    }
    Ok((batch, lines))
}

/// The valid documents of a text: one, or the items of a list.
fn values(text: &DocumentText) -> Result<Vec<Value>, String> {
    let values = document_values(&text.text).map_err(|invalid| {
        let reasons = invalid.documents.iter().map(|d| d.invalid.to_string());
        reasons.collect::<Vec<_>>().join("; ")
    })?;
    for value in &values {
        Document::read(value.clone()).map_err(|invalid| invalid.to_string())?;
    }
    Ok(values)
}

/// A batch that the server is writing.
struct Sent {
    lines: Vec<usize>,
    task: JoinHandle<Result<Vec<String>, Refused>>,
}

impl Sent {
    async fn results(self, source: &Source, written: &Written) -> Result<Vec<String>, Failure> {
        let result = self.task.await.map_err(Failure::new)?;
        result.map_err(|refused| {
            let line = refused.document.and_then(|index| self.lines.get(index));
            let failure = match line {
                Some(line) => source.at(*line, &refused.failure),
                None => refused.failure.to_string(),
            };
            Failure::new(format_args!("{failure} ({written})"))
        })
    }
}

/// What became of the documents so far.
#[derive(Default)]
struct Written {
    created: usize,
    updated: usize,
    unchanged: usize,
}

impl Written {
    fn add(&mut self, results: Vec<String>) {
        for result in results {
            match result.as_str() {
                "created" => self.created += 1,
                "updated" => self.updated += 1,
                _ => self.unchanged += 1,
            }
        }
    }

    fn all(&self) -> usize {
        self.created + self.updated + self.unchanged
    }
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            created,
            updated,
            unchanged,
        } = self;
        write!(
            f,
            "{created} created, {updated} updated, {unchanged} unchanged"
        )
    }
}

/// A file that is read document by document.
struct Source {
    name: String,
    reader: Box<dyn Read>,
    /// Known once the first bytes are there.
    splitter: Option<Splitter>,
    ended: bool,
    progress: Progress,
}

impl Source {
    fn open(path: &Path, what: &'static str) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let reader = Box::new(io::stdin().lock());
            return Ok(Self::new("standard input".to_owned(), reader, None, what));
        }
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        });
        let (file, bytes) =
            opened.map_err(|error| Failure::new(format_args!("{name}: {error}")))?;
        Ok(Self::new(name, Box::new(file), Some(bytes), what))
    }

    fn new(name: String, reader: Box<dyn Read>, bytes: Option<u64>, what: &'static str) -> Self {
        Self {
            name,
            reader,
            splitter: None,
            ended: false,
            progress: Progress::new(what, bytes),
        }
    }

    /// The next document.
    fn next(&mut self) -> Result<Option<DocumentText>, Failure> {
        let broken = |name: &str, error: &dyn std::fmt::Display| {
            Failure::new(format_args!("{name}: {error}"))
        };
        loop {
            if let Some(splitter) = &mut self.splitter
                && let Some(text) = splitter
                    .next()
                    .map_err(|error| broken(&self.name, &error))?
            {
                return Ok(Some(text));
            }
            if self.ended {
                return Ok(None);
            }
            let mut chunk = vec![0; CHUNK];
            let read = self.reader.read(&mut chunk);
            let read = read.map_err(|error| broken(&self.name, &error))?;
            chunk.truncate(read);
            if read == 0 {
                self.ended = true;
                let last = self.splitter.as_mut().map(Splitter::finish).transpose();
                return Ok(last.map_err(|error| broken(&self.name, &error))?.flatten());
            }
            self.progress.bytes(read);
            let splitter = self
                .splitter
                .get_or_insert_with(|| Splitter::new(format(&chunk)));
            splitter.push(&chunk);
        }
    }

    /// A text about a line.
    fn at(&self, line: usize, text: &dyn std::fmt::Display) -> String {
        format!("{}, line {line}: {text}", self.name)
    }
}

/// What starts like a JSON object is one JSON document a line; YAML in flow style goes to `apply`.
fn format(start: &[u8]) -> StreamFormat {
    match start.trim_ascii_start().first() {
        Some(b'{') => StreamFormat::JsonLines,
        _ => StreamFormat::Yaml,
    }
}
