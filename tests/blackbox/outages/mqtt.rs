//! A relay in front of `mosquitto`, cut three times. The broker's acknowledgement is not durable, so
//! the broker itself stays.

use serde_json::Value;

use super::{CONNECTIONS, OUTAGES, Outage, TOTAL, check, publish_through, server};
use crate::harness::{ports, wait};
use crate::tools::broker::Broker;
use crate::tools::relay::Relay;

#[test]
fn nothing_acknowledged_is_lost_when_the_broker_is_cut_off_three_times() {
    let broker = Broker::start("allow_anonymous true", &[]);
    let reader = broker.subscribe(&[]);
    let port = ports::free();
    let relay = Relay::start(port, broker.port());
    const WINDOW: usize = 1_000;
    let server = server(&format!(
        "type = \"mqtt\"\nurl = \"mqtt://127.0.0.1:{port}\"\nwindow = {WINDOW}\n\
         topic = \"events/{{sender}}/{{channel}}\"\n"
    ));
    publish_through(&server, |outage| match outage {
        Outage::Begins => {
            relay.cut();
            server.wait_not_ready("sink far: application app: ");
        }
        Outage::Ends => relay.mend(),
    });
    server.wait_ready();

    let arrived = || {
        reader
            .lines()
            .lines()
            .into_iter()
            .filter(|line| line.contains("/load\""))
    };
    wait::until("everything at the subscriber", || {
        (arrived().count() >= TOTAL).then_some(())
    });
    // What was acknowledged to the server, but not heard before the cut, comes again.
    let most_twice = OUTAGES.len() * WINDOW;
    let payloads = arrived().map(|line| {
        let message: Value = serde_json::from_str(&line).unwrap();
        match &message["payload"] {
            Value::String(text) => text.clone().into_bytes(),
            json => json.to_string().into_bytes(),
        }
    });
    check(payloads, most_twice + CONNECTIONS);
}
