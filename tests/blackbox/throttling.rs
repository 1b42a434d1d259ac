//! Log-ins that fail again and again wait, and nobody else does.
//!
//! All of 127.0.0.0/8 is this machine: clients come from addresses of their own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};

use crate::harness::Server;
use crate::harness::documents::{WRONG_PASSWORD, password, user};
use crate::harness::wait;
use crate::wire::{Client, Connect, Version};

const HERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const THERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A connection from an address of this machine.
fn from(source: Ipv4Addr, server: &Server) -> TcpStream {
    let SocketAddr::V4(target) = server.mqtt() else {
        panic!("the tests' servers listen on IPv4");
    };
    let opened = socket::socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::empty(),
        None,
    );
    let opened = opened.unwrap();
    let source = SockaddrIn::from(SocketAddrV4::new(source, 0));
    socket::bind(opened.as_raw_fd(), &source).unwrap();
    socket::connect(opened.as_raw_fd(), &SockaddrIn::from(target)).unwrap();
    let stream = TcpStream::from(opened);
    stream.set_read_timeout(Some(wait::DEADLINE)).unwrap();
    stream
}

/// Logs in and returns the connection with the reason of CONNACK.
fn try_log_in(server: &Server, source: Ipv4Addr, connect: &Connect) -> (TcpStream, u8) {
    let mut stream = from(source, server);
    stream.write_all(&connect.encode()).unwrap();
    // Fixed header, flags, reason.
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    assert_eq!(connack[0], 0x20, "no CONNACK");
    (stream, connack[3])
}

fn log_in(server: &Server, source: Ipv4Addr, device: &str, password: &str) -> u8 {
    let connect = Connect::new(Version::V5, "c", &user(device), password);
    try_log_in(server, source, &connect).1
}

fn right(server: &Server, source: Ipv4Addr, device: &str) -> u8 {
    log_in(server, source, device, password(device))
}

fn throttled(server: &Server, by: &str) -> u64 {
    let metrics = server.ops().get("/metrics").text();
    let name = format!("landfall_log_ins_throttled_total{{by=\"{by}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Three failures of a device are free, six of an address; the wait lasts longer than the test.
fn server() -> Server {
    let settings = "[limits]\nlog_in_failures_per_device = 3\nlog_in_failures_per_address = 6\n\
                    log_in_longest_wait = \"1h\"";
    Server::builder().settings(settings).start_shared()
}

/// Fails until the server no longer tries.
fn fail_until_throttled(server: &Server, source: Ipv4Addr, device: &str) {
    let before = throttled(server, "device");
    wait::until("a log-in that is held back", || {
        assert_eq!(log_in(server, source, device, WRONG_PASSWORD), 0x86);
        (throttled(server, "device") > before).then_some(())
    });
}

#[test]
fn a_device_that_fails_is_held_back_and_told_nothing_new() {
    let server = server();
    for device in ["sensor01", "nobody"] {
        let source = match device {
            "nobody" => THERE,
            _ => HERE,
        };
        fail_until_throttled(&server, source, device);
        for (version, code) in [(Version::V31, 4), (Version::V311, 4), (Version::V5, 0x86)] {
            let connect = Connect::new(version, "c", &user(device), password("sensor01"));
            assert_eq!(
                try_log_in(&server, source, &connect).1,
                code,
                "{version:?} {device}"
            );
        }
    }
    server.log().wait_for(0, &["too many log-ins failed"]);
}

#[test]
fn an_address_that_fails_for_many_devices_is_told_to_slow_down() {
    let server = server();
    for number in 0..6 {
        log_in(&server, HERE, &format!("guess{number}"), WRONG_PASSWORD);
    }
    for (version, code) in [(Version::V31, 3), (Version::V311, 3), (Version::V5, 0x9F)] {
        let connect = Connect::new(version, "c", &user("sensor01"), password("sensor01"));
        assert_eq!(try_log_in(&server, HERE, &connect).1, code, "{version:?}");
    }
    assert_eq!(throttled(&server, "address"), 3);
    assert_eq!(right(&server, THERE, "sensor01"), 0, "from elsewhere");
}

#[test]
fn a_device_that_was_let_in_from_its_address_gets_in_again_whoever_fails() {
    let server = server();
    assert_eq!(right(&server, HERE, "sensor01"), 0);
    fail_until_throttled(&server, THERE, "sensor01");
    assert_eq!(right(&server, HERE, "sensor01"), 0, "an attacker elsewhere");
    for number in 0..6 {
        log_in(&server, HERE, &format!("guess{number}"), WRONG_PASSWORD);
    }
    assert_eq!(
        right(&server, HERE, "gateway01"),
        0x9F,
        "a new one has to wait"
    );
    assert_eq!(right(&server, HERE, "sensor01"), 0, "a bad neighbour");
}

#[test]
fn who_is_connected_stays_connected_while_others_fail_in_its_name() {
    let server = server();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    fail_until_throttled(&server, THERE, "sensor01");
    assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
    let again = Connect::new(
        Version::V5,
        "other",
        &user("sensor01"),
        password("sensor01"),
    );
    Client::accepted(&server, &again);
}

#[test]
fn the_wait_ends() {
    let settings = "[limits]\nlog_in_failures_per_device = 1\nlog_in_longest_wait = \"1s\"";
    let server = Server::builder().settings(settings).start_shared();
    fail_until_throttled(&server, HERE, "sensor01");
    wait::until("the end of the wait", || {
        (right(&server, HERE, "sensor01") == 0).then_some(())
    });
}

#[test]
fn zero_allows_any_number_of_failures() {
    let settings = "[limits]\nlog_in_failures_per_device = 0\nlog_in_failures_per_address = 0";
    let server = Server::builder().settings(settings).start_shared();
    for _ in 0..30 {
        assert_eq!(log_in(&server, HERE, "sensor01", WRONG_PASSWORD), 0x86);
    }
    assert_eq!(right(&server, HERE, "sensor01"), 0);
}
