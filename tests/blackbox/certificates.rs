//! Log-ins by client certificate.

use rcgen::ExtendedKeyUsagePurpose;
use rustls::ALL_VERSIONS;
use serde_json::json;

use crate::harness::Server;
use crate::harness::documents::{APP, WRONG_PASSWORD, password, user};
use crate::harness::server::Builder;
use crate::tools::authority::{Authority, Leaf};
use crate::tools::mosquitto;
use crate::wire::secure::Tls;
use crate::wire::{Connect, Version};

/// A server whose listener `tls` asks for certificates.
fn builder(authority: &Authority) -> Builder {
    let issued = authority.server(&["localhost", "127.0.0.1"]);
    Server::builder()
        .file("ca.pem", &authority.pem)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen(
            "tls",
            "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
             client_certificates = true\n",
        )
}

#[test]
fn beside_a_certificate_that_nobody_vouches_for_a_password_still_counts() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let stranger = Authority::root("a stranger").intermediate("below");
    for issued in [
        stranger.issue(&Leaf::device("sensor01")),
        stranger.issue(&Leaf::device("sensor01").years(2000, 2001)),
        Leaf::device("sensor01")
            .usage(ExtendedKeyUsagePurpose::ServerAuth)
            .self_signed(),
    ] {
        let tls = Tls::showing(&authority.pem, &issued);
        let mut client = tls.open(server.address("tls"), Version::V5);
        let connect = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"));
        assert_eq!(client.log_in(&connect).reason(), 0);
    }
}

/// The application of the shared devices trusts an authority.
fn trust(server: &Server, authority: &Authority) {
    let path = format!("/api/registry/v1alpha1/apps/{APP}");
    let document = json!({
        "metadata": { "name": APP },
        "spec": { "trustAnchors": { "anchors": [{ "certificate": authority.pem }] } },
    });
    let status = server.api().put_json(&path, &document).status;
    assert!((200..300).contains(&status), "{status}");
}

/// CONNECT without user name and password.
fn bare(version: Version) -> Connect {
    Connect {
        user: None,
        password: None,
        ..Connect::new(version, "c", "", "")
    }
}

fn named(user_name: &str) -> Connect {
    Connect {
        user: Some(user_name.to_owned()),
        ..bare(Version::V5)
    }
}

#[test]
fn a_device_logs_in_by_its_certificate() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let devices = Authority::root("devices");
    trust(&server, &devices);
    let issued = devices.issue(&Leaf::device("sensor01"));
    let tls = Tls::showing(&authority.pem, &issued);
    for version in Version::ALL {
        let mut client = tls.open(server.address("tls"), version);
        assert_eq!(client.log_in(&bare(version)).reason(), 0, "{version:?}");
        assert_eq!(client.publish_1("t", b"1").reason(), 0);
        client.disconnect();
    }
    let events = server.wait_published(APP, 3);
    assert!(events.iter().all(|event| event["device"] == "sensor01"));
}

#[test]
fn mosquitto_logs_in_by_certificate_through_an_intermediate() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let root = Authority::root("gateways");
    trust(&server, &root);
    let issued = root
        .intermediate("plant 7")
        .issue(&Leaf::device("gateway01"));
    let path = |name: &str, text: &str| {
        let path = server.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = (
        path("device.pem", &issued.chain),
        path("device.key", &issued.key),
    );
    let authority = path("ca.pem", &authority.pem);
    let port = server.port("tls").to_string();
    let arguments = [
        "-p",
        &port,
        "--cafile",
        &authority,
        "--cert",
        &certificate,
        "--key",
        &key,
        "-i",
        "m",
        "-q",
        "1",
        "-t",
        "temp/sensor02",
        "-m",
        "1",
    ];
    for version in [Version::V311, Version::V5] {
        mosquitto::publish_as_told(&server, version, &arguments).success();
    }
    for event in server.wait_published(APP, 2) {
        assert_eq!(
            (&event["device"], &event["sender"]),
            (&json!("sensor02"), &json!("gateway01"))
        );
    }
}

#[test]
fn a_certificate_that_is_not_good_is_refused_with_its_reason_in_the_log() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let devices = Authority::root("devices");
    trust(&server, &devices);
    let stranger = Authority::root("stranger");
    let good = || Leaf::device("sensor01");
    let wrong = ExtendedKeyUsagePurpose::ServerAuth;
    for (issued, cause) in [
        (
            devices.issue(&good().years(2000, 2001)),
            "certificate expired",
        ),
        (
            devices.issue(&good().years(2110, 2111)),
            "certificate not yet valid",
        ),
        (stranger.issue(&good()), "unknown issuer"),
        (Authority::root("devices").issue(&good()), "bad signature"),
        (
            devices.issue(&good().usage(wrong)),
            "not meant for client authentication",
        ),
        (good().self_signed(), "self-signed"),
        (devices.issue(&Leaf::device("nobody")), "unknown device"),
    ] {
        let tls = Tls::showing(&authority.pem, &issued);
        for (version, code) in [(Version::V311, 4), (Version::V5, 0x86)] {
            let mark = server.log().mark();
            let mut client = tls.open(server.address("tls"), version);
            let peer = client.local().to_string();
            assert_eq!(client.log_in(&bare(version)).reason(), code, "{cause}");
            client.expect_closed();
            server
                .log()
                .wait_for(mark, &["connect refused", &peer, "certificate CN=", cause]);
        }
    }
}

