//! `[[command_sources]]`: where commands come from, beside HTTP.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de::Error};

use super::nats::{NatsAccess, RawAccess};
use super::sinks::TlsClientConfig;
use crate::command::nats::Subjects;

/// One system that hands commands in, and is told what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct CommandSourceConfig {
    /// Its name in log and metrics: 1 to 63 of `a` to `z`, `0` to `9` and `-`. No default; no two
    /// alike.
    pub name: String,
    /// `type` is `nats`: each request is a command, its reply the outcome.
    pub nats: NatsSourceConfig,
}

/// Keys of a command source of type `nats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsSourceConfig {
    /// How NATS is reached.
    pub access: NatsAccess,
    /// `prefix`: commands come on `{prefix}.{application}.{device}.{command}`. Default `commands`.
    /// Danger: whoever may publish there may send commands to every device: restrict it in NATS.
    pub subjects: Subjects,
    /// `group`: sources of one group, on all instances, share the requests. Default `landfall`.
    pub group: String,
    /// `concurrency`: commands under way at once; as many more wait. Default 1000, from 1 to 65,536.
    pub concurrency: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    servers: Vec<String>,
    #[serde(default = "default_prefix")]
    prefix: String,
    #[serde(default = "default_group")]
    group: String,
    credentials_file: Option<PathBuf>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    #[serde(default)]
    tls: TlsClientConfig,
    #[serde(default)]
    require_tls: bool,
    #[serde(default = "default_concurrency", deserialize_with = "concurrency")]
    concurrency: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Nats,
}

impl TryFrom<Raw> for CommandSourceConfig {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let Kind::Nats = raw.kind;
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=63).contains(&raw.name.len()) || !raw.name.bytes().all(allowed) {
            return Err(format!(
                "a command source's name is 1 to 63 of a-z, 0-9 and `-`, not `{}`",
                raw.name
            ));
        }
        let access = NatsAccess::of(RawAccess {
            servers: raw.servers,
            credentials_file: raw.credentials_file,
            token: (raw.token, raw.token_file),
            user: raw.user,
            password: (raw.password, raw.password_file),
            tls: raw.tls,
            require_tls: raw.require_tls,
        })?;
        if raw.group.is_empty() || !raw.group.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("`group` is a word of printable ASCII".to_owned());
        }
        let subjects = Subjects::new(&raw.prefix).map_err(|error| format!("`prefix`: {error}"))?;
        Ok(Self {
            name: raw.name,
            nats: NatsSourceConfig {
                access,
                subjects,
                group: raw.group,
                concurrency: raw.concurrency,
            },
        })
    }
}

/// Checks the sources against one another; relative paths start at `folder`.
pub(super) fn resolve(
    mut sources: Vec<CommandSourceConfig>,
    folder: &Path,
) -> Result<Vec<CommandSourceConfig>, String> {
    for (index, source) in sources.iter().enumerate() {
        let before = sources.iter().take(index);
        if before
            .map(|other| &other.name)
            .any(|name| *name == source.name)
        {
            return Err(format!("two command sources are named `{}`", source.name));
        }
    }
    for source in &mut sources {
        source.nats.access.start_at(folder);
    }
    Ok(sources)
}

fn default_prefix() -> String {
    "commands".to_owned()
}

fn default_group() -> String {
    "landfall".to_owned()
}

fn default_concurrency() -> usize {
    1_000
}

fn concurrency<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let concurrency = usize::deserialize(deserializer)?;
    match concurrency {
        1..=65_536 => Ok(concurrency),
        _ => Err(D::Error::custom("concurrency is 1 to 65536")),
    }
}
