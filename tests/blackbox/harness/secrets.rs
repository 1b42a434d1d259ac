//! What no server's log may show.

use std::fs;
use std::path::Path;

use super::documents::DEVICE_KEY;

/// What is, or begins, each secret of the tests, the pages and the demo.
const SECRETS: &[&str] = &[
    "pw-",
    "tok-",
    DEVICE_KEY,
    // Pre-shared keys, in hex and in Base64.
    "5a5a5a5a",
    "WlpaWlpa",
    "21212121",
    "ISEhISEh",
    // Of the pages and the demo.
    "a-long-password",
    "sensor01-secret",
    "gateway01-secret",
    // What any secret begins with: hashes of passwords, private keys.
    "$argon2",
    "$2a$",
    "$2b$",
    "$2y$",
    "$6$",
    "PRIVATE KEY",
];

/// Looks through a log for all of these, and for what is in the server's own `files`, as far as it
/// has made them; and for its panics.
#[track_caller]
pub(crate) fn expect_none(lines: &[String], files: &[&Path]) {
    let own = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    let own: Vec<_> = own.map(|text| text.trim().to_owned()).collect();
    let own = own.iter().map(String::as_str);
    let secrets: Vec<_> = own
        .chain(SECRETS.iter().copied())
        .filter(|secret| !secret.is_empty())
        .collect();
    for line in lines {
        for secret in &secrets {
            assert!(!line.contains(secret), "the log shows a secret: {line}");
        }
        assert!(!line.contains("panicked at"), "the server panicked: {line}");
    }
}

#[test]
#[should_panic(expected = "the log shows a secret: password=a-long-password")]
fn a_log_with_a_secret_of_the_pages_fails_its_test() {
    let lines = ["served", "password=a-long-password"].map(str::to_owned);
    expect_none(&lines, &[]);
}

#[test]
#[should_panic(expected = "the log shows a secret: bearer 12ab")]
fn a_log_with_the_servers_own_token_fails_its_test() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "12ab\n").unwrap();
    expect_none(&["bearer 12ab".to_owned()], &[&token]);
}
