//! `[ops]`: metrics and health, for the ones who operate the server.

use std::net::SocketAddr;

use serde::Deserialize;
use toml::Spanned;

use super::listener::spanned_address;

/// `/metrics`, `/health/live` and `/health/ready`, over plain HTTP without a token. Without the
/// section none of them is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsConfig {
    /// IP address and port. No default; `127.0.0.1:9090` is usual. Port 0 takes a free one.
    /// Danger: whoever reaches it sees the metrics (counts, names of sinks; no names of
    /// applications or devices).
    pub bind: SocketAddr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOps {
    #[serde(deserialize_with = "spanned_address")]
    pub(super) bind: Spanned<SocketAddr>,
}

impl RawOps {
    pub(super) fn resolve(self) -> OpsConfig {
        OpsConfig {
            bind: self.bind.into_inner(),
        }
    }
}
