//! `spec` of devices.

use super::refused;
use crate::common::parse_device;

#[test]
fn sections_of_devices() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "{ core: { disabled: 'yes' } }",
            &[("spec.core.disabled", "must be true or false")],
        ),
        (
            "{ core: { disable: true } }",
            &[("spec.core.disable", "did you mean `disabled`?")],
        ),
        ("{ core: [] }", &[("spec.core", "must be a mapping")]),
        (
            "{ gatewayselector: {} }",
            &[("spec.gatewayselector", "did you mean `gatewaySelector`?")],
        ),
        (
            "{ authenticaton: {} }",
            &[("spec.authenticaton", "did you mean `authentication`?")],
        ),
        (
            "{ aliases: [] }",
            &[("spec.aliases", "did you mean `alias`?")],
        ),
        (
            "{ gatewaySelector: { matchName: [a] } }",
            &[(
                "spec.gatewaySelector.matchName",
                "did you mean `matchNames`?",
            )],
        ),
        (
            "{ gatewaySelector: { matchNames: a } }",
            &[(
                "spec.gatewaySelector.matchNames",
                "must be a list, not a string (for example `[gateway01]`)",
            )],
        ),
        (
            "{ gatewaySelector: { matchNames: [a, b, c/d, 5] } }",
            &[
                (
                    "spec.gatewaySelector.matchNames[2]",
                    "`c/d` must not contain `/`",
                ),
                (
                    "spec.gatewaySelector.matchNames[3]",
                    "put it in quotes (for example `gateway01`)",
                ),
            ],
        ),
        (
            "{ gatewaySelector: { matchLabels: { a: 'b c' } } }",
            &[(
                "spec.gatewaySelector.matchLabels.a",
                "`b c` must be empty or",
            )],
        ),
        ("{ alias: [''] }", &[("spec.alias[0]", "1 to 1024 bytes")]),
        (
            "{ alias: [\"a\\u0000\"] }",
            &[("spec.alias[0]", "without control characters")],
        ),
        (
            "{ mqtt: { dialect: plainTopic } }",
            &[("spec.mqtt.dialect", "must be a mapping")],
        ),
        (
            "{ mqtt: { dialect: { type: watsonIoT, autoRegister: { maxActive: 0, maxPending: 1.5, \
             retryPause: 2h, roam: true } } } }",
            &[
                (
                    "spec.mqtt.dialect.autoRegister.maxPending",
                    "must be a whole number from 1 to 100",
                ),
                (
                    "spec.mqtt.dialect.autoRegister.maxActive",
                    "must be a whole number from 1 to 100000",
                ),
                (
                    "spec.mqtt.dialect.autoRegister.retryPause",
                    "must be a duration of up to an hour",
                ),
                ("spec.mqtt.dialect.autoRegister.roam", "is not known"),
            ],
        ),
        (
            "{ mqtt: { payloadEncoding: base64url } }",
            &[(
                "spec.mqtt.payloadEncoding",
                "`base64url` is not a payload encoding; there are raw, base64",
            )],
        ),
        (
            "{ mqtt: { dialect: {} } }",
            &[("spec.mqtt.dialect.type", "is required")],
        ),
        (
            "{ mqtt: { dialect: { type: plain } } }",
            &[(
                "spec.mqtt.dialect.type",
                "`plain` is not a dialect; there are drogue/v1, plainTopic, watsonIoT, azureIotHub, hono",
            )],
        ),
        (
            "{ mqtt: { dialect: { type: plainTopic, deviceprefix: true } } }",
            &[(
                "spec.mqtt.dialect.deviceprefix",
                "did you mean `devicePrefix`?",
            )],
        ),
        (
            "{ mqtt: { dialect: { type: drogue/v1, devicePrefix: true } } }",
            &[("spec.mqtt.dialect.devicePrefix", "is not known")],
        ),
        (
            "{ credentials: { credentials: [] }, authentication: { credentials: [{ pass: p }] } }",
            &[(
                "spec.credentials",
                "differs from authentication.credentials",
            )],
        ),
    ];
    for (spec, problems) in cases {
        refused(parse_device(spec), problems);
    }
}

