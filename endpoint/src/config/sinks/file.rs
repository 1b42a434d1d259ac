//! Keys of a sink of type `file`.

use std::path::PathBuf;

use landfall_events::sink::file::{DEFAULT_KEEP, DEFAULT_ROTATE_BYTES};
use serde::{Deserialize, Deserializer};

use super::{DEFAULT_QUEUE, queue_bytes, value};

/// `file`: one line of structured JSON per event in a file, which is begun anew when it is full.
/// Accepted means synced to the disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSinkConfig {
    /// The file; full ones get `.1`, `.2` and so on behind their names. Its folder must exist. No
    /// default.
    pub path: PathBuf,
    /// A new file is begun before one gets larger than this. Default 64MiB, at least 64KiB.
    #[serde(default = "default_rotate", deserialize_with = "rotate_bytes")]
    pub rotate_bytes: u64,
    /// Full files that are kept, beside the current one; 0 to 1000. Default 8. Danger: older ones are
    /// deleted, read or not.
    #[serde(default = "default_keep", deserialize_with = "keep")]
    pub keep: usize,
    /// As [`super::LogSinkConfig::queue_bytes`].
    #[serde(default = "default_queue", deserialize_with = "queue_bytes")]
    pub queue_bytes: usize,
}

fn default_rotate() -> u64 {
    DEFAULT_ROTATE_BYTES
}

fn default_keep() -> usize {
    DEFAULT_KEEP
}

fn default_queue() -> usize {
    DEFAULT_QUEUE
}

fn rotate_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    value::size_within(deserializer, 64 << 10, u64::MAX)
}

fn keep<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        keep @ 0..=1000 => Ok(keep),
        _ => Err(serde::de::Error::custom("not 0 to 1000")),
    }
}
