//! `spec` of applications, but for their rules.

use super::refused;
use crate::common::parse_application;

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
