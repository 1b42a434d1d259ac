//! The conformance scripts over real sockets: TCP, TLS and WebSocket, packets whole, byte by byte,
//! and glued together; and what another server says to the same.
//!
//! `tests/conformance/README.md` explains the scripts and the switch.

mod broken;
mod other;
mod peer;
mod script;
mod sound;

use std::collections::BTreeMap;

use crate::harness::Server;
use crate::tools::authority::Authority;
use crate::wire::secure::Tls;
use peer::{Arrival, Peer, Way};
use script::{Failure, Script};

/// Cases have this maximum that are about something else.
const ANY_MAXIMUM: u32 = u32::MAX;
/// What the server takes by default.
const OWN_MAXIMUM: u32 = 64 << 10;
/// As small as a log-in still fits into. (Cases of an even smaller one are the codec's alone.)
const SMALL_MAXIMUM: u32 = 130;

/// A server with a way in of each kind. Log-ins fail on purpose here, and from one address.
fn server(authority: &Authority) -> Server {
    server_with(authority, "")
}

/// One with another limit, too.
fn server_with(authority: &Authority, limit: &str) -> Server {
    let free = "[limits]\nlog_in_failures_per_device = 0\nlog_in_failures_per_address = 0";
    Server::builder()
        .settings(&format!("{free}\n{limit}"))
        .settings("[log]\nlevel = \"warn\"")
        .with_every_way_in(authority)
        .start_shared()
}

/// Runs every script in these ways; all that fail are told, not only the first.
fn run(peer: &Peer<'_>, scripts: &[Script], ways: &[(Way, Arrival)]) {
    let mut failures = Vec::new();
    let mut runs = 0;
    for script in scripts {
        for &(way, arrival) in ways {
            if arrival == Arrival::Glued && script.in_turn {
                continue;
            }
            runs += 1;
            if let Err(Failure { expected, told }) = script.run(peer, way, arrival) {
                let name = &script.name;
                failures.push(format!(
                    "{name} ({way:?}, {arrival:?})\n  wanted {expected}\n  told   {told}"
                ));
            }
        }
    }
    println!("{runs} runs of {} scripts", scripts.len());
    assert!(
        failures.is_empty(),
        "{} of {runs} runs fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

const EVERY_WAY: [(Way, Arrival); 9] = [
    (Way::Tcp, Arrival::Whole),
    (Way::Tcp, Arrival::Bytes),
    (Way::Tcp, Arrival::Glued),
    (Way::Tls, Arrival::Whole),
    (Way::Tls, Arrival::Bytes),
    (Way::Tls, Arrival::Glued),
    (Way::WebSocket, Arrival::Whole),
    (Way::WebSocket, Arrival::Bytes),
    (Way::WebSocket, Arrival::Glued),
];

#[test]
fn every_script_is_answered_as_its_clause_demands_over_every_transport() {
    let authority = Authority::root("root");
    let server = server(&authority);
    let tls = Tls::trusting(&authority.pem);
    let scripts = script::all();
    assert!(scripts.len() > 200, "only {} scripts", scripts.len());
    run(&Peer::landfall(&server, &tls), &scripts, &EVERY_WAY);
}

#[test]
fn every_packet_that_the_codec_refuses_ends_the_connection_over_every_transport() {
    let authority = Authority::root("root");
    let server = server(&authority);
    let tls = Tls::trusting(&authority.pem);
    let scripts = broken::scripts(&[ANY_MAXIMUM, OWN_MAXIMUM]);
    assert!(scripts.len() > 300, "only {} packets", scripts.len());
    run(&Peer::landfall(&server, &tls), &scripts, &EVERY_WAY);
}

#[test]
fn every_packet_that_the_codec_takes_is_told_the_same_over_every_transport() {
    let authority = Authority::root("root");
    let server = server(&authority);
    let tls = Tls::trusting(&authority.pem);
    let peer = Peer::landfall(&server, &tls);
    let cases = sound::cases();
    assert!(cases.len() > 120, "only {} packets", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        let [first, others @ ..] =
            EVERY_WAY.map(|(way, arrival)| sound::told(case, &peer, way, arrival));
        let is_malformed = |told: &String| told == "DISCONNECT 81" || told == "nothing";
        if first.iter().any(is_malformed) || others.iter().any(|told| *told != first) {
            failures.push(format!("{}: {first:?}, {others:?}", case.name));
        }
    }
    println!("{} packets in {} ways", cases.len(), EVERY_WAY.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_packet_beyond_the_maximum_is_refused_by_its_header_over_every_transport() {
    let authority = Authority::root("root");
    let server = server_with(
        &authority,
        &format!("maximum_packet_size = \"{SMALL_MAXIMUM}B\""),
    );
    let tls = Tls::trusting(&authority.pem);
    let scripts = broken::scripts(&[SMALL_MAXIMUM]);
    assert!(!scripts.is_empty(), "no case has this maximum");
    run(&Peer::landfall(&server, &tls), &scripts, &EVERY_WAY);
}

/// By a switch, as what another server says depends on its version.
#[test]
fn mosquitto_differs_only_where_it_is_written_down() {
    let documented = other::documented();
    assert!(documented.len() > 100, "only {} rows", documented.len());
    let scripts: Vec<Script> = script::all()
        .into_iter()
        .chain(broken::scripts(&[ANY_MAXIMUM]))
        .collect();
    for name in documented.keys() {
        assert!(
            scripts.iter().any(|script| script.name == *name),
            "no script is called {name}"
        );
    }
    if std::env::var("LANDFALL_CONFORMANCE").is_ok_and(|peer| peer == "mosquitto") {
        let broker = other::mosquitto();
        let peer = Peer::mosquitto(broker.port());
        let found: BTreeMap<String, String> = scripts
            .iter()
            .filter_map(|script| {
                let failure = script.run(&peer, Way::Tcp, Arrival::Whole).err()?;
                Some((script.name.clone(), failure.told))
            })
            .collect();
        other::compare(&documented, &found, &scripts);
    }
}