#[test]
fn whoever_shows_a_certificate_must_have_its_key() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let devices = Authority::root("devices");
    trust(&server, &devices);
    let stolen = devices.issue(&Leaf::device("sensor01"));
    let own = devices.issue(&Leaf::device("gateway01"));
    for version in ALL_VERSIONS {
        let mark = server.log().mark();
        let keys = (&*stolen.chain, &*own.key);
        let tls = Tls::showing_with_key(&authority.pem, keys.0, keys.1, &[version]);
        // In TLS 1.3 the client is done before the server has judged.
        if let Ok(secure) = tls.connect(server.address("tls"), "localhost") {
            let mut client = secure.client(Version::V5);
            client.send(&bare(Version::V5).encode());
            client.expect_closed();
        }
        server
            .log()
            .wait_for(mark, &["handshake failed", "BadSignature"]);
    }
    let tls = Tls::showing(&authority.pem, &stolen);
    let mut client = tls.open(server.address("tls"), Version::V5);
    assert_eq!(client.log_in(&bare(Version::V5)).reason(), 0);
}

/// What the registry says of a device, and what its certificate's log-in is then told.
#[test]
fn a_certificate_of_a_device_that_is_disabled_or_gone_is_refused() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let devices = Authority::root("devices");
    trust(&server, &devices);
    let tls = Tls::showing(&authority.pem, &devices.issue(&Leaf::device("sensor01")));
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/sensor01");
    let disabled = json!({
        "metadata": { "name": "sensor01", "application": APP },
        "spec": { "core": { "disabled": true } },
    });
    let disable = || server.api().put_json(&path, &disabled).status;
    let delete = || server.api().delete(&path).status;
    let (disable, delete): (&dyn Fn() -> u16, &dyn Fn() -> u16) = (&disable, &delete);
    for (revoke, cause) in [(disable, "device disabled"), (delete, "unknown device")] {
        let status = revoke();
        assert!((200..300).contains(&status), "{status}");
        let mark = server.log().mark();
        let mut client = tls.open(server.address("tls"), Version::V5);
        assert_eq!(client.log_in(&bare(Version::V5)).reason(), 0x86, "{cause}");
        server
            .log()
            .wait_for(mark, &["connect refused", "certificate CN=sensor01", cause]);
    }
}

#[test]
fn what_is_revoked_in_the_registry_ends_and_refuses_connections_resumed_ones_too() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let devices = Authority::root("devices");
    trust(&server, &devices);
    let tls = Tls::showing(&authority.pem, &devices.issue(&Leaf::device("sensor01")));
    let mut client = tls.open(server.address("tls"), Version::V5);
    assert_eq!(client.log_in(&bare(Version::V5)).reason(), 0);

    let secure = tls.connect(server.address("tls"), "localhost").unwrap();
    assert!(secure.resumed());
    let mut resumed = secure.client(Version::V5);
    let other_id = Connect {
        client_id: "resumed".to_owned(),
        ..bare(Version::V5)
    };
    assert_eq!(
        resumed.log_in(&other_id).reason(),
        0,
        "the chain came with the ticket"
    );

    let mark = server.log().mark();
    trust(&server, &Authority::root("other devices"));
    client.expect_end(0x98);
    resumed.expect_end(0x98);
    let secure = tls.connect(server.address("tls"), "localhost").unwrap();
    assert!(secure.resumed());
    assert_eq!(
        secure
            .client(Version::V5)
            .log_in(&bare(Version::V5))
            .reason(),
        0x86
    );
    server.log().wait_for(
        mark,
        &[
            "connect refused",
            "certificate CN=sensor01",
            "unknown issuer",
        ],
    );
}

#[test]
fn a_user_name_beside_a_certificate_must_not_name_another_device() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let devices = Authority::root("devices");
    trust(&server, &devices);
    let tls = Tls::showing(&authority.pem, &devices.issue(&Leaf::device("sensor01")));
    let mark = server.log().mark();
    for (user_name, code) in [
        ("sensor01@app", 0),
        ("", 0),
        ("operator", 0),
        ("?SDK=Python&Version=1.4.9", 0),
        ("sensor01@app?SDK=Python", 0),
        ("gateway01@app", 0x86),
        ("sensor01@elsewhere", 0x86),
        ("gateway01@app?x-amz-customauthorizer-name=a", 0x86),
    ] {
        let mut client = tls.open(server.address("tls"), Version::V5);
        assert_eq!(
            client.log_in(&named(user_name)).reason(),
            code,
            "{user_name}"
        );
    }
    server.log().wait_for(
        mark,
        &[
            "connect refused",
            "names another device than the certificate",
        ],
    );
    // Not even with the other device's password.
    let mut client = tls.open(server.address("tls"), Version::V5);
    let other = Connect::new(Version::V5, "c", &user("gateway01"), password("gateway01"));
    assert_eq!(client.log_in(&other).reason(), 0x86);
    // And the password beside the right name is not looked at.
    let mut client = tls.open(server.address("tls"), Version::V5);
    let wrong = Connect::new(Version::V5, "c", &user("sensor01"), WRONG_PASSWORD);
    assert_eq!(client.log_in(&wrong).reason(), 0);
}

#[test]
fn without_a_certificate_nothing_is_proved() {
    let authority = Authority::root("root");
    let server = builder(&authority).start_shared();
    let mut client = Tls::trusting(&authority.pem).open(server.address("tls"), Version::V5);
    assert_eq!(client.log_in(&bare(Version::V5)).reason(), 0x86);
}
