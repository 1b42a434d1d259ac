//! Landfall as a contestant: its configuration, and devices that may log in.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::Spec;
use super::identity::Identity;
use super::server::{Running, folder, free_address};
use crate::client::Over;
use crate::error::{Error, Result};
use crate::http::Client;

/// User name of connection n.
pub(super) const USERNAME: &str = "d{i}@bench";
/// Of a throw-away registry on loopback; stored as it is, so that a log-in costs no slow hash.
pub(super) const PASSWORD: &str = "bench-secret";

/// Where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    /// Encoded and forgotten.
    Blackhole,
    /// The embedded durable log.
    Log,
}

impl Sink {
    fn name(self) -> &'static str {
        match self {
            Self::Blackhole => "blackhole",
            Self::Log => "log",
        }
    }
}

/// A binary, and a data folder in which its devices are registered. Every start works on a copy, so
/// that no run sees the events of another and devices are registered once.
pub(super) struct Prepared {
    binary: PathBuf,
    template: TempDir,
}

/// Registers application `bench` with devices `d0` to `d{devices - 1}`.
pub(super) fn prepare(binary: &Path, spec: &Spec, devices: u32) -> Result<Prepared> {
    eprintln!("registering {devices} devices");
    let api = free_address()?;
    let text = |mqtt| config(Sink::Blackhole, mqtt, api, "");
    let mut running = start(binary, folder(spec)?, text)?;
    let token_file = running.folder().join("token");
    running.wait_until(|| fs::metadata(&token_file).is_ok_and(|file| file.len() > 0))?;
    let token = fs::read_to_string(&token_file).map_err(Error::machine("read the API token"))?;
    running.wait_until(|| std::net::TcpStream::connect(api).is_ok())?;
    register(api, token.trim(), devices)?;
    Ok(Prepared {
        binary: binary.to_owned(),
        template: running.stop_and_keep()?,
    })
}

impl Prepared {
    /// Starts on a copy of the registered devices.
    pub(super) fn start(
        &self,
        sink: Sink,
        folder: TempDir,
        over: Over,
        identity: Option<&Identity>,
    ) -> Result<Running> {
        let copying = || Error::machine("copy the registry");
        let data = data_dir(folder.path());
        fs::create_dir(&data).map_err(copying())?;
        for entry in fs::read_dir(data_dir(self.template.path())).map_err(copying())? {
            let entry = entry.map_err(copying())?;
            if entry.file_type().map_err(copying())?.is_file() {
                fs::copy(entry.path(), data.join(entry.file_name())).map_err(copying())?;
            }
        }
        let (api, keys) = (free_address()?, listener(over, identity));
        start(&self.binary, folder, |mqtt| config(sink, mqtt, api, &keys))
    }
}

/// Starts with a configuration for a free address.
fn start(
    binary: &Path,
    folder: TempDir,
    config: impl FnOnce(SocketAddr) -> String,
) -> Result<Running> {
    let address = free_address()?;
    let file = folder.path().join("landfall.toml");
    fs::write(&file, config(address)).map_err(Error::machine("write landfall.toml"))?;
    let arguments = [
        OsStr::new("serve"),
        OsStr::new("--config"),
        file.as_os_str(),
    ];
    Running::start(binary, &arguments, address, folder)
}

/// The keys of a listener.
fn listener(over: Over, identity: Option<&Identity>) -> String {
    let transport = match over.is_websocket() {
        true => "transport = \"websocket\"\n",
        false => "",
    };
    let tls = identity.map(|identity| {
        let (certificate, key) = (identity.certificate(), identity.key());
        let (certificate, key) = (certificate.display(), key.display());
        format!("[listeners.tls]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
    });
    format!("{transport}{}", tls.unwrap_or_default())
}

fn config(sink: Sink, mqtt: SocketAddr, api: SocketAddr, listener: &str) -> String {
    let sink = sink.name();
    format!(
        "instance = \"bench\"
data_dir = \"data\"
[[listeners]]
bind = \"{mqtt}\"
{listener}[api]
bind = \"{api}\"
token_file = \"token\"
[registry]
store = \"sqlite\"
hash_passwords = false
[[sinks]]
name = \"events\"
type = \"{sink}\"
required = true
[log]
level = \"warn\"
"
    )
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn register(api: SocketAddr, token: &str, devices: u32) -> Result<()> {
    let mut client = Client::connect(api, token)?;
    client.post_json(
        "/api/registry/v1alpha1/apps",
        &json!({ "metadata": { "name": "bench" } }),
    )?;
    for n in 0..devices {
        let device = json!({
            "metadata": { "name": format!("d{n}"), "application": "bench" },
            "spec": { "authentication": { "credentials": [ { "pass": PASSWORD } ] } },
        });
        client.post_json("/api/registry/v1alpha1/apps/bench/devices", &device)?;
    }
    Ok(())
}