#[test]
fn credentials() {
    let path = "spec.authentication.credentials[0]";
    for (credential, below, reason) in [
        ("5", "", "must be a mapping"),
        ("{}", "", "exactly one of pass, user, psk"),
        (
            "{ pass: p, psk: { key: aa== } }",
            "",
            "exactly one of pass, user, psk",
        ),
        ("{ cert: x }", ".cert", "trustAnchors"),
        ("{ password: x }", "", "known here: pass, user, psk"),
        ("{ pass: }", ".pass", "must be a string"),
        ("{ pass: 1234 }", ".pass", "put it in quotes"),
        ("{ pass: '' }", ".pass", "must not be empty"),
        (
            "{ pass: {} }",
            ".pass",
            "exactly one of plain, bcrypt, sha512, argon2, blake2s, secretRef",
        ),
        (
            "{ pass: { plain: a, bcrypt: b } }",
            ".pass",
            "exactly one of plain",
        ),
        (
            "{ pass: { plain: '' } }",
            ".pass.plain",
            "must not be empty",
        ),
        (
            "{ pass: { bcrypt: abc } }",
            ".pass.bcrypt",
            "not a bcrypt hash",
        ),
        (
            "{ pass: { sha512: abc } }",
            ".pass.sha512",
            "not a `$6$` SHA-512-crypt hash",
        ),
        (
            "{ pass: { argon2: abc } }",
            ".pass.argon2",
            "not a PHC string",
        ),
        (
            "{ pass: { secretRef: abc } }",
            ".pass.secretRef",
            "32 hexadecimal digits",
        ),
        (
            "{ pass: { secretRef: 5 } }",
            ".pass.secretRef",
            "must be a string",
        ),
        ("{ user: { username: u } }", ".user.password", "is required"),
        ("{ user: { password: p } }", ".user.username", "is required"),
        (
            "{ user: { username: '', password: p } }",
            ".user.username",
            "1 to 255 bytes",
        ),
        (
            "{ user: { username: a/b, password: p, unique: true } }",
            ".user.username",
            "names the",
        ),
        (
            "{ user: { username: u, password: p, uniqe: true } }",
            ".user.uniqe",
            "mean `unique`?",
        ),
        ("{ psk: {} }", ".psk.key", "is required"),
        ("{ psk: { key: '***' } }", ".psk.key", "is not base64"),
        ("{ psk: { key: '' } }", ".psk.key", "1 to 256 bytes"),
        (
            "{ psk: { key: QUJD, validity: {} } }",
            ".psk.validity.notBefore",
            "is required",
        ),
    ] {
        let spec = format!("{{ authentication: {{ credentials: [{credential}] }} }}");
        let invalid = parse_device(&spec).unwrap_err();
        let first = &invalid.problems()[0];
        assert_eq!(first.path, format!("{path}{below}"), "{credential}");
        assert!(first.to_string().contains(reason), "{first}");
    }
}

#[test]
fn validity_of_keys() {
    let path = "spec.authentication.credentials[0].psk.validity";
    for (validity, below, reason) in [
        (
            "{ notBefore: yesterday, notAfter: 2023-01-01T00:00:00Z }",
            ".notBefore",
            "`yesterday` is",
        ),
        (
            "{ notBefore: 2023-01-01, notAfter: 2023-02-01T00:00:00Z }",
            ".notBefore",
            "RFC 3339",
        ),
        (
            "{ notBefore: 2023-01-01T00:00:00Z, notAfter: 2022-01-01T00:00:00Z }",
            "",
            "is before",
        ),
    ] {
        let spec = format!(
            "{{ authentication: {{ credentials: [{{ psk: {{ key: QUJD, validity: {validity} }} }}] }} }}"
        );
        refused(parse_device(&spec), &[(&format!("{path}{below}"), reason)]);
    }
}

