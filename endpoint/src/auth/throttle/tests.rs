//! Throttling on a virtual clock.

use std::{net::IpAddr, time::Duration};

use super::{Attempt, Throttled, table::Table};

const SECOND: u64 = 1_000;
const DAY: u64 = 24 * 60 * 60 * SECOND;

/// 20 failures of an address are free, 3 of a device.
fn table() -> Table {
    Table::new(20, 3, Duration::from_secs(60))
}

fn attempt<'a>(address: &str, device: &'a str) -> Attempt<'a> {
    Attempt {
        address: address.parse().unwrap(),
        application: "app",
        device,
        connected: false,
    }
}

const HERE: &str = "192.0.2.1";
const THERE: &str = "198.51.100.7";

#[track_caller]
fn fail(table: &mut Table, attempt: &Attempt<'_>, times: usize, now: u64) {
    for _ in 0..times {
        table.failed(attempt, now);
    }
}

#[test]
fn a_device_that_fails_waits_longer_each_time() {
    let mut table = table();
    let attempt = attempt(HERE, "d");
    fail(&mut table, &attempt, 2, 0);
    assert_eq!(table.check(&attempt, 0), Ok(()));
    let mut now = 0;
    for wait in [1, 2, 4, 8, 16, 32, 60, 60] {
        table.failed(&attempt, now);
        assert!(table.check(&attempt, now + wait * SECOND - 1).is_err());
        now += wait * SECOND;
        assert_eq!(table.check(&attempt, now), Ok(()), "after {wait} s");
    }
}

#[test]
fn an_address_that_fails_for_many_devices_waits_for_all_of_them() {
    let mut table = table();
    for number in 0..20 {
        table.failed(&attempt(HERE, &format!("d{number}")), 0);
    }
    let other = table.check(&attempt(HERE, "other"), 0);
    assert_eq!(other, Err(Throttled::Address { first: true }));
    assert_eq!(table.check(&attempt(THERE, "other"), 0), Ok(()));
}

#[test]
fn an_ipv6_network_of_64_bits_is_one_address() {
    let mut table = table();
    for number in 0..20 {
        let address = format!("2001:db8:1:2::{number:x}");
        table.failed(&attempt(&address, &format!("d{number}")), 0);
    }
    assert!(
        table
            .check(&attempt("2001:db8:1:2:ffff::1", "x"), 0)
            .is_err()
    );
    assert!(table.check(&attempt("2001:db8:1:3::1", "x"), 0).is_ok());
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    for number in 0..20 {
        table.failed(&attempt(&mapped.to_string(), &format!("d{number}")), 0);
    }
    assert!(table.check(&attempt(HERE, "x"), 0).is_err(), "mapped");
    assert!(table.check(&attempt(THERE, "x"), 0).is_ok());
}

#[test]
fn an_attacker_elsewhere_does_not_lock_out_a_device_where_it_was_let_in() {
    let mut table = table();
    table.succeeded(&attempt(HERE, "d"), 0);
    fail(&mut table, &attempt(THERE, "d"), 50, 1);
    assert!(table.check(&attempt(THERE, "d"), 1).is_err());
    assert_eq!(table.check(&attempt(HERE, "d"), 1), Ok(()));
    let elsewhere = table.check(&attempt("203.0.113.5", "d"), 1);
    assert_eq!(elsewhere, Err(Throttled::Device { first: true }));
}

#[test]
fn a_bad_neighbour_does_not_lock_out_devices_behind_the_same_address() {
    let mut table = table();
    table.succeeded(&attempt(HERE, "good"), 0);
    for number in 0..50 {
        table.failed(&attempt(HERE, &format!("bad{number}")), 1);
    }
    assert!(table.check(&attempt(HERE, "new"), 1).is_err());
    assert_eq!(table.check(&attempt(HERE, "good"), 1), Ok(()));
}

#[test]
fn a_device_that_is_connected_from_there_is_spared_too() {
    let mut table = table();
    fail(&mut table, &attempt(HERE, "d"), 50, 0);
    let connected = Attempt {
        connected: true,
        ..attempt(HERE, "d")
    };
    assert_eq!(table.check(&connected, 0), Ok(()));
    // Guessing from where it is connected is not spared.
    fail(&mut table, &connected, 3, 0);
    assert_eq!(
        table.check(&connected, 0),
        Err(Throttled::Device { first: true })
    );
}

#[test]
fn a_success_ends_the_wait_of_its_device_at_its_address() {
    let mut table = table();
    let attempt = attempt(HERE, "d");
    table.succeeded(&attempt, 0);
    fail(&mut table, &attempt, 3, 0);
    assert!(table.check(&attempt, 0).is_err());
    let later = 2 * SECOND;
    assert!(table.check(&attempt, later).is_ok());
    table.succeeded(&attempt, later);
    fail(&mut table, &attempt, 2, later);
    assert!(table.check(&attempt, later).is_ok(), "counted anew");
}

#[test]
fn a_device_is_known_where_it_was_let_in_for_a_day() {
    let mut table = table();
    table.succeeded(&attempt(HERE, "d"), 0);
    fail(&mut table, &attempt(THERE, "d"), 50, DAY - 1);
    assert!(table.check(&attempt(HERE, "d"), DAY - 1).is_ok());
    assert!(table.check(&attempt(HERE, "d"), DAY).is_err());
}

#[test]
fn a_wait_is_reported_once_in_a_while() {
    let mut table = table();
    let attempt = attempt(HERE, "d");
    fail(&mut table, &attempt, 4, 0);
    let first = |throttled| matches!(throttled, Err(Throttled::Device { first: true }));
    assert!(first(table.check(&attempt, 0)));
    assert!(!first(table.check(&attempt, 1)));
}

#[test]
fn memory_is_bounded_whatever_is_tried() {
    let mut table = table();
    for number in 0..200_000_u32 {
        let address = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
        let device = number.to_string();
        let attempt = attempt(&address, &device);
        table.failed(&attempt, 0);
        table.succeeded(&attempt, 0);
    }
    assert!(table.entries().into_iter().all(|entries| entries <= 65_536));
}
