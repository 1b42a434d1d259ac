//! Many documents in one request.

use std::fmt::Write as _;

use serde_json::json;

use super::*;

const BULK: &str = "/api/registry/v1alpha1/bulk";

fn lines(answer: Answer) -> Vec<Value> {
    let text = answer.expect(200).text();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn bulk(fixture: &Fixture, query: &str, documents: &str) -> Vec<Value> {
    let uri = format!("{BULK}{query}");
    lines(
        fixture
            .write("POST", &uri, "application/x-ndjson", documents)
            .await,
    )
}

/// Devices `d0000` and so on of `app`, one a line.
fn devices(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, n| {
        writeln!(
            text,
            r#"{{"metadata":{{"name":"d{n:04}","application":"app"}}}}"#
        )
        .unwrap();
        text
    })
}

#[tokio::test]
async fn a_stream_is_written_in_batches_and_told_batch_by_batch() {
    let fixture = Fixture::new().await;
    let documents = format!("{APP}\n{}", devices(0..2500));
    let told = bulk(&fixture, "", &documents).await;
    assert_eq!(
        told,
        [
            json!({"documents": 1000, "created": 1000, "updated": 0, "unchanged": 0}),
            json!({"documents": 2000, "created": 1000, "updated": 0, "unchanged": 0}),
            json!({"documents": 2501, "created": 501, "updated": 0, "unchanged": 0}),
            json!({"documents": 2501, "created": 2501, "updated": 0, "unchanged": 0, "done": true}),
        ]
    );
    let again = bulk(&fixture, "", &documents).await;
    assert_eq!(again[3]["unchanged"], 2501, "idempotent");
    let last = fixture.get(&format!("{DEVICES}/d2499")).await.expect(200);
    assert_eq!(last.json()["metadata"]["name"], "d2499");
}

#[tokio::test]
async fn the_result_of_each_document_is_told_on_request() {
    let fixture = Fixture::with_app().await;
    bulk(&fixture, "", &devices(0..1)).await;
    let changed = r#"{"metadata":{"name":"d0000","application":"app","labels":{"a":"1"}}}"#;
    let documents = format!("{APP}\n{changed}\n{}", devices(1..2));
    let told = bulk(&fixture, "?results=true", &documents).await;
    assert_eq!(
        told[0]["results"],
        json!(["unchanged", "updated", "created"])
    );
}

#[tokio::test]
async fn yaml_is_read_document_by_document() {
    let fixture = Fixture::new().await;
    let yaml =
        "# all\n---\nmetadata: { name: app }\n---\nmetadata: { name: d, application: app }\n";
    let answer = fixture.write("POST", BULK, "application/yaml", yaml).await;
    assert_eq!(lines(answer)[0]["created"], 2);
    fixture.get(&format!("{DEVICES}/d")).await.expect(200);
    let json = fixture.post(BULK, APP).await;
    json.expect_error(415, "unsupported_media_type");
}

#[tokio::test]
async fn the_first_document_that_is_refused_ends_it_and_its_batch_is_not_written() {
    let fixture = Fixture::with_app().await;
    let documents = format!(
        "{}{{\"metadata\":{{}}}}\n{}",
        devices(0..1200),
        devices(1201..3000)
    );
    let told = bulk(&fixture, "", &documents).await;
    assert_eq!(told.len(), 2, "{told:?}");
    let last = &told[1];
    assert_eq!(
        (&last["document"], &last["done"]),
        (&json!(1201), &json!(false))
    );
    assert_eq!(last["error"], "invalid_document");
    assert!(last["message"].as_str().unwrap().contains("metadata.name"));
    assert_eq!(last["created"], 1000, "what was written before");
    fixture.get(&format!("{DEVICES}/d0999")).await.expect(200);
    fixture.get(&format!("{DEVICES}/d1000")).await.expect(404);
}

#[tokio::test]
async fn what_the_store_refuses_is_named_by_its_place() {
    let fixture = Fixture::with_app().await;
    let orphan = r#"{"metadata":{"name":"d","application":"nowhere"}}"#;
    let told = bulk(&fixture, "", &format!("{}{orphan}\n", devices(0..3))).await;
    assert_eq!(told[0]["document"], 4, "{told:?}");
    assert_eq!(told[0]["error"], "unknown_application");
    fixture.get(&format!("{DEVICES}/d0000")).await.expect(404);
}

#[tokio::test]
async fn a_dry_run_names_everything_that_is_invalid_and_changes_nothing() {
    let fixture = Fixture::with_app().await;
    let wrong =
        |name: &str| format!("{{\"metadata\":{{\"name\":\"{name}\",\"application\":\"app\"}}}}\n");
    let documents = format!(
        "{}{}{}{}",
        devices(0..2),
        wrong("a/b"),
        devices(2..4),
        wrong("")
    );
    let told = bulk(&fixture, "?dryRun=true", &documents).await;
    let refused: Vec<_> = told
        .iter()
        .filter_map(|line| line["document"].as_u64())
        .collect();
    assert_eq!(refused, [3, 6]);
    assert_eq!(told.last().unwrap()["done"], false);
    let told = bulk(&fixture, "?dryRun=true", &devices(0..2)).await;
    assert_eq!(told.last().unwrap(), &json!({"documents": 2, "done": true}));
    assert_eq!(fixture.get(DEVICES).await.json(), json!([]));
    let endless = wrong("a/b").repeat(5000);
    assert_eq!(
        bulk(&fixture, "?dryRun=true", &endless).await.len(),
        100,
        "bounded"
    );
}

#[tokio::test]
async fn a_token_writes_documents_of_its_applications_alone() {
    let fixture = Fixture::with_app().await;
    let token = json!({"name": "t", "roles": ["registry"], "applications": ["app"]});
    let token = fixture.create_token(&token).await;
    let fixture = fixture.asking_with(token);
    let foreign = r#"{"metadata":{"name":"d","application":"other"}}"#;
    let told = bulk(&fixture, "", &format!("{}{foreign}\n", devices(0..1))).await;
    assert_eq!(told[0]["error"], "forbidden", "{told:?}");
    assert_eq!(told[0]["document"], 2);
}

#[tokio::test]
async fn what_is_no_document_is_refused_without_showing_it() {
    let fixture = Fixture::with_app().await;
    for text in [
        "pass: hidden-text",
        "[",
        "{\"a\":1,\"a\":\"hidden-text\"}",
        "\"hidden-text\"",
    ] {
        let told = bulk(&fixture, "", text).await;
        assert_eq!(told[0]["error"], "invalid_document", "{told:?}");
        assert!(!told[0].to_string().contains("hidden-text"), "{told:?}");
    }
    assert_eq!(
        bulk(&fixture, "", "\n\n").await,
        [json!({"documents": 0, "created": 0, "updated": 0, "unchanged": 0, "done": true})]
    );
}
