//! New certificates and keys, while the server serves.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::{FILES, builder, connect};
use crate::harness::Server;
use crate::harness::wait;
use crate::tools::authority::{Authority, Issued};
use crate::tools::openssl;
use crate::wire::Version;
use crate::wire::secure::Tls;

const LOADED: &str = "certificates and keys loaded again";

fn write(folder: &Path, issued: &Issued) {
    std::fs::write(folder.join("server.pem"), &issued.chain).unwrap();
    std::fs::write(folder.join("server.key"), &issued.key).unwrap();
}

/// Waits until new clients are shown another certificate than `old`.
fn other_than(old: &[u8], shown: impl Fn() -> Vec<u8>) -> Vec<u8> {
    wait::until("another certificate", || {
        let now = shown();
        (now != old).then_some(now)
    })
}

#[test]
fn new_files_take_effect_without_ending_a_connection() {
    let authority = Authority::root("root");
    let mut server = builder(&authority, "").start_shared();
    let tls = Tls::trusting(&authority.pem);
    let address = server.address("tls");
    let shown = || tls.connect(address, "localhost").unwrap().certificate();
    let first = shown();
    let mut client = tls.open(address, Version::V5);
    client.log_in(&connect(Version::V5));

    write(server.folder(), &authority.server(&["localhost"]));
    let second = other_than(&first, shown);

    // A reload that fails keeps what was there, and says what is wrong.
    let mark = server.log().mark();
    std::fs::write(server.folder().join("server.key"), "no key").unwrap();
    server
        .log()
        .wait_for(mark, &["not loaded", "server.key", "no private key"]);
    assert_eq!(shown(), second);

    let mark = server.log().mark();
    write(server.folder(), &authority.server(&["localhost"]));
    other_than(&second, shown);
    server.log().wait_for(mark, &[LOADED]);

    // SIGHUP does it at once, whether or not a change is seen.
    let mark = server.log().mark();
    server.signal(Signal::SIGHUP);
    server.log().wait_for(mark, &[LOADED]);
    client.ping();
}

/// As certificate managers and Kubernetes replace files: all at once, behind a link.
#[test]
fn files_behind_a_link_that_is_moved_are_loaded() {
    let authority = Authority::root("root");
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    for version in ["v1", "v2"] {
        std::fs::create_dir(path(version)).unwrap();
        write(&path(version), &authority.server(&["localhost"]));
    }
    symlink("v1", path("live")).unwrap();
    let live = path("live").display().to_string();
    let keys = format!(
        "[listeners.tls]\ncertificate = \"{live}/server.pem\"\nkey = \"{live}/server.key\"\n"
    );
    let server = Server::builder().also_listen("tls", &keys).start_shared();
    let tls = Tls::trusting(&authority.pem);
    let shown = || {
        let secure = tls.connect(server.address("tls"), "localhost");
        secure.unwrap().certificate()
    };
    let first = shown();
    symlink("v2", path("next")).unwrap();
    std::fs::rename(path("next"), path("live")).unwrap();
    other_than(&first, shown);
}

#[test]
fn clients_that_openssl_serves_get_the_new_certificate_too() {
    let authority = Authority::root("root");
    let first = authority.rsa_server(&["localhost"]);
    let server = Server::builder()
        .file("server.pem", &first.chain)
        .file("server.key", &first.key)
        .also_listen("tls", &format!("{FILES}legacy_rsa = true\n"))
        .start_shared();
    let legacy = ["-tls1_2", "-cipher", "AES128-GCM-SHA256"];
    let shown = || {
        let said = openssl::s_client(server.address("tls"), &legacy);
        let (_, rest) = said.split_once("-----BEGIN CERTIFICATE-----").expect(&said);
        let (body, _) = rest.split_once("-----END").expect(&said);
        body.replace('\n', "").into_bytes()
    };
    let old = shown();
    let mut session = openssl::Session::start(server.address("tls"), &legacy);
    session.log().wait_for(0, &["Cipher is AES128-GCM-SHA256"]);
    write(server.folder(), &authority.rsa_server(&["localhost"]));
    other_than(&old, shown);
    // MQTT 3.1.1, clean session, no user name: the old connection is answered.
    let mark = server.log().mark();
    session.type_in(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c");
    server
        .log()
        .wait_for(mark, &["connect refused", "no user name"]);
    session.leave();
}

#[test]
fn a_server_with_a_wrong_key_does_not_start_and_says_why() {
    let authority = Authority::root("root");
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("server.pem"), authority.server(&["localhost"]).chain).unwrap();
    std::fs::write(path("server.key"), authority.server(&["localhost"]).key).unwrap();
    let config = format!("data_dir = \"data\"\n[[listeners]]\nbind = \"127.0.0.1:0\"\n{FILES}");
    std::fs::write(path("landfall.toml"), config).unwrap();
    for action in [&["serve", "--config"][..], &["check-config"]] {
        let ended = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(action)
            .arg(path("landfall.toml"))
            .output()
            .unwrap();
        assert!(!ended.status.success());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            said.contains("server.key") && said.contains("not the key of"),
            "{said}"
        );
    }
}
