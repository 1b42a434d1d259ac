//! The OpenAPI document: whole, valid, and of this router.

use std::collections::BTreeSet;

use super::{contract::DOCUMENT, *};
use crate::api::described_routes;

const OPENAPI: &str = "/api/openapi.json";

/// All operations as `GET /path`.
pub(super) fn operations() -> BTreeSet<String> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

#[tokio::test]
async fn the_document_is_served_as_it_was_made() {
    let fixture = Fixture::new().await;
    let served = fixture.get(OPENAPI).await.expect(200).json();
    assert_eq!(served, *DOCUMENT);
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(served["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    // The router's only list of its paths is what it shows of itself.
    let shown = format!("{:?}", described_routes().0);
    let routed: BTreeSet<&str> = shown
        .split('"')
        .filter(|text| text.starts_with("/api/"))
        .collect();
    let documented = DOCUMENT["paths"].as_object().unwrap().keys();
    assert_eq!(routed, documented.map(String::as_str).collect());
}

#[tokio::test]
async fn every_method_is_in_the_document_and_the_other_way_round() {
    let fixture = Fixture::new().await;
    let mut routed = BTreeSet::new();
    for path in DOCUMENT["paths"].as_object().unwrap().keys() {
        let request = fixture.request("PATCH", &path.replace(['{', '}'], ""));
        let answer = send(&fixture.api, request.body(Body::empty()).unwrap()).await;
        let answer = answer.expect(405);
        let methods = answer.header("allow").unwrap().split(',');
        let methods = methods.filter(|method| *method != "HEAD");
        routed.extend(methods.map(|method| format!("{method} {path}")));
    }
    assert_eq!(routed, operations());
}

#[test]
fn every_reference_leads_somewhere() {
    let text = DOCUMENT.to_string();
    let references = text.split("\"$ref\":\"#").skip(1);
    let mut count = 0;
    for reference in references {
        let pointer = reference.split('"').next().unwrap();
        assert!(DOCUMENT.pointer(pointer).is_some(), "{pointer}");
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn every_example_fits_its_schema() {
    let mut examples = 0;
    let mut contents = Vec::new();
    for item in DOCUMENT["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            contents.push(operation["requestBody"]["content"].clone());
            let responses = operation["responses"].as_object().unwrap().values();
            contents.extend(responses.map(|response| response["content"].clone()));
        }
    }
    for content in contents.iter().filter_map(Value::as_object) {
        for media_type in content.values() {
            if let (Some(example), Some(schema)) =
                (media_type.get("example"), media_type.get("schema"))
            {
                contract::assert_fits(schema, example, "an example");
                examples += 1;
            }
        }
    }
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        if let Some(example) = schema.get("example") {
            contract::assert_fits(schema, example, name);
            examples += 1;
        }
    }
    assert!(examples >= 8, "{examples}");
}

#[test]
fn every_operation_says_what_it_is_who_may_use_it_and_what_it_takes() {
    let mut ids = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            assert!(operation["summary"].is_string(), "{operation:#}");
            assert!(
                operation["security"][0]["token"].is_array(),
                "{operation:#}"
            );
            assert!(
                ids.insert(operation["operationId"].to_string()),
                "{operation:#}"
            );
            let parameters = operation["parameters"].as_array();
            let parameters = parameters.into_iter().flatten();
            let in_path: BTreeSet<_> = parameters
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                .collect();
            let segments = path.split('/').filter(|segment| segment.starts_with('{'));
            assert_eq!(in_path, segments.map(str::to_owned).collect(), "{path}");
        }
    }
}
