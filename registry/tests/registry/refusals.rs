//! What is refused: each problem with its path, its reason and, where it helps, an example.

use landfall_registry::WriteError;
use landfall_registry::document::{Address, ApplicationDocument, DeviceDocument, Invalid};

use crate::common::{document, fixture, parse_application, parse_device};

/// Each spec is refused with exactly these problems, each given by its path and part of its text.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Invalid>, problems: &[(&str, &str)]) {
    let invalid = result.unwrap_err();
    let found: Vec<_> = invalid
        .problems()
        .iter()
        .map(|problem| (&*problem.path, problem.to_string()))
        .collect();
    assert_eq!(found.len(), problems.len(), "{found:#?}");
    for ((found_path, told), (path, reason)) in found.iter().zip(problems) {
        assert_eq!(found_path, path, "{told}");
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn metadata() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("5", &[("", "must be a mapping, not a number")]),
        (
            "spec: {}",
            &[("metadata", "is required (for example `{ name: sensor01 }`)")],
        ),
        ("metadata: 5", &[("metadata", "must be a mapping")]),
        ("metadata: {}", &[("metadata.name", "is required")]),
        (
            "metadata: { name: 5 }",
            &[("metadata.name", "not a number: put it in quotes")],
        ),
        (
            "metadata: { name: true }",
            &[("metadata.name", "not a boolean: put it in quotes")],
        ),
        (
            "metadata: { name: [] }",
            &[("metadata.name", "must be a string, not a list")],
        ),
        (
            "metadata: { name: '' }",
            &[("metadata.name", "must not be empty")],
        ),
        (
            "metadata: { name: a@b }",
            &[("metadata.name", "must not contain `@`")],
        ),
        (
            "metadata: { name: \"a\\tb\" }",
            &[("metadata.name", "control characters")],
        ),
        (
            "metadata: { name: a, applicatoin: b }",
            &[(
                "metadata.applicatoin",
                "is not known; known here: name, labels",
            )],
        ),
        (
            "metadata: { name: a, labels: [a] }",
            &[("metadata.labels", "must be a mapping")],
        ),
        (
            "metadata: { name: a, labels: { a b: c } }",
            &[("metadata.labels.a b", "63 letters")],
        ),
        (
            "metadata: { name: a, labels: { a: c d } }",
            &[("metadata.labels.a", "`c d` must be")],
        ),
        (
            "metadata: { name: a, labels: { a: 1 } }",
            &[("metadata.labels.a", "put it in quotes")],
        ),
        (
            "metadata: { name: a, annotations: { '': c } }",
            &[("metadata.annotations.", "63")],
        ),
        (
            "metadata: { name: a, resourceVersion: 5 }",
            &[("metadata.resourceVersion", "quotes")],
        ),
        (
            "metadata: { name: a }\nkind: Device",
            &[("kind", "known here: metadata, spec, status")],
        ),
        (
            "metadata: { name: a }\nspecs: {}",
            &[("specs", "did you mean `spec`?")],
        ),
        (
            "metadata: { name: a }\nspec: []",
            &[("spec", "must be a mapping, not a list")],
        ),
    ];
    for (text, problems) in cases {
        refused(ApplicationDocument::parse(text, None), problems);
    }
}

