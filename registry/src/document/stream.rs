//! Many documents one after the other, cut out of a stream of bytes: no more than one of them is
//! held at a time.

use super::MAX_DOCUMENT_TEXT;

/// How the documents of a stream are parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFormat {
    /// One JSON text a line; empty lines count for nothing.
    JsonLines,
    /// YAML documents parted by lines that start with `---`.
    Yaml,
}

/// The text of one document of a stream.
#[derive(Clone, PartialEq, Eq)]
pub struct DocumentText {
    /// The line it starts in, from 1.
    pub line: usize,
    /// The text; it may hold secrets.
    pub text: String,
}

impl std::fmt::Debug for DocumentText {
    /// Hides the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DocumentText")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// Why a stream cannot be cut any further; its writer is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A document is longer than [`MAX_DOCUMENT_TEXT`].
    #[error("line {line}: a document is longer than {MAX_DOCUMENT_TEXT} bytes")]
    TooLong {
        /// The line it starts in, from 1.
        line: usize,
    },
    /// A document is not UTF-8.
    #[error("line {line}: a document is not UTF-8 text")]
    NotUtf8 {
        /// The line it starts in, from 1.
        line: usize,
    },
}

/// Cuts a stream. Bytes go in by [`Splitter::push`], documents come out of [`Splitter::next`] until
/// it needs more bytes; [`Splitter::finish`] gives the last one.
pub struct Splitter {
    format: StreamFormat,
    /// What has come.
    bytes: Vec<u8>,
    /// Where the document starts that is to be given out next.
    start: usize,
    /// Where the line starts that is to be looked at next.
    line_start: usize,
    /// Up to where it is known to hold no line end.
    searched: usize,
    /// Line numbers of the document and of the line to be looked at, from 1.
    first_line: usize,
    line: usize,
}

impl Splitter {
    /// For a stream of this format.
    #[must_use]
    pub fn new(format: StreamFormat) -> Splitter {
        Splitter {
            format,
            bytes: Vec::new(),
            start: 0,
            line_start: 0,
            searched: 0,
            first_line: 1,
            line: 1,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        // What was given out goes all at once, so that each byte is moved only once or twice.
        let start = std::mem::take(&mut self.start);
        self.bytes.drain(..start);
        self.line_start = self.line_start.saturating_sub(start);
        self.searched = self.searched.saturating_sub(start);
        self.bytes.extend_from_slice(bytes);
    }

    /// The next document that is complete; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`StreamError`]; nothing more can be read then.
    #[expect(clippy::should_implement_trait, reason = "it goes on after `None`")]
    pub fn next(&mut self) -> Result<Option<DocumentText>, StreamError> {
        while let Some(end) = self.next_line_end() {
            let line = self.bytes.get(self.line_start..end).unwrap_or_default();
            // What ends a document: the line itself, or the one before a marker.
            let cut = match self.format {
                StreamFormat::JsonLines => Some(end),
                StreamFormat::Yaml => is_marker(line).then_some(self.line_start),
            };
            self.line_start = end;
            self.line += 1;
            if let Some(cut) = cut.filter(|cut| *cut > self.start)
                && let Some(text) = self.take(cut)?
            {
                return Ok(Some(text));
            }
        }
        match self.bytes.len() - self.start > MAX_DOCUMENT_TEXT {
            true => Err(self.too_long()),
            false => Ok(None),
        }
    }

    /// The last document, once the stream has ended and [`Splitter::next`] has no more.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn finish(&mut self) -> Result<Option<DocumentText>, StreamError> {
        self.take(self.bytes.len())
    }

