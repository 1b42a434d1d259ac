//! Sockets that listen: TCP, several on one port if asked for, and Unix.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use super::Peer;
use crate::config::{Bind, ListenerConfig};

/// Connections that may wait for the accept loop.
const BACKLOG: u32 = 4096;

/// A socket that listens.
pub enum Listening {
    /// An IP address and port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixSocket),
}

/// A Unix socket; its file goes with it.
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// A connection's socket.
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

/// Where a listener was really bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound(pub Bind);

impl Bound {
    /// The IP address and port.
    pub fn tcp(&self) -> Option<SocketAddr> {
        self.0.tcp()
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Binds an address as its listener is configured; as many sockets as it has accept loops.
///
/// # Errors
///
/// The address is in use, not local, or not allowed.
pub fn bind_listener(config: &ListenerConfig) -> io::Result<Vec<Listening>> {
    match &config.bind {
        Bind::Tcp(address) => {
            let loops = config.accept_loops.get();
            let first = bind_shared(*address, loops > 1, config.tcp_keepalive)?;
            // Port 0 is chosen once.
            let address = first.local_addr()?;
            let mut sockets = vec![Listening::Tcp(first)];
            for _ in 1..loops {
                let more = bind_shared(address, true, config.tcp_keepalive)?;
                sockets.push(Listening::Tcp(more));
            }
            Ok(sockets)
        }
        Bind::Unix(path) => Ok(vec![Listening::Unix(bind_unix(path)?)]),
    }
}

/// Binds an IP address and port.
///
/// # Errors
///
/// The address is in use, not local, or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_shared(address, false, None)
}

fn bind_shared(
    address: SocketAddr,
    shared: bool,
    keepalive: Option<Duration>,
) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A restarted server must not wait for the old connections' TIME_WAIT.
    socket.set_reuseaddr(true)?;
    if shared {
        socket.set_reuseport(true)?;
    }
    // Accepted sockets inherit this, and the next. Acknowledgements are small and already coalesced.
    socket.set_nodelay(true)?;
    if let Some(silence) = keepalive {
        SockRef::from(&socket).set_tcp_keepalive(&probes(silence))?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The first probe after `silence`, further ones until a minute of them has been in vain.
fn probes(silence: Duration) -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(silence)
        .with_interval(Duration::from_secs(15))
        .with_retries(4)
}

fn bind_unix(path: &Path) -> io::Result<UnixSocket> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }?;
    Ok(UnixSocket {
        listener,
        path: path.to_owned(),
    })
}

/// Whether a socket's file was left behind by a process that is gone.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket());
    let refused = std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
    is_socket && refused
}

impl Listening {
    /// Where it was bound.
    pub fn bound(&self) -> io::Result<Bound> {
        Ok(Bound(match self {
            Self::Tcp(listener) => Bind::Tcp(listener.local_addr()?),
            Self::Unix(socket) => Bind::Unix(socket.path.clone()),
        }))
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Socket::Tcp(stream), peer.into()))
            }
            Self::Unix(socket) => {
                let (stream, _) = socket.listener.accept().await?;
                Ok((Socket::Unix(stream), Peer::Local))
            }
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(loops: usize, keepalive: Option<Duration>) -> Vec<Listening> {
        let config = ListenerConfig {
            accept_loops: loops.try_into().unwrap(),
            tcp_keepalive: keepalive,
            ..ListenerConfig::at(SocketAddr::from(([127, 0, 0, 1], 0)).into())
        };
        bind_listener(&config).unwrap()
    }

    async fn connected(listening: &Listening) -> TcpStream {
        let Bind::Tcp(address) = listening.bound().unwrap().0 else {
            panic!("a TCP listener")
        };
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listening.accept());
        client.unwrap();
        match accepted.unwrap() {
            (Socket::Tcp(stream), Peer::Ip(..)) => stream,
            _ => panic!("a TCP connection"),
        }
    }

    #[tokio::test]
    async fn accepted_connections_have_the_keep_alive_of_their_listener() {
        let listening = tcp(1, Some(Duration::from_secs(77)));
        let stream = connected(&listening[0]).await;
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(77)
        );
        let stream = connected(&tcp(1, None)[0]).await;
        assert!(!SockRef::from(&stream).keepalive().unwrap());
    }

    #[tokio::test]
    async fn accepted_connections_send_small_packets_at_once() {
        let stream = connected(&tcp(1, None)[0]).await;
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn accept_loops_share_one_port() {
        let listening = tcp(3, None);
        let ports: Vec<_> = listening.iter().map(|one| one.bound().unwrap()).collect();
        assert_eq!(ports.len(), 3);
        assert!(ports.iter().all(|port| *port == ports[0]));
    }

    #[tokio::test]
    async fn a_unix_socket_that_nobody_serves_is_replaced() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("mqtt.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = bind_unix(&path).unwrap();
        let taken = bind_unix(&path).err().map(|error| error.kind());
        assert_eq!(taken, Some(io::ErrorKind::AddrInUse), "it is served");
        drop(socket);
        assert!(!path.exists());
        std::fs::write(&path, "a file").unwrap();
        assert!(bind_unix(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"a file");
    }
}
