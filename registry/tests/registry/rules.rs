//! `spec.publish.rules`: Drogue Cloud's documented forms are read; what cannot work is refused.

use landfall_registry::Secrets;
use landfall_registry::document::{
    ApplicationDocument, Attribute, ContentMode, Request, Response, Step, When,
};
use serde_json::json;

use crate::common::{fixture, json, parse_application};

fn rules(rules: &str) -> ApplicationDocument {
    parse_application(&format!("{{ publish: {{ rules: {rules} }} }}")).unwrap()
}

#[test]
fn conditions_are_read() {
    for (text, when) in [
        ("{}", When::Always),
        ("{ when: always }", When::Always),
        ("{ when: { always: } }", When::Always),
        (
            "{ when: { isChannel: a } }",
            When::IsChannel("a".to_owned()),
        ),
        (
            "{ when: { not: always } }",
            When::Not(Box::new(When::Always)),
        ),
        ("{ when: { and: [] } }", When::And(vec![])),
        (
            "{ when: { or: [{ isChannel: a }, { not: { isChannel: b } }] } }",
            When::Or(vec![
                When::IsChannel("a".to_owned()),
                When::Not(Box::new(When::IsChannel("b".to_owned()))),
            ]),
        ),
    ] {
        let document = rules(&format!("[{text}]"));
        assert_eq!(document.spec.publish.rules[0].when, when, "{text}");
    }
}

#[test]
fn steps_are_read() {
    let document = rules(
        "[{ then: [break, drop, { reject: no }, { setExtension: { name: site, value: n } },
           { removeExtension: site }, { setAttribute: { name: type, value: t } },
           { removeAttribute: subject }] }, { then: drop }]",
    );
    let rules = document.spec.publish.rules;
    assert!(matches!(
        rules[0].then[..],
        [
            Step::Break,
            Step::Drop,
            Step::Reject(_),
            Step::SetExtension { .. },
            Step::RemoveExtension(_),
            Step::SetAttribute {
                name: Attribute::Type,
                ..
            },
            Step::RemoveAttribute(Attribute::Subject),
        ]
    ));
    assert!(
        matches!(rules[1].then[..], [Step::Drop]),
        "a step may stand without the list"
    );
}

#[test]
fn endpoints_are_read_with_drogue_clouds_defaults() {
    let document = rules(
        "[{ then: [{ validate: { endpoint: { url: 'http://localhost:1234' } } },
           { enrich: { request: { type: cloudEvent, mode: structured },
             response: { type: assumeStructuredCloudEvent },
             endpoint: { url: 'https://example.com/e', method: PUT, timeout: 1m,
               tls: { insecure: true }, auth: none, headers: [{ x-a: b }, { name: x-c, value: d }] } } }] }]",
    );
    let steps = &document.spec.publish.rules[0].then;
    let Step::Validate { request, endpoint } = &steps[0] else {
        panic!("not validate")
    };
    assert_eq!(
        *request,
        Request::CloudEvent {
            mode: ContentMode::Binary
        }
    );
    assert_eq!((endpoint.method.as_ref(), endpoint.timeout), (None, None));
    let Step::Enrich {
        request,
        response,
        endpoint,
    } = &steps[1]
    else {
        panic!("not enrich")
    };
    assert_eq!(
        *request,
        Request::CloudEvent {
            mode: ContentMode::Structured
        }
    );
    assert_eq!(*response, Response::AssumeStructuredCloudEvent);
    assert_eq!(endpoint.timeout, Some(std::time::Duration::from_secs(60)));
    let names: Vec<_> = endpoint
        .headers
        .iter()
        .map(|header| header.name.as_str())
        .collect();
    assert_eq!(names, ["x-a", "x-c"]);
}

