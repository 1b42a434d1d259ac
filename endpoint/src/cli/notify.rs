//! Tells systemd how the service does: `sd_notify(3)`, a datagram to the socket that it names.
//!
//! Without `NOTIFY_SOCKET` nothing is told: the server was not started by systemd, or as a service
//! that tells nothing.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to systemd.
pub(super) struct Notifier {
    /// Socket and address.
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How long systemd waits for a sign of life, if it does.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment of this process says.
    pub(super) fn from_environment() -> Self {
        Self::of(|name| env::var(name).ok(), std::process::id())
    }

    fn of(variable: impl Fn(&str) -> Option<String>, pid: u32) -> Self {
        let socket = variable("NOTIFY_SOCKET").and_then(|path| match open(&path) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(path, %error, "systemd cannot be told anything");
                None
            }
        });
        // sd_watchdog_enabled(3): it is meant for this process, or no process is named.
        let meant = variable("WATCHDOG_PID").is_none_or(|meant| meant == pid.to_string());
        let watchdog = variable("WATCHDOG_USEC").filter(|_| meant && socket.is_some());
        let watchdog = watchdog.and_then(|micros| micros.parse().ok());
        Self {
            socket,
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// The service is up.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The service stops, which may take so long.
    pub(super) fn stopping(&self, patience: Duration) {
        let micros = patience.as_micros();
        self.tell(&format!(
            "STOPPING=1\nSTATUS=Draining connections\nEXTEND_TIMEOUT_USEC={micros}"
        ));
    }

    /// Gives signs of life, twice as often as they are asked for, as long as tasks are worked on.
    pub(super) async fn keep_alive(&self) {
        let Some(watchdog) = self.watchdog else {
            return std::future::pending().await;
        };
        let mut ticks = tokio::time::interval((watchdog / 2).max(Duration::from_millis(1)));
        loop {
            ticks.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, message: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(message.as_bytes(), address)
        {
            tracing::debug!(%error, "systemd was not told");
        }
    }
}

/// A path, or a name in the abstract namespace, which begins with `@`.
fn open(path: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test]
    async fn systemd_is_told_of_start_life_and_stop() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let path = path.to_str().unwrap();
        let notifier = Notifier::of(
            |name| match name {
                "NOTIFY_SOCKET" => Some(path.to_owned()),
                "WATCHDOG_USEC" => Some("2000".to_owned()),
                "WATCHDOG_PID" => Some("7".to_owned()),
                _ => None,
            },
            7,
        );
        notifier.ready("Serving");
        assert_eq!(told(&systemd), "READY=1\nSTATUS=Serving");
        let life = notifier.keep_alive();
        let _ = tokio::time::timeout(Duration::from_millis(20), life).await;
        assert_eq!(told(&systemd), "WATCHDOG=1");
        assert_eq!(told(&systemd), "WATCHDOG=1");
        drop(notifier);
    }

    #[test]
    fn a_stop_asks_for_the_time_that_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let notifier = Notifier::of(|name| (name == "NOTIFY_SOCKET").then(|| path.clone()), 1);
        assert_eq!(notifier.watchdog, None);
        notifier.stopping(Duration::from_secs(3));
        let told = told(&systemd);
        assert!(
            told.starts_with("STOPPING=1\n") && told.ends_with("EXTEND_TIMEOUT_USEC=3000000"),
            "{told}"
        );
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let notifier = Notifier::of(
            |name| match name {
                "NOTIFY_SOCKET" => Some("@landfall-test-watchdog".to_owned()),
                "WATCHDOG_USEC" => Some("2000".to_owned()),
                "WATCHDOG_PID" => Some("8".to_owned()),
                _ => None,
            },
            7,
        );
        assert!(notifier.socket.is_some());
        assert_eq!(notifier.watchdog, None);
    }
}
