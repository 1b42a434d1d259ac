//! Starting a server on a free loopback port with data of its own, and stopping it by its pid.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::Spec;
use super::contest::Contestant;
use super::identity::Identity;
use super::landfall::{Prepared, Sink};
use crate::client::Way;
use crate::error::{Error, Result, ServerFault};

/// How long a server may take to answer on its port, or to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// As Debian's, but quiet, without a file, and with no limit on what waits for the subscriber.
/// Nagle's algorithm stays on, mosquitto's default: it sends each acknowledgement by itself, and
/// without Nagle it needs a third more CPU for it.
const MOSQUITTO: &str = "allow_anonymous true
persistence false
log_dest none
connection_messages false
max_inflight_messages 0
max_queued_messages 0
";

/// How to start each contestant.
pub(super) struct Start<'a> {
    pub spec: &'a Spec,
    pub landfall: Option<&'a Prepared>,
    /// What servers of TLS show.
    pub identity: Option<&'a Identity>,
    /// How they are reached.
    pub way: Way,
}

impl Start<'_> {
    /// Starts a fresh server and waits until it takes connections.
    pub(super) fn server(&self, contestant: Contestant) -> Result<Running> {
        match contestant {
            Contestant::Floor => self.floor(),
            Contestant::Mosquitto | Contestant::MosquittoSubscribed => self.mosquitto(),
            Contestant::LandfallBlackhole => self.landfall(Sink::Blackhole),
            Contestant::LandfallLog => self.landfall(Sink::Log),
        }
    }

    fn floor(&self) -> Result<Running> {
        let own = std::env::current_exe().map_err(Error::machine("find this program"))?;
        let address = free_address()?;
        let bind = address.to_string();
        let arguments = ["run-floor", "--bind", &bind].map(OsStr::new);
        Running::start(&own, &arguments, address, folder(self.spec)?)
    }

    fn mosquitto(&self) -> Result<Running> {
        let binary = self.spec.mosquitto.as_deref().map(find).unwrap_or_default();
        let folder = folder(self.spec)?;
        let address = free_address()?;
        let file = folder.path().join("mosquitto.conf");
        let mut listener = format!("listener {} {}\n", address.port(), address.ip());
        if self.way.over.is_websocket() {
            listener += "protocol websockets\n";
        }
        if let Some(identity) = self.identity {
            let (certificate, key) = (identity.certificate(), identity.key());
            listener += &format!(
                "certfile {}\nkeyfile {}\n",
                certificate.display(),
                key.display()
            );
        }
        fs::write(&file, listener + MOSQUITTO).map_err(Error::machine("write mosquitto.conf"))?;
        Running::start(
            &binary,
            &[OsStr::new("-c"), file.as_os_str()],
            address,
            folder,
        )
    }

    fn landfall(&self, sink: Sink) -> Result<Running> {
        let prepared = self
            .landfall
            .ok_or_else(|| Error::Usage("Landfall's binary is not named".to_owned()))?;
        prepared.start(sink, folder(self.spec)?, self.way.over, self.identity)
    }
}

/// A server that runs; stopped at the latest when it is dropped.
pub(super) struct Running {
    /// Where it takes MQTT.
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Running {
    /// Starts `binary`, its output going to a file in `folder`, and waits until `address` answers.
    pub(super) fn start(
        binary: &Path,
        arguments: &[&OsStr],
        address: SocketAddr,
        folder: TempDir,
    ) -> Result<Self> {
        let output =
            File::create(output_file(&folder)).map_err(Error::machine("create an output file"))?;
        let errors = output
            .try_clone()
            .map_err(Error::machine("create an output file"))?;
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(Error::machine(format!("start {}", binary.display())))?;
        let mut running = Self {
            address,
            child,
            folder,
        };
        running.wait_until(|| TcpStream::connect(address).is_ok())?;
        Ok(running)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits for something that the server does when it has started.
    pub(super) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !ready() {
            let ended = self
                .child
                .try_wait()
                .map_err(Error::machine("watch the server"))?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(ServerFault::DidNotStart(self.last_words()).into());
            }
            park_timeout(POLL);
        }
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// `Server` if it does not; it is killed then.
    pub(super) fn stop(mut self) -> Result<()> {
        self.terminate()
            .then_some(())
            .ok_or_else(|| ServerFault::Stalled(PATIENCE).into())
    }

    /// Stops it and gives its data to the caller.
    pub(super) fn stop_and_keep(mut self) -> Result<TempDir> {
        if !self.terminate() {
            return Err(ServerFault::Stalled(PATIENCE).into());
        }
        let elsewhere = TempDir::new().map_err(Error::machine("create a folder"))?;
        Ok(std::mem::replace(&mut self.folder, elsewhere))
    }

    fn terminate(&mut self) -> bool {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // Fails only if it has ended already.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => park_timeout(POLL),
                Ok(Some(_)) | Err(_) => return true,
            }
        }
        false
    }

    /// The end of what the server has printed.
    fn last_words(&self) -> String {
        let output = fs::read_to_string(output_file(&self.folder)).unwrap_or_default();
        let lines: Vec<&str> = output.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the server has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of its own for one server.
pub(super) fn folder(spec: &Spec) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("landfall-load-");
    match &spec.data_dir {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    }
    .map_err(Error::machine("create a folder"))
}

/// A loopback address that was free a moment ago.
pub(super) fn free_address() -> Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(Error::machine("find a free port"))
}

fn output_file(folder: &TempDir) -> PathBuf {
    folder.path().join("output")
}

/// A bare name that is not on PATH is looked for where Debian keeps daemons.
fn find(binary: &Path) -> PathBuf {
    let daemon = Path::new("/usr/sbin").join(binary);
    let on_path = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(binary).is_file())
    };
    let bare = binary.components().count() == 1;
    if bare && !on_path() && daemon.is_file() {
        daemon
    } else {
        binary.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, address: SocketAddr) -> Result<Running> {
        let arguments = ["-c", script].map(OsStr::new);
        Running::start(
            Path::new("/bin/sh"),
            &arguments,
            address,
            TempDir::new().unwrap(),
        )
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported_with_its_last_words() {
        let fault = sh("echo no such option >&2; exit 3", free_address().unwrap())
            .err()
            .unwrap();
        let Error::Server(ServerFault::DidNotStart(words)) = fault else {
            panic!("{fault}");
        };
        assert_eq!(words, "no such option");
    }

    #[test]
    fn a_server_is_stopped_by_its_pid() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let running = sh("exec sleep 1000", listener.local_addr().unwrap()).unwrap();
        let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap());
        assert!(kill(pid, None).is_ok());
        running.stop().unwrap();
        assert!(kill(pid, None).is_err());
    }

    #[test]
    fn a_binary_that_is_not_there_is_named() {
        let missing = Path::new("/no/such/server");
        let fault = Running::start(
            missing,
            &[],
            free_address().unwrap(),
            TempDir::new().unwrap(),
        )
        .err()
        .unwrap();
        assert!(fault.to_string().contains("/no/such/server"), "{fault}");
    }
}
