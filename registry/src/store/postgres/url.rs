//! Which database, as whom: a URL whose password never shows.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// A PostgreSQL connection URL, `postgres://user:password@host:5432/database`, or a `key=value`
/// string as libpq takes it.
///
/// `Display` and `Debug` name database, host and port, and nothing else.
///
/// Over TLS the host's certificate is always verified. A remote host is spoken to over TLS unless
/// the URL says `sslmode=disable`; `sslmode=prefer` counts as `require` there, as anybody in
/// between could refuse TLS. On loopback and Unix sockets, TLS is used with `sslmode=require`.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    config: Box<Config>,
}

/// The text is no [`PostgresUrl`]. Nothing of it is told, as it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no PostgreSQL URL with a host: write for example `postgres://user:password@host:5432/database`"
)]
pub struct InvalidUrl;

impl FromStr for PostgresUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<PostgresUrl, InvalidUrl> {
        let mut config: Box<Config> = Box::new(text.parse().map_err(|_| InvalidUrl)?);
        if config.get_hosts().is_empty() {
            return Err(InvalidUrl);
        }
        if config.get_ssl_mode() == SslMode::Prefer {
            let local = config.get_hosts().iter().all(is_local);
            config.ssl_mode(if local {
                SslMode::Disable
            } else {
                SslMode::Require
            });
        }
        Ok(PostgresUrl { config })
    }
}

impl PostgresUrl {
    /// Whether passwords and documents cross the network in clear text.
    #[must_use]
    pub fn is_plain_and_remote(&self) -> bool {
        !self.uses_tls() && !self.config.get_hosts().iter().all(is_local)
    }

    /// Host names or addresses, with their ports, in their order; without Unix sockets.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, u16)> {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate();
        hosts
            .filter_map(|(index, host)| match host {
                Host::Tcp(name) => {
                    let port = ports.get(index).or(ports.first()).copied();
                    Some((name.clone(), port.unwrap_or(5432)))
                }
                Host::Unix(_) => None,
            })
            .collect()
    }

    pub(super) fn uses_tls(&self) -> bool {
        self.config.get_ssl_mode() != SslMode::Disable
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As libpq: the user's name where no database is given.
        let database = self.config.get_dbname().or(self.config.get_user());
        write!(
            f,
            "PostgreSQL database {} on ",
            database.unwrap_or_default()
        )?;
        let ports = self.config.get_ports();
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match host {
                Host::Tcp(name) => write!(f, "{separator}{name}")?,
                Host::Unix(path) => write!(f, "{separator}{}", path.display())?,
            }
            if let Some(port) = ports.get(index).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_user_or_password() {
        let url: PostgresUrl = "postgres://admin:s3cret@db.example:5433/registry"
            .parse()
            .unwrap();
        assert_eq!(
            url.to_string(),
            "PostgreSQL database registry on db.example:5433"
        );
        let debug = format!("{url:?}");
        assert!(
            !debug.contains("s3cret") && !debug.contains("admin"),
            "{debug}"
        );
        for broken in [
            "postgres://admin:s3cret@db.example:port/registry",
            "postgres://admin:s3cret@db.example/registry?s3cret=s3cret",
            "mysql://admin:s3cret@db.example",
            "user=admin password=s3cret",
            "s3cret",
        ] {
            let refused = broken.parse::<PostgresUrl>().unwrap_err();
            let told = format!("{refused} {refused:?}");
            assert!(!told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn a_remote_host_is_spoken_to_over_tls_unless_that_is_switched_off() {
        for (url, tls, plain_and_remote) in [
            ("postgres://u@db.example/d", true, false),
            ("postgres://u@db.example/d?sslmode=prefer", true, false),
            ("postgres://u@db.example/d?sslmode=disable", false, true),
            ("postgres://u@localhost/d", false, false),
            ("postgres://u@127.0.0.1/d?sslmode=require", true, false),
            ("host=/run/postgresql user=u", false, false),
            ("host=127.0.0.1,db.example user=u", true, false),
        ] {
            let parsed: PostgresUrl = url.parse().unwrap();
            assert_eq!(parsed.uses_tls(), tls, "{url}");
            assert_eq!(parsed.is_plain_and_remote(), plain_and_remote, "{url}");
        }
    }
}
