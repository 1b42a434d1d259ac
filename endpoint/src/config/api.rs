//! `[api]`: the HTTP API.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Spanned;

use super::{
    error::Flaw,
    listener::{CertificateFiles, spanned_address},
};

/// The HTTP API of registry, commands, events and connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// IP address and port. Default `127.0.0.1:8080`. Port 0 takes a free one. Elsewhere than on
    /// loopback it needs `tls` or `behind_proxy`.
    pub bind: SocketAddr,
    /// What it shows over TLS 1.2 or 1.3: `[api.tls]`. Without, it speaks plain HTTP.
    pub tls: Option<CertificateFiles>,
    /// File with the API's first token: what it holds, without the surrounding white space. Default:
    /// `token` in `data_dir`. If it does not exist, it is made at start with a random token and mode
    /// 0600. Danger: the token may do everything; others are made for those who need less.
    pub token_file: PathBuf,
    /// A proxy in front ends TLS and is the only one who can reach `bind`. Default `false`. It
    /// allows binds elsewhere than on loopback and turns off the checks of requests' `Host` and
    /// `Origin`. Danger: without such a proxy, and without `tls`, the token crosses the network in
    /// clear text.
    pub behind_proxy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawApi {
    #[serde(deserialize_with = "spanned_address")]
    pub(super) bind: Spanned<SocketAddr>,
    tls: Option<RawTls>,
    token_file: Option<PathBuf>,
    behind_proxy: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    key: PathBuf,
}

impl Default for RawApi {
    fn default() -> Self {
        Self {
            bind: Spanned::new(0..0, SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            tls: None,
            token_file: None,
            behind_proxy: false,
        }
    }
}

impl RawApi {
    pub(super) fn resolve(self, folder: &Path, data_dir: &Path) -> Result<ApiConfig, Flaw> {
        let bind = *self.bind.get_ref();
        if !bind.ip().is_loopback() && self.tls.is_none() && !self.behind_proxy {
            return Err(Flaw::at(
                &self.bind,
                format_args!(
                    "api.bind {bind} is not a loopback address, and the API's token would cross \
                     the network in clear text: give it a certificate in [api.tls], bind \
                     127.0.0.1, or set api.behind_proxy = true if a proxy that ends TLS is the only \
                     one who can reach it"
                ),
            ));
        }
        Ok(ApiConfig {
            bind,
            tls: self.tls.map(|tls| CertificateFiles {
                certificate: folder.join(tls.certificate),
                key: folder.join(tls.key),
            }),
            token_file: match self.token_file {
                Some(path) => folder.join(path),
                None => data_dir.join("token"),
            },
            behind_proxy: self.behind_proxy,
        })
    }
}