#[test]
fn hashes_that_no_verification_could_use_or_afford() {
    const BCRYPT: &str = "WsLmgORBv3WHZ3CjCiMzXOeo2hL5UEeq8PEd11q9BfbM/RWqb7c3G";
    let digest = "A".repeat(86);
    for (form, hash, reason) in [
        (
            "bcrypt",
            format!("$2x$12${BCRYPT}"),
            "`$2x$` hashes are not supported",
        ),
        (
            "bcrypt",
            format!("$2a$16${BCRYPT}"),
            "has cost 16; allowed are 4 to 15",
        ),
        (
            "bcrypt",
            format!("$2a$03${BCRYPT}"),
            "has cost 3; allowed are 4 to 15",
        ),
        (
            "bcrypt",
            format!("$2a$12${}", &BCRYPT[1..]),
            "not a bcrypt hash",
        ),
        ("sha512", format!("$5$salt${digest}"), "not a `$6$`"),
        (
            "sha512",
            format!("$6$rounds=999$s${digest}"),
            "999 rounds; allowed are 1000",
        ),
        (
            "sha512",
            format!("$6$rounds=500001$s${digest}"),
            "500001 rounds",
        ),
        (
            "sha512",
            format!("$6$rounds=many$s${digest}"),
            "not a `$6$`",
        ),
        ("sha512", format!("$6$${digest}"), "salt of 1 to 16"),
        (
            "sha512",
            format!("$6${}${digest}", "s".repeat(17)),
            "salt of 1 to 16",
        ),
        ("sha512", format!("$6$s${}", &digest[1..]), "not a `$6$`"),
        ("sha512", format!("$6$s${}!", &digest[1..]), "not a `$6$`"),
        (
            "argon2",
            phc("argon2id", "m=131073,t=1,p=1"),
            "takes 131073 KiB",
        ),
        ("argon2", phc("argon2id", "m=8,t=17,p=1"), "makes 17 passes"),
        ("argon2", phc("argon2id", "m=1024,t=1,p=17"), "has 17 lanes"),
        (
            "argon2",
            phc("argon2id", "m=15,t=1,p=2"),
            "not a PHC string",
        ),
        ("argon2", phc("scrypt", "m=8,t=1,p=1"), "not a PHC string"),
        (
            "argon2",
            "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ".to_owned(),
            "with salt and hash",
        ),
        (
            "argon2",
            phc("argon2id", "m=8,t=1,p=1").replace("v=19", "v=20"),
            "not a PHC string",
        ),
    ] {
        let spec = format!(
            "{{ authentication: {{ credentials: [{{ pass: {{ {form}: '{hash}' }} }}] }} }}"
        );
        let path = format!("spec.authentication.credentials[0].pass.{form}");
        let result = parse_device(&spec);
        let told = result.as_ref().unwrap_err().to_string();
        assert!(!told.contains(&hash), "the hash is told: {told}");
        refused(result, &[(&path, reason)]);
    }
}

fn phc(algorithm: &str, params: &str) -> String {
    format!("${algorithm}$v=19${params}$c2FsdHNhbHQ$aHVudGVyMmh1bnRlcjI")
}

#[test]
fn lists_are_bounded() {
    let credentials = "{ pass: p }, ".repeat(17);
    refused(
        parse_device(&format!(
            "{{ authentication: {{ credentials: [{credentials}] }} }}"
        )),
        &[(
            "spec.authentication.credentials",
            "has 17 items, at most 16 are allowed",
        )],
    );
    let names = "a, ".repeat(1001);
    refused(
        parse_device(&format!(
            "{{ gatewaySelector: {{ matchNames: [{names}] }} }}"
        )),
        &[("spec.gatewaySelector.matchNames", "has 1001 items")],
    );
}
