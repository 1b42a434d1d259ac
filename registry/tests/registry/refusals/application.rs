//! `spec` of applications, but for their rules.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{IsCa, KeyUsagePurpose};

use super::refused;
use crate::authority::{Authority, anchors};
use crate::common::parse_application;

/// `spec` with one anchor, in base64 of DER.
fn anchor(der: &[u8]) -> String {
    let certificate = BASE64_STANDARD.encode(der);
    format!("{{ trustAnchors: {{ anchors: [{{ certificate: '{certificate}' }}] }} }}")
}

#[test]
fn certificates_that_cannot_vouch_for_devices() {
    let root_with = |change: fn(&mut rcgen::CertificateParams)| {
        Authority::root_with("root", &rcgen::PKCS_ECDSA_P256_SHA256, change).der
    };
    let root = root_with(|_| {});
    // P-256's object identifier turned into that of prime239v3, which nobody uses.
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let mut odd_curve = root.clone();
    let place = odd_curve
        .windows(8)
        .position(|bytes| bytes == curve)
        .unwrap();
    odd_curve[place + 7] = 6;
    let long = [&root[..], &[0]].concat();
    for (der, reason) in [
        (
            b"\x30\x03\x02\x01\x01".to_vec(),
            "is not an X.509 certificate",
        ),
        (
            root[..root.len() - 1].to_vec(),
            "is not a DER-encoded certificate",
        ),
        (long, "is not a DER-encoded certificate"),
        (
            root_with(|params| params.is_ca = IsCa::NoCa),
            "no basicConstraints with CA:TRUE",
        ),
        (
            root_with(|params| params.is_ca = IsCa::ExplicitNoCa),
            "no basicConstraints with CA:TRUE",
        ),
        (
            root_with(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
            "without keyCertSign",
        ),
        (
            root_with(|params| {
                params.not_before = rcgen::date_time_ymd(2031, 1, 1);
                params.not_after = rcgen::date_time_ymd(2030, 1, 1);
            }),
            "validity that ends before it begins",
        ),
        (odd_curve, "public key of a kind that is not supported"),
    ] {
        let problem = [("spec.trustAnchors.anchors[0].certificate", reason)];
        refused(parse_application(&anchor(&der)), &problem);
    }
    parse_application(&anchor(&root)).unwrap();
}

#[test]
fn an_expired_authority_is_accepted() {
    let expired = root_of_last_century();
    parse_application(&anchors(&[&expired])).unwrap();
}

fn root_of_last_century() -> Authority {
    Authority::root_with("root", &rcgen::PKCS_ECDSA_P256_SHA256, |params| {
        params.not_before = rcgen::date_time_ymd(1990, 1, 1);
        params.not_after = rcgen::date_time_ymd(1999, 1, 1);
    })
}

#[test]
fn templates_of_device_names() {
    let certificate = Authority::root("root").base64();
    let long = format!("${{CN}}{}", "x".repeat(251));
    for (template, reason) in [
        ("sensor", "at least one attribute"),
        ("${CN", "without a `}`"),
        ("${}", "not known"),
        ("${CM}", "not known"),
        ("${2.5..4}", "not known"),
        ("a ${CN} and ${nonsense}", "not known"),
        (&long, "at most 255 bytes"),
    ] {
        let spec = format!(
            "{{ trustAnchors: {{ anchors: [{{ certificate: '{certificate}', deviceName: '{template}' }}] }} }}"
        );
        let problem = [("spec.trustAnchors.anchors[0].deviceName", reason)];
        refused(parse_application(&spec), &problem);
    }
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
            "{ trustAnchor: {} }",
            &[("spec.trustAnchor", "did you mean `trustAnchors`?")],
        ),
        (
            "{ authentication: { credentials: [{ pass: in-the-wrong-place }] } }",
            &[("spec.authentication", "belongs to a device")],
        ),
        (
            "{ credentials: [], Gatewayselector: {} }",
            &[
                ("spec.Gatewayselector", "belongs to a device"),
                ("spec.credentials", "belongs to a device"),
            ],
        ),
        (
            "{ authenticaton: { credentials: [] } }",
            &[(
                "spec.authenticaton",
                "name its application in `metadata.application`",
            )],
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
