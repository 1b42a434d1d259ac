//! What rules make of an event.

mod endpoints;

use serde_json::{Value, json};

use super::*;
use crate::encode::write_structured_json;
use crate::endpoint::EndpointOptions;
use crate::event::Data;
use crate::record::tests::with_draft;

fn always(then: Vec<Step>) -> Rules {
    Rules::new(vec![Rule {
        when: When::Always,
        then,
    }])
}

fn channel(name: &str) -> When {
    When::IsChannel(name.into())
}

/// The verdict on a text of the channel `temp`, and the event as it is then.
fn apply(rules: &Rules) -> (Verdict, Value) {
    let mut result = None;
    with_draft("temp", true, Data::Binary(b"21.5"), |draft| {
        let mut parts = Parts::of(draft);
        let verdict = rules.apply(&mut parts).expect("nobody to be asked");
        parts.judge().unwrap();
        result = Some((
            verdict,
            event(&parts.draft(draft.origin, draft.id, draft.time)),
        ));
    });
    result.unwrap()
}

fn event(draft: &crate::event::Draft<'_>) -> Value {
    let mut json = Vec::new();
    write_structured_json(draft, &mut json);
    serde_json::from_slice(&json).unwrap()
}

fn set(name: &str, value: &str) -> Step {
    Step::SetExtension(name.into(), value.into())
}

fn set_attribute(name: Attribute, value: &str) -> Step {
    Step::SetAttribute(name, Some(value.into()))
}

#[test]
fn without_rules_the_event_passes_as_it_is() {
    let (verdict, event) = apply(&Rules::default());
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(event["subject"], "temp");
    assert_eq!(event["datacontenttype"], "text/plain");
    assert_eq!(event["traceparent"], "00-a-b-01");
    assert_eq!(event["mqttretain"], true);
}

#[test]
fn conditions_combine() {
    let holds = |when: When| {
        let rules = Rules::new(vec![Rule {
            when,
            then: vec![Step::Drop],
        }]);
        apply(&rules).0 == Verdict::Drop
    };
    let not = |when| When::Not(Box::new(when));
    assert!(holds(When::Always));
    assert!(holds(channel("temp")));
    assert!(!holds(channel("temperature")));
    assert!(holds(not(channel("other"))));
    assert!(holds(When::And(vec![channel("temp"), not(channel("x"))])));
    assert!(!holds(When::And(vec![channel("temp"), channel("x")])));
    assert!(!holds(When::And(Vec::new())));
    assert!(holds(When::Or(vec![channel("x"), channel("temp")])));
    assert!(!holds(When::Or(Vec::new())));
}

#[test]
fn later_rules_see_what_earlier_ones_did() {
    let rules = Rules::new(vec![
        Rule {
            when: channel("temp"),
            then: vec![set_attribute(Attribute::Subject, "warm")],
        },
        Rule {
            when: channel("warm"),
            then: vec![set("seen", "yes")],
        },
        Rule {
            when: channel("temp"),
            then: vec![Step::Drop],
        },
    ]);
    let (verdict, event) = apply(&rules);
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(event["subject"], "warm");
    assert_eq!(event["seen"], "yes");
}

#[test]
fn break_ends_all_rules_and_keeps_what_was_done() {
    let rules = Rules::new(vec![
        Rule {
            when: When::Always,
            then: vec![set("a", "1"), Step::Break, set("b", "2")],
        },
        Rule {
            when: When::Always,
            then: vec![Step::Reject("never".into())],
        },
    ]);
    let (verdict, event) = apply(&rules);
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(event["a"], "1");
    assert_eq!(event.get("b"), None);
}

#[test]
fn reject_gives_its_reason() {
    let rules = always(vec![Step::Reject("too cold".into()), Step::Drop]);
    assert_eq!(apply(&rules).0, Verdict::Reject("too cold".into()));
}

#[test]
fn extensions_are_set_replaced_and_removed() {
    let (_, event) = apply(&always(vec![
        set("site", "north"),
        set("site", "sou\"th"),
        set("gone", "x"),
        Step::RemoveExtension("gone".into()),
        set("traceparent", "00-c-d-01"),
        Step::RemoveExtension("mqttretain".into()),
    ]));
    assert_eq!(event["site"], "sou\"th");
    assert_eq!(event.get("gone"), None);
    assert_eq!(event["traceparent"], "00-c-d-01");
    assert_eq!(event.get("mqttretain"), None);
}

#[test]
fn nobody_can_change_who_an_event_is_from() {
    let (_, before) = apply(&Rules::default());
    let names = [
        "application",
        "device",
        "sender",
        "id",
        "source",
        "partitionkey",
        "data",
        "Up",
    ];
    let steps = names
        .into_iter()
        .flat_map(|name| [set(name, "forged"), Step::RemoveExtension(name.into())]);
    let (_, mut after) = apply(&always(steps.collect()));
    for name in ["id", "time"] {
        assert_eq!(
            before[name].as_str().unwrap().len(),
            after[name].as_str().unwrap().len()
        );
        after[name] = before[name].clone();
    }
    assert_eq!(before, after);
}

#[test]
fn attributes_are_set_and_removed() {
    let (_, event) = apply(&always(vec![
        set_attribute(Attribute::Type, "org.example.reading"),
        set_attribute(Attribute::DataSchema, "urn:schema:2"),
        set_attribute(Attribute::DataContentType, "application/json"),
        Step::SetAttribute(Attribute::Subject, None),
    ]));
    assert_eq!(event["type"], "org.example.reading");
    assert_eq!(event["dataschema"], "urn:schema:2");
    assert_eq!(event.get("subject"), None);
    // What was binary is JSON now.
    assert_eq!(event["data"], 21.5);

    let (_, event) = apply(&always(vec![
        Step::SetAttribute(Attribute::DataContentType, None),
        Step::SetAttribute(Attribute::DataSchema, None),
        Step::SetAttribute(Attribute::Type, None),
    ]));
    assert_eq!(event["datacontenttype"], "application/json");
    assert_eq!(event.get("dataschema"), None);
    assert_eq!(event["type"], "io.drogue.event.v1");
}

#[test]
fn a_content_type_that_the_payload_is_not_is_found() {
    with_draft("temp", false, Data::Binary(b"{"), |draft| {
        let rules = always(vec![set_attribute(
            Attribute::DataContentType,
            "application/json",
        )]);
        let mut parts = Parts::of(draft);
        assert_eq!(rules.apply(&mut parts), Some(Verdict::Pass));
        assert!(parts.judge().is_err());
    });
}