#[test]
fn names_of_devices() {
    for (name, reason) in [
        (
            "a/b",
            "must not contain `/`, which would break topics and URLs",
        ),
        ("..", "URLs drop"),
        ("", "must not be empty"),
        (&*"x".repeat(256), "at most 255 bytes"),
    ] {
        let text = format!("metadata: {{ name: '{name}', application: app }}");
        let device = DeviceDocument::parse(&text, Address::default());
        refused(device, &[("metadata.name", reason)]);
    }
    let text = "metadata: { name: a, application: b@c }";
    refused(
        DeviceDocument::parse(text, Address::default()),
        &[("metadata.application", "must not contain `@`")],
    );
    let text = "metadata: { name: a }";
    refused(
        DeviceDocument::parse(text, Address::default()),
        &[("metadata.application", "is required")],
    );
}

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
            "{ mqtt: { dialect: {} } }",
            &[("spec.mqtt.dialect.type", "is required")],
        ),
        (
            "{ mqtt: { dialect: { type: plain } } }",
            &[(
                "spec.mqtt.dialect.type",
                "`plain` is not a dialect; there are drogue/v1, plainTopic",
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
            "exactly one of plain, bcrypt, sha512, argon2, secretRef",
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
fn trust_anchors_and_sinks() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        (
            "{ trustAnchors: { anchors: [{}] } }",
            &[("spec.trustAnchors.anchors[0].certificate", "is required")],
        ),
        (
            "{ trustAnchors: { anchors: [{ certificate: '!' }] } }",
            &[(
                "spec.trustAnchors.anchors[0].certificate",
                "neither PEM nor base64 of DER",
            )],
        ),
        (
            "{ trustAnchors: { anchors: [{ certificate: MAMCAQE=, deviceName: sensor }] } }",
            &[(
                "spec.trustAnchors.anchors[0].deviceName",
                "at least one attribute",
            )],
        ),
        (
            "{ trustAnchors: { anchors: [{ certificate: MAMCAQE=, deviceName: '${CN' }] } }",
            &[(
                "spec.trustAnchors.anchors[0].deviceName",
                "without an attribute",
            )],
        ),
        (
            "{ trustAnchor: {} }",
            &[("spec.trustAnchor", "did you mean `trustAnchors`?")],
        ),
        (
            "{ publish: { sink: [] } }",
            &[("spec.publish.sink", "is not known; did you mean `sinks`?")],
        ),
        (
            "{ publish: { sinks: [] } }",
            &[("spec.publish.sinks", "at least one sink")],
        ),
        (
            "{ publish: { sinks: [a, a] } }",
            &[("spec.publish.sinks", "names `a` twice")],
        ),
        (
            "{ publish: { sinks: [''] } }",
            &[
                ("spec.publish.sinks[0]", "1 to 255 bytes"),
                ("spec.publish.sinks", "at least one sink"),
            ],
        ),
    ];
    for (spec, problems) in cases {
        refused(parse_application(spec), problems);
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let text = "metadata: { name: a/b, application: app, lables: {} }
spec:
  core: { disabled: 1 }
  alias: [5]
  mqtt: { dialect: { type: x } }";
    refused(
        DeviceDocument::parse(text, Address::default()),
        &[
            ("metadata.name", "`/`"),
            ("metadata.lables", "did you mean `labels`?"),
            ("spec.core.disabled", "true or false"),
            ("spec.alias[0]", "quotes"),
            ("spec.mqtt.dialect.type", "not a dialect"),
        ],
    );
}

#[test]
fn the_list_of_problems_is_bounded() {
    let names = "5, ".repeat(100);
    let invalid = parse_device(&format!(
        "{{ gatewaySelector: {{ matchNames: [{names}] }} }}"
    ));
    let invalid = invalid.unwrap_err();
    assert_eq!(invalid.problems().len(), 51);
    assert!(
        invalid.problems()[50]
            .reason
            .contains("more than 50 problems")
    );
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

#[test]
fn text_that_is_neither_yaml_nor_json_is_refused_by_place_and_not_quoted() {
    for (text, reason) in [
        ("metadata: { name: hunter2", "is not YAML: "),
        (
            "metadata:\n  name: a\n  name: hunter2\n",
            "a key stands twice: line 3",
        ),
        (
            r#"{"metadata":{"name":"a","name":"hunter2"}}"#,
            "has a key twice: line 1",
        ),
        (r#"{"metadata":{"name":"hunter2""#, "is not JSON: line 1"),
        (
            "metadata: { name: a }\nspec: { custom: .inf }",
            "is not YAML",
        ),
        ("a: &a [hunter2]\nb: { <<: *a }", "is not YAML"),
    ] {
        let told = ApplicationDocument::parse(text, None)
            .unwrap_err()
            .to_string();
        assert!(told.contains(reason), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let two = ApplicationDocument::parse("metadata: {name: a}\n---\nmetadata: {name: b}", None);
    refused(two, &[("", "must be one document, not 2")]);
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (from, to) in ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .zip(["b", "c", "d", "e", "f", "g", "h", "i"])
    {
        let many = format!("*{from}, ").repeat(10);
        bomb.push_str(&format!("{to}: &{to} [{many}]\n"));
    }
    let told = ApplicationDocument::parse(&bomb, None)
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("is not YAML: it is nested too deep, or too much"),
        "{told}"
    );
    let deep = format!(
        "metadata: {{ name: a }}\nspec: {{ x-y: {} }}",
        "[".repeat(5000)
    );
    let told = ApplicationDocument::parse(&deep, None)
        .unwrap_err()
        .to_string();
    assert!(told.contains("is not YAML"), "{told}");
    let deep = format!(
        r#"{{"metadata":{{"name":"a"}},"spec":{{"x-y":{}"#,
        "[".repeat(5000)
    );
    let told = ApplicationDocument::parse(&deep, None)
        .unwrap_err()
        .to_string();
    assert!(told.contains("is not JSON"), "{told}");
}

#[test]
fn text_is_bounded() {
    let long = format!("metadata: {{ name: a }} #{}", "x".repeat(1024 * 1024));
    refused(
        ApplicationDocument::parse(&long, None),
        &[("", "at most 1048576 are allowed")],
    );
}

#[test]
fn secrets_are_not_quoted() {
    for credential in [
        "{ hunter2: }",
        "{ pass: { hunter2: } }",
        "{ pass: { bcrypt: hunter2 } }",
        "{ pass: { secretRef: hunter2 } }",
        "{ pass: [hunter2] }",
        "{ user: { username: u, password: { hunter2: x } } }",
        "{ psk: { key: 'hunter2!' } }",
        "hunter2",
    ] {
        let spec = format!("{{ authentication: {{ credentials: [{credential}] }} }}");
        let told = parse_device(&spec).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test]
async fn a_document_above_its_size_is_refused() {
    let fixture = fixture().await;
    let long = "x".repeat(64 * 1024);
    let device =
        format!(r#"{{"metadata":{{"name":"d","application":"app"}},"spec":{{"x-y":"{long}"}}}}"#);
    let WriteError::Invalid(invalid) = fixture.registry.apply(document(&device)).await.unwrap_err()
    else {
        panic!("another error")
    };
    assert!(
        invalid.to_string().contains("at most 65536 are allowed"),
        "{invalid}"
    );
    let application = format!(r#"{{"metadata":{{"name":"app2"}},"spec":{{"x-y":"{long}"}}}}"#);
    fixture
        .registry
        .apply(document(&application))
        .await
        .unwrap();
}
