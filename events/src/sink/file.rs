//! The sink that writes one structured JSON line per event to a file, and starts a new one when it is
//! full.
//!
//! Accepted means written and synced to the disk. The newest events are in the file of the given
//! name; full ones get `.1`, `.2` and so on behind it, the oldest the highest number.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::Sink;
use super::lines::{Lines, Output};

/// Default size at which a new file is begun: 64 MiB.
pub const DEFAULT_ROTATE_BYTES: u64 = 64 << 20;
/// Default number of full files that are kept.
pub const DEFAULT_KEEP: usize = 8;

/// Where lines go, and how many stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// The file; its folder must exist.
    pub path: PathBuf,
    /// A new file is begun before one gets larger than this. Only an event that is larger by itself
    /// makes a larger file.
    pub rotate_bytes: u64,
    /// Full files that are kept, beside the current one. Older ones are deleted.
    pub keep: usize,
    /// Bound of the queue in bytes.
    pub queue_bytes: usize,
}

/// Starts a sink of the given name. What a crash left of a line at the end of the file, and so of
/// an event that was never accepted, is cut off.
///
/// # Errors
///
/// The file cannot be opened, another process writes to it, or the thread cannot be started. The
/// text names the file.
pub fn start(name: &str, options: FileOptions) -> io::Result<impl Sink + use<>> {
    let queue_bytes = options.queue_bytes;
    let output = Rotating::open(options)?;
    Lines::start(name, queue_bytes, output)
}

struct Rotating {
    options: FileOptions,
    file: File,
    size: u64,
}

impl Rotating {
    fn open(options: FileOptions) -> io::Result<Self> {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", options.path.display()))
        };
        let mut file = open(&options.path).map_err(named)?;
        let size = cut_torn_line(&mut file).map_err(named)?;
        sync_folder(&options.path).map_err(named)?;
        Ok(Self {
            options,
            file,
            size,
        })
    }

    /// Gives every full file the next number, and begins a new one. Whatever it fails at, it can be
    /// tried again.
    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let path = &self.options.path;
        if path.exists() {
            self.shift(path)?;
        }
        self.file = open(path)?;
        self.size = 0;
        sync_folder(path)
    }

    fn shift(&self, path: &Path) -> io::Result<()> {
        let keep = self.options.keep;
        // Up to the first free number: a try that failed half-way left one.
        let full = (1..=keep)
            .take_while(|number| numbered(path, *number).exists())
            .count();
        if full == keep && keep > 0 {
            std::fs::remove_file(numbered(path, keep))?;
        }
        for number in (1..=full.min(keep.saturating_sub(1))).rev() {
            std::fs::rename(numbered(path, number), numbered(path, number + 1))?;
        }
        if keep == 0 {
            std::fs::remove_file(path)
        } else {
            std::fs::rename(path, numbered(path, 1))
        }
    }
}

impl Output for Rotating {
    fn name(&self) -> String {
        self.options.path.display().to_string()
    }

    fn begin(&mut self, bytes: usize) -> io::Result<()> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if self.size > 0 && self.size.saturating_add(bytes) > self.options.rotate_bytes {
            self.rotate()?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.size += u64::try_from(written).unwrap_or_default();
        Ok(written)
    }

    fn commit(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Opens the file for nobody else to write to.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process writes to it",
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The size of the whole lines in the file, which is cut to it.
fn cut_torn_line(file: &mut File) -> io::Result<u64> {
    const PIECE: usize = 64 << 10;
    let size = file.metadata()?.len();
    let mut end = size;
    let mut piece = vec![0; PIECE];
    while end > 0 {
        let start = end.saturating_sub(PIECE as u64);
        let length = usize::try_from(end - start).unwrap_or_default();
        let piece = piece.get_mut(..length).unwrap_or_default();
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < size {
        file.set_len(end)?;
        file.sync_data()?;
    }
    Ok(end)
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

/// A new name is lost with the power unless its folder is synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::sink::testing::Connection;

    const LONG: Duration = Duration::from_secs(60);

    fn options(folder: &Path, rotate_bytes: u64, keep: usize) -> FileOptions {
        FileOptions {
            path: folder.join("events.jsonl"),
            rotate_bytes,
            keep,
            queue_bytes: 1 << 20,
        }
    }

    fn numbers(path: &Path) -> Vec<u64> {
        let text = std::fs::read_to_string(path).unwrap();
        let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
        let number = |line: &str| parse(line)["data"].as_u64().unwrap();
        text.lines().map(number).collect()
    }

    #[test]
    fn what_is_accepted_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let sink = start("file", options(folder.path(), 1 << 20, 2)).unwrap();
        let mut connection = Connection::new("app", "device");
        for number in 0..100u64 {
            connection.encode(&sink, "temp", number.to_string().as_bytes());
        }
        connection.hand_over(&sink);
        connection.recorder.wait_accepted(100);
        let path = folder.path().join("events.jsonl");
        assert_eq!(numbers(&path), (0..100).collect::<Vec<_>>());
        sink.close(LONG).unwrap();

        let sink = start("file", options(folder.path(), 1 << 20, 2)).unwrap();
        let mut connection = Connection::new("app", "device");
        let sequence = connection.publish(&sink, "temp", b"100");
        connection.recorder.wait_accepted(sequence);
        assert_eq!(numbers(&path).len(), 101, "a restart goes on at the end");
    }

    #[test]
    fn full_files_are_numbered_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let sink = start("file", options(folder.path(), 2_000, 2)).unwrap();
        let mut connection = Connection::new("app", "device");
        for number in 0..40u64 {
            let sequence = connection.publish(&sink, "temp", number.to_string().as_bytes());
            connection.recorder.wait_accepted(sequence);
        }
        sink.close(LONG).unwrap();
        let path = folder.path().join("events.jsonl");
        let mut all = numbers(&numbered(&path, 2));
        all.extend(numbers(&numbered(&path, 1)));
        all.extend(numbers(&path));
        let first = all[0];
        assert!(first > 0, "the oldest are gone");
        assert_eq!(all, (first..40).collect::<Vec<_>>());
        assert!(!numbered(&path, 3).exists());
        for file in [&path, &numbered(&path, 1), &numbered(&path, 2)] {
            assert!(file.metadata().unwrap().len() <= 2_000);
        }
    }

    #[test]
    fn nothing_but_the_current_file_is_kept_if_so_told() {
        let folder = tempfile::tempdir().unwrap();
        let sink = start("file", options(folder.path(), 2_000, 0)).unwrap();
        let mut connection = Connection::new("app", "device");
        for number in 0..40u64 {
            let sequence = connection.publish(&sink, "temp", number.to_string().as_bytes());
            connection.recorder.wait_accepted(sequence);
        }
        sink.close(LONG).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
        assert_eq!(
            numbers(&folder.path().join("events.jsonl")).last(),
            Some(&39)
        );
    }

    #[test]
    fn a_line_that_a_crash_tore_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        for torn in [5, 200_000] {
            let mut text = b"{\"data\":1}\n{\"da".to_vec();
            text.resize(text.len() + torn, b'x');
            std::fs::write(&path, &text).unwrap();
            drop(start("file", options(folder.path(), 1 << 20, 2)).unwrap());
            assert_eq!(numbers(&path), [1]);
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = options(&folder.path().join("missing"), 1 << 20, 2);
        let error = start("file", missing).err().unwrap().to_string();
        assert!(error.contains("events.jsonl"), "{error}");
        let _first = start("file", options(folder.path(), 1 << 20, 2)).unwrap();
        let error = start("file", options(folder.path(), 1 << 20, 2))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("another process"), "{error}");
    }
}