#[tokio::test]
async fn rules_are_shown_as_they_were_written_without_their_secrets() {
    let fixture = fixture().await;
    let text = "
metadata: { name: app }
spec:
  publish:
    sinks: [events]
    rules:
      - when: { not: { isChannel: raw } }
        then:
          - setAttribute: { name: datacontenttype, value: application/json }
          - validate:
              endpoint:
                url: https://example.com
                timeout: 2s
                auth: { basic: { username: u, password: hunter2 } }
                headers: [{ name: x-api-key, value: hunter2 }]
          - enrich:
              endpoint: { url: 'https://example.com', auth: { bearer: { token: hunter2 } } }
";
    fixture.apply(text).await.unwrap();
    let read = |secrets| fixture.registry.get_application("app", secrets);
    let shown = json(&read(Secrets::Hidden).await.unwrap().unwrap());
    assert!(!shown.to_string().contains("hunter2"), "{shown}");
    let publish = &shown["spec"]["publish"];
    assert_eq!(publish["sinks"], json!(["events"]));
    assert_eq!(
        publish["rules"][0]["when"],
        json!({ "not": { "isChannel": "raw" } })
    );
    let then = &publish["rules"][0]["then"];
    assert_eq!(then[0]["setAttribute"]["name"], "datacontenttype");
    assert_eq!(
        then[1]["validate"]["request"],
        json!({ "type": "cloudEvent", "mode": "binary" })
    );
    assert_eq!(then[1]["validate"]["endpoint"]["timeout"], "2000ms");
    assert_eq!(
        then[1]["validate"]["endpoint"]["auth"]["basic"]["username"],
        "u"
    );
    assert_eq!(
        then[2]["enrich"]["response"],
        json!({ "type": "cloudEvent" })
    );

    // Written back, nothing is lost.
    let document = ApplicationDocument::parse(&shown.to_string(), None).unwrap();
    let again = fixture
        .registry
        .replace_application(document)
        .await
        .unwrap();
    assert_eq!(again.outcome, landfall_registry::Outcome::Unchanged);
    let revealed = json(&read(Secrets::Revealed).await.unwrap().unwrap()).to_string();
    assert_eq!(revealed.matches("hunter2").count(), 3, "{revealed}");
}

#[test]
fn what_cannot_work_is_refused() {
    let deep = "{ not: ".repeat(20) + "always" + &" }".repeat(20);
    let deep = format!("[{{ when: {deep} }}]");
    let deep_path = format!("when{}", ".not".repeat(17));
    for (rules, below, reason) in [
        ("5", "", "must be a list"),
        ("[5]", "[0]", "must be a mapping"),
        ("[{ whem: always }]", "[0].whem", "is not known"),
        (
            "[{ when: never }]",
            "[0].when",
            "`never` is not a condition",
        ),
        (
            "[{ when: { isChanel: a } }]",
            "[0].when.isChanel",
            "is not a condition",
        ),
        (
            "[{ when: { isChannel: 5 } }]",
            "[0].when.isChannel",
            "put it in quotes",
        ),
        ("[{ when: { and: a } }]", "[0].when.and", "must be a list"),
        (
            "[{ when: { and: [always, { or: [5] }] } }]",
            "[0].when.and[1].or[0]",
            "a mapping",
        ),
        (
            "[{ when: { isChannel: a, not: always } }]",
            "[0].when",
            "exactly one of",
        ),
        (&deep, &format!("[0].{deep_path}"), "nested deeper than 16"),
        (
            "[{ then: [accept] }]",
            "[0].then[0].accept",
            "is not a step; there are drop, break",
        ),
        (
            "[{ then: [{ drop: now }] }]",
            "[0].then[0].drop",
            "takes no value",
        ),
        (
            "[{ then: [{ reject: }] }]",
            "[0].then[0].reject",
            "must be a string",
        ),
        (
            "[{ then: [{}] }]",
            "[0].then[0]",
            "must be exactly one of drop",
        ),
        (
            "[{ then: [{ setExtension: { name: my-ext, value: v } }] }]",
            "[0].then[0].setExtension.name",
            "lower-case letters and digits",
        ),
        (
            "[{ then: [{ setExtension: { name: source, value: v } }] }]",
            "[0].then[0].setExtension.name",
            "not an extension",
        ),
        (
            "[{ then: [{ setExtension: { name: a } }] }]",
            "[0].then[0].setExtension.value",
            "required",
        ),
        (
            "[{ then: [{ setAttribute: { name: id, value: v } }] }]",
            "[0].then[0].setAttribute.name",
            "`id` cannot be changed",
        ),
        (
            "[{ then: [{ removeAttribute: type }] }]",
            "[0].then[0].removeAttribute",
            "is required",
        ),
        (
            "[{ then: [{ validate: {} }] }]",
            "[0].then[0].validate.endpoint",
            "is required",
        ),
        (
            "[{ then: [{ validate: { endpoint: {} } }] }]",
            "[0].then[0].validate.endpoint.url",
            "is required",
        ),
        (
            "[{ then: [{ enrich: { endpoint: { url: 'https://h' }, response: { type: x } } }] }]",
            "[0].then[0].enrich.response.type",
            "there are cloudEvent, raw",
        ),
        (
            "[{ then: [{ validate: { endpoint: { url: 'https://h' }, request: { type: x } } }] }]",
            "[0].then[0].validate.request.type",
            "`x` is not known",
        ),
        (
            "[{ then: [{ validate: { endpoint: { url: 'https://h' }, request: { type: cloudEvent, mode: x } } }] }]",
            "[0].then[0].validate.request.mode",
            "`x` is not a mode",
        ),
    ] {
        let invalid = parse_application(&format!("{{ publish: {{ rules: {rules} }} }}"));
        let invalid = invalid.unwrap_err();
        let problem = &invalid.problems()[0];
        assert_eq!(
            problem.path,
            format!("spec.publish.rules{below}"),
            "{problem}"
        );
        assert!(problem.to_string().contains(reason), "{problem}");
    }
}