    /// One behind the next line feed.
    fn next_line_end(&mut self) -> Option<usize> {
        let from = self.searched.max(self.line_start);
        let rest = self.bytes.get(from..)?;
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(found) => Some(from + found + 1),
            None => {
                self.searched = self.bytes.len();
                None
            }
        }
    }

    /// Takes the bytes up to `end` out; `None` if they hold no document.
    fn take(&mut self, end: usize) -> Result<Option<DocumentText>, StreamError> {
        let taken = self.bytes.get(self.start..end).unwrap_or_default();
        if taken.len() > MAX_DOCUMENT_TEXT {
            return Err(self.too_long());
        }
        let (line, taken) = (self.first_line, taken.to_vec());
        self.start = end;
        // A marker that ended the document has been counted already.
        self.first_line = self.line - usize::from(self.line_start > end);
        let text = String::from_utf8(taken).map_err(|_| StreamError::NotUtf8 { line })?;
        let holds_something = match self.format {
            StreamFormat::JsonLines => !text.trim().is_empty(),
            StreamFormat::Yaml => text.lines().any(says_something),
        };
        Ok(holds_something.then_some(DocumentText { line, text }))
    }

    fn too_long(&self) -> StreamError {
        let line = self.first_line;
        StreamError::TooLong { line }
    }
}

/// YAML 1.2.2, 9.1.2: at the start of a line, whatever it would stand in, before white space.
fn is_marker(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"---");
    rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Whether a line of YAML is more than white space, a comment or a bare marker.
fn says_something(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    !matches!(line, "" | "---" | "...") && !line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documents of a text that comes in pieces of `size` bytes.
    fn cut(format: StreamFormat, text: &str, size: usize) -> Vec<(usize, String)> {
        let mut splitter = Splitter::new(format);
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            splitter.push(piece);
            while let Some(DocumentText { line, text }) = splitter.next().unwrap() {
                found.push((line, text));
            }
        }
        found.extend(
            splitter
                .finish()
                .unwrap()
                .map(|last| (last.line, last.text)),
        );
        found
    }

    fn owned(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
        let expected = expected.iter();
        expected
            .map(|(line, text)| (*line, (*text).to_owned()))
            .collect()
    }

    #[test]
    fn json_lines_are_cut_at_line_ends_however_they_come() {
        let text = "{\"a\":1}\n\n  \n{\"b\":\"ä\"}\r\n{\"c\":3}";
        let expected = [
            (1, "{\"a\":1}\n"),
            (4, "{\"b\":\"ä\"}\r\n"),
            (5, "{\"c\":3}"),
        ];
        for size in 1..=text.len() {
            assert_eq!(
                cut(StreamFormat::JsonLines, text, size),
                owned(&expected),
                "{size}"
            );
        }
    }

    #[test]
    fn yaml_is_cut_at_markers_however_it_comes() {
        let text = "# head\n---\na: 1\n--- # two\nb: |\n  --- no marker\n  x\n---\n---\n---c: 3\n";
        let expected = [
            (2, "---\na: 1\n"),
            (4, "--- # two\nb: |\n  --- no marker\n  x\n"),
            (9, "---\n---c: 3\n"),
        ];
        for size in 1..=text.len() {
            assert_eq!(
                cut(StreamFormat::Yaml, text, size),
                owned(&expected),
                "{size}"
            );
        }
    }

    #[test]
    fn a_stream_without_documents_has_none() {
        for text in ["", "\n", "# nothing\n", "---\n", "---\n...\n---\n"] {
            assert_eq!(cut(StreamFormat::Yaml, text, 1), [], "{text:?}");
        }
        assert_eq!(cut(StreamFormat::JsonLines, " \n\n", 1), []);
    }

    #[test]
    fn a_document_without_end_is_refused_before_it_fills_the_memory() {
        for format in [StreamFormat::JsonLines, StreamFormat::Yaml] {
            let mut splitter = Splitter::new(format);
            splitter.push(b"---\n{}\n---\n{}\n");
            while splitter.next().unwrap_or(None).is_some() {}
            let mut pushed = 0;
            let refusal = loop {
                splitter.push(&[b' '; 4096]);
                pushed += 4096;
                match splitter.next() {
                    Ok(_) => assert!(pushed <= MAX_DOCUMENT_TEXT + 4096),
                    Err(refusal) => break refusal,
                }
            };
            assert!(matches!(refusal, StreamError::TooLong { .. }), "{refusal}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_refused_by_its_line() {
        let mut splitter = Splitter::new(StreamFormat::JsonLines);
        splitter.push(b"{}\n\xff\n");
        assert!(splitter.next().unwrap().is_some());
        assert_eq!(splitter.next(), Err(StreamError::NotUtf8 { line: 2 }));
    }
}
