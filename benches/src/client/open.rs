//! Logging in: one connection after the other, before anything is measured.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Instant;

use clap::Args;
use mio::{Events, Poll, Token};

use super::{Connection, STALL, Way, misplaced};
use crate::error::{Error, Result, ServerFault};
use crate::mqtt::{Connect, Qos, Reply, Version, subscribe};

/// Which server, and as whom.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// Server to connect to
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883", value_parser = resolve)]
    pub address: SocketAddr,
    #[command(flatten)]
    pub way: Way,
    /// Protocol version to speak
    #[arg(long, value_name = "VERSION", default_value = "3.1.1")]
    pub mqtt: Version,
    /// Client id; {i} is the connection's number, from 0
    #[arg(long, value_name = "TEXT", default_value = "load-{i}", value_parser = short)]
    pub client_id: String,
    /// User name; {i} is the connection's number, from 0
    #[arg(long, value_name = "TEXT", value_parser = short)]
    pub username: Option<String>,
    /// Password, the same for all connections
    #[arg(long, value_name = "TEXT", env = "LANDFALL_LOAD_PASSWORD", hide_env_values = true, value_parser = short)]
    pub password: Option<String>,
    /// Process of the server; without it, neither CPU time nor memory is reported
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
}

impl Target {
    /// The CONNECT packet of connection `n`.
    pub(crate) fn connect(&self, n: usize, keep_alive: u16) -> Vec<u8> {
        let username = self.username.as_deref().map(|text| numbered(text, n));
        Connect {
            version: self.mqtt,
            client_id: &numbered(&self.client_id, n),
            username: username.as_deref(),
            password: self.password.as_deref(),
            keep_alive,
        }
        .encode()
    }
}

/// Replaces `{i}` by the connection's number.
pub(crate) fn numbered(text: &str, n: usize) -> String {
    text.replace("{i}", &n.to_string())
}

/// A text that leaves room for a number in the 65,535 bytes of an MQTT string.
pub(crate) fn short(text: &str) -> std::result::Result<String, String> {
    if text.len() > 60_000 {
        return Err("over 60,000 bytes".to_owned());
    }
    Ok(text.to_owned())
}

fn resolve(text: &str) -> std::result::Result<SocketAddr, String> {
    text.to_socket_addrs()
        .map_err(|fault| fault.to_string())?
        .next()
        .ok_or_else(|| "has no address".to_owned())
}

/// A logged-in connection, and how many publishes above QoS 0 it may have in flight.
pub(crate) struct Opened {
    pub connection: Connection,
    pub receive_maximum: u16,
}

/// Connects, logs in as number `n`, and subscribes if a filter is given.
///
/// # Errors
/// `Server` if it refuses either, closes, or is silent for [`STALL`].
pub(crate) fn open(
    target: &Target,
    n: usize,
    keep_alive: u16,
    subscription: Option<(&str, Qos)>,
) -> Result<Opened> {
    let mut handshake = Handshake::start(target, n)?;
    let receive_maximum = match handshake.exchange(&target.connect(n, keep_alive))? {
        Reply::ConnAck {
            code: 0,
            receive_maximum,
        } => receive_maximum,
        Reply::ConnAck { code, .. } => {
            return Err(ServerFault::RefusedConnect {
                connection: n,
                code,
            }
            .into());
        }
        reply => return Err(misplaced(reply)),
    };
    if let Some((filter, qos)) = subscription {
        match handshake.exchange(&subscribe(target.mqtt, 1, filter, qos))? {
            Reply::SubAck { code } if code < 0x80 => {}
            Reply::SubAck { code } => {
                let filter = filter.to_owned();
                return Err(ServerFault::RefusedSubscribe { filter, code }.into());
            }
            reply => return Err(misplaced(reply)),
        }
    }
    Ok(Opened {
        connection: handshake.finish()?,
        receive_maximum,
    })
}

struct Handshake {
    connection: Connection,
    poll: Poll,
    buffer: Vec<u8>,
}

impl Handshake {
    fn start(target: &Target, n: usize) -> Result<Self> {
        let what = || format!("connect to {}", target.address);
        let stream = TcpStream::connect(target.address).map_err(Error::machine(what()))?;
        stream.set_nodelay(true).map_err(Error::machine(what()))?;
        stream
            .set_nonblocking(true)
            .map_err(Error::machine(what()))?;
        let stream = mio::net::TcpStream::from_std(stream);
        let mut connection = Connection::new(stream, &target.way, n, target.mqtt)?;
        let poll = Poll::new().map_err(Error::machine("epoll"))?;
        connection.register(poll.registry(), Token(0))?;
        Ok(Self {
            connection,
            poll,
            buffer: vec![0; 4 * 1024],
        })
    }

    /// Sends a packet and waits for the next one from the server.
    fn exchange(&mut self, packet: &[u8]) -> Result<Reply> {
        self.connection.send(packet)?;
        let deadline = Instant::now() + STALL;
        let mut events = Events::with_capacity(1);
        let mut answer = None;
        loop {
            self.poll
                .poll(&mut events, Some(STALL))
                .map_err(Error::machine("epoll"))?;
            self.connection.flush()?;
            self.connection.receive(&mut self.buffer, |reply| {
                // One packet was asked for; a second one has no place before the next is sent.
                answer.replace(reply).map(misplaced).map_or(Ok(()), Err)
            })?;
            if let Some(reply) = answer {
                return Ok(reply);
            }
            if Instant::now() > deadline {
                return Err(ServerFault::Stalled(STALL).into());
            }
        }
    }

    fn finish(mut self) -> Result<Connection> {
        self.connection.deregister(self.poll.registry())?;
        Ok(self.connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_its_own_identity() {
        assert_eq!(numbered("d{i}@bench", 17), "d17@bench");
        assert_eq!(numbered("plain", 17), "plain");
    }

    #[test]
    fn texts_that_no_mqtt_string_can_hold_are_refused() {
        assert!(short(&"x".repeat(60_001)).is_err());
        assert!(short("telemetry").is_ok());
    }

    #[test]
    fn addresses_are_resolved_when_they_are_read() {
        assert_eq!(resolve("127.0.0.1:1883").unwrap().port(), 1883);
        assert!(resolve("127.0.0.1").is_err());
    }
}
