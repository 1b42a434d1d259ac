//! TLS: certificates, versions, protocols, tickets, new files, and peers that do not get it right.

mod broken;
mod reload;
mod served;

use crate::harness::Server;
use crate::harness::documents::{password, user};
use crate::harness::server::Builder;
use crate::tools::authority::Authority;
use crate::tools::openssl;
use crate::wire::{Connect, Version};

const FILES: &str = "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";

/// A server with a listener `tls` whose section has these further keys.
fn builder(authority: &Authority, keys: &str) -> Builder {
    let issued = authority.server(&["localhost", "127.0.0.1"]);
    Server::builder()
        .file("ca.pem", &authority.pem)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen("tls", &format!("{FILES}{keys}"))
}

fn connect(version: Version) -> Connect {
    Connect::new(version, "c", &user("sensor01"), password("sensor01"))
}

/// What `openssl s_client` says of a handshake.
fn s_client(server: &Server, arguments: &[&str]) -> String {
    openssl::s_client(server.address("tls"), arguments)
}