#[test]
fn endpoints_that_cannot_be_called_are_refused() {
    for (endpoint, below, reason) in [
        ("{ url: ftp://h }", "url", "https:// or http://"),
        ("{ url: 'https://' }", "url", "and a host"),
        ("{ url: 'https://u:hunter2@h/' }", "url", "use `auth`"),
        ("{ url: 'https://h/a b' }", "url", "without spaces"),
        (
            "{ url: 'https://h', method: get }",
            "method",
            "in upper case",
        ),
        (
            "{ url: 'https://h', timeout: 61s }",
            "timeout",
            "at most 60s",
        ),
        (
            "{ url: 'https://h', timeout: soon }",
            "timeout",
            "is not a duration",
        ),
        (
            "{ url: 'https://h', timeout: 5 }",
            "timeout",
            "put it in quotes",
        ),
        (
            "{ url: 'https://h', timeout: 0s }",
            "timeout",
            "not above 0",
        ),
        (
            "{ url: 'https://h', tls: { insecur: true } }",
            "tls.insecur",
            "mean `insecure`?",
        ),
        (
            "{ url: 'https://h', tls: { certificate: x } }",
            "tls.certificate",
            "neither PEM",
        ),
        (
            "{ url: 'https://h', auth: { digest: {} } }",
            "auth",
            "known here: basic, bearer",
        ),
        (
            "{ url: 'https://h', auth: { basic: { username: 'a:b' } } }",
            "auth.basic.username",
            "`:`",
        ),
        (
            "{ url: 'https://h', auth: { bearer: {} } }",
            "auth.bearer.token",
            "is required",
        ),
        (
            "{ url: 'https://h', headers: [{ 'a b': c }] }",
            "headers[0]",
            "not a header name",
        ),
        (
            "{ url: 'https://h', headers: [{ name: a }] }",
            "headers[0].value",
            "is required",
        ),
        (
            "{ url: 'https://h', headers: [{ a: \"b\\r\\nc: d\" }] }",
            "headers[0].a",
            "control",
        ),
    ] {
        let rules = format!("[{{ then: [{{ validate: {{ endpoint: {endpoint} }} }}] }}]");
        let invalid = parse_application(&format!("{{ publish: {{ rules: {rules} }} }}"));
        let invalid = invalid.unwrap_err();
        let problem = &invalid.problems()[0];
        assert_eq!(
            problem.path,
            format!("spec.publish.rules[0].then[0].validate.endpoint.{below}"),
            "{problem}"
        );
        assert!(problem.to_string().contains(reason), "{problem}");
        assert!(!problem.to_string().contains("hunter2"), "{problem}");
    }
}
