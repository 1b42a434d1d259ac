//! Applications and devices.

use serde_json::json;

use super::*;

const SENSOR: &str = "/api/registry/v1alpha1/apps/app/devices/sensor01";

fn names(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_resource_is_created_read_replaced_and_deleted() {
    let fixture = Fixture::with_app().await;
    let created = fixture
        .post(DEVICES, r#"{"metadata":{"name":"sensor01"}}"#)
        .await
        .expect(201);
    assert_eq!(created.header("location"), Some(SENSOR));
    assert_eq!(created.json()["metadata"]["application"], "app");

    let mut document = fixture.get(SENSOR).await.expect(200).json();
    assert_eq!(document, created.json());
    document["spec"] = json!({"gatewaySelector": {"matchNames": ["gateway01"]}});
    let replaced = fixture.put(SENSOR, &document.to_string()).await.expect(200);
    assert_eq!(replaced.header("landfall-result"), Some("updated"));
    assert_eq!(replaced.json()["metadata"]["generation"], 2);
    assert_eq!(fixture.get(SENSOR).await.json()["spec"], document["spec"]);

    assert!(fixture.delete(SENSOR).await.expect(204).body.is_empty());
    fixture
        .get(SENSOR)
        .await
        .expect_error(404, "unknown_device");
    fixture
        .delete(SENSOR)
        .await
        .expect_error(404, "unknown_device");
}

#[tokio::test]
async fn the_outdated_version_of_a_resource_changes_nothing() {
    let fixture = Fixture::with_app().await;
    let app = format!("{APPS}/app");
    let old = fixture.get(&app).await.json();
    let mut new = old.clone();
    new["metadata"]["labels"] = json!({"a": "1"});
    fixture.put(&app, &new.to_string()).await.expect(200);
    fixture
        .put(&app, &old.to_string())
        .await
        .expect_error(409, "conflict");
    let version = old["metadata"]["resourceVersion"].as_str().unwrap();
    let outdated = format!("{app}?resourceVersion={version}");
    fixture
        .delete(&outdated)
        .await
        .expect_error(409, "conflict");
    assert_eq!(
        fixture.get(&app).await.json()["metadata"]["labels"]["a"],
        "1"
    );
}

#[tokio::test]
async fn apply_creates_then_changes_nothing_then_updates() {
    let fixture = Fixture::with_app().await;
    let uri = format!("{SENSOR}?apply=true");
    let with = |password: &str| {
        json!({"spec": {"authentication": {"credentials": [{"pass": password}]}}}).to_string()
    };
    for (password, status, result) in [
        ("first", 201, "created"),
        ("first", 200, "unchanged"),
        ("second", 200, "updated"),
        ("second", 200, "unchanged"),
    ] {
        let answer = fixture.put(&uri, &with(password)).await.expect(status);
        assert_eq!(answer.header("landfall-result"), Some(result), "{password}");
        assert!(!answer.text().contains(password), "{}", answer.text());
    }
    fixture
        .put(&format!("{DEVICES}/new"), "{}")
        .await
        .expect_error(404, "unknown_device");
}

#[tokio::test]
async fn a_secret_read_and_written_back_stays() {
    let fixture = Fixture::with_app().await;
    let document = r#"{"spec":{"authentication":{"credentials":[{"pass":"first"}]}}}"#;
    fixture
        .put(&format!("{SENSOR}?apply=true"), document)
        .await
        .expect(201);
    let read = fixture.get(SENSOR).await.json();
    let pass = &read["spec"]["authentication"]["credentials"][0]["pass"];
    assert!(pass["secretRef"].is_string(), "{read}");
    let again = fixture
        .put(&format!("{SENSOR}?apply=true"), &read.to_string())
        .await;
    assert_eq!(
        again.expect(200).header("landfall-result"),
        Some("unchanged")
    );
    let foreign = read
        .to_string()
        .replace(pass["secretRef"].as_str().unwrap(), &"0".repeat(32));
    let message = fixture
        .put(SENSOR, &foreign)
        .await
        .expect_error(400, "invalid_document");
    assert!(message.contains("credentials[0]"), "{message}");
}

#[tokio::test]
async fn lists_are_paged_by_name() {
    let fixture = Fixture::with_app().await;
    for name in ["b", "ä ö", "a", "d&c"] {
        let document = json!({"metadata": {"name": name}}).to_string();
        fixture.post(DEVICES, &document).await.expect(201);
    }
    let mut seen = Vec::new();
    let mut uri = format!("{DEVICES}?limit=2");
    loop {
        let page = fixture.get(&uri).await.expect(200);
        let list = page.json();
        assert!(names(&list).len() <= 2);
        seen.extend(names(&list).into_iter().map(str::to_owned));
        match page.header("landfall-continue") {
            Some(next) => uri = format!("{DEVICES}?limit=2&continue={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "d&c", "ä ö"]);
    assert_eq!(names(&fixture.get(APPS).await.json()), ["app"]);
    let unknown = fixture
        .get("/api/registry/v1alpha1/apps/nobody/devices")
        .await;
    unknown.expect_error(404, "unknown_application");
}

#[tokio::test]
async fn names_in_paths_are_percent_decoded() {
    let fixture = Fixture::with_app().await;
    let created = fixture
        .post(DEVICES, r#"{"metadata":{"name":"ä@b %"}}"#)
        .await
        .expect(201);
    let location = created.header("location").unwrap();
    assert_eq!(location, format!("{DEVICES}/%C3%A4%40b%20%25"));
    assert_eq!(
        fixture.get(location).await.expect(200).json()["metadata"]["name"],
        "ä@b %"
    );
    // An encoded slash is part of the name, which no name may have.
    fixture
        .get(&format!("{DEVICES}/a%2Fb"))
        .await
        .expect_error(404, "unknown_device");
}

#[tokio::test]
async fn invalid_documents_are_refused_with_every_field() {
    let fixture = Fixture::with_app().await;
    let document = r#"{"metadata":{"name":"a/b"},"spec":{"core":{"disabled":"yes"},"x":{}}}"#;
    let message = fixture
        .post(DEVICES, document)
        .await
        .expect_error(400, "invalid_document");
    assert!(message.contains("metadata.name"), "{message}");
    assert!(message.contains("spec.core.disabled"), "{message}");
    for text in ["", "{", "[]", "[{},{}]", "{\"metadata\":{}}"] {
        fixture
            .post(APPS, text)
            .await
            .expect_error(400, "invalid_document");
    }
    let other = r#"{"metadata":{"name":"other"}}"#;
    let message = fixture
        .put(SENSOR, other)
        .await
        .expect_error(400, "invalid_document");
    assert!(message.contains("metadata.name"), "{message}");
}

#[tokio::test]
async fn yaml_is_taken_and_other_media_types_are_not() {
    let fixture = Fixture::new().await;
    let yaml = "metadata: { name: app }\n";
    fixture
        .write("POST", APPS, "application/yaml", yaml)
        .await
        .expect(201);
    let form = fixture
        .write("POST", APPS, "application/x-www-form-urlencoded", APP)
        .await;
    form.expect_error(415, "unsupported_media_type");
}

#[tokio::test]
async fn what_exists_is_not_created_again() {
    let fixture = Fixture::with_app().await;
    fixture
        .post(APPS, APP)
        .await
        .expect_error(409, "already_exists");
    let device = |application: &str| {
        json!({"metadata": {"name": "d", "application": application}}).to_string()
    };
    fixture.post(DEVICES, &device("app")).await.expect(201);
    fixture
        .post(DEVICES, &device("app"))
        .await
        .expect_error(409, "already_exists");
    let foreign = fixture.post(DEVICES, &device("other")).await;
    foreign.expect_error(400, "invalid_document");
    let nowhere = "/api/registry/v1alpha1/apps/nobody/devices";
    fixture
        .post(nowhere, &device("nobody"))
        .await
        .expect_error(404, "unknown_application");
}

#[tokio::test]
async fn lists_are_filtered_by_labels() {
    let fixture = Fixture::with_app().await;
    for (name, labels) in [
        ("a", json!({"site": "north"})),
        ("b", json!({"site": "south"})),
        ("c", json!({})),
    ] {
        let document = json!({"metadata": {"name": name, "labels": labels}});
        fixture
            .post(DEVICES, &document.to_string())
            .await
            .expect(201);
    }
    for (selector, expected) in [
        ("site%3Dnorth", &["a"][..]),
        ("site!%3Dnorth", &["b", "c"]),
        ("site", &["a", "b"]),
        ("site%20in%20(south,west)", &["b"]),
        ("", &["a", "b", "c"]),
    ] {
        let list = fixture.get(&format!("{DEVICES}?labels={selector}")).await;
        assert_eq!(names(&list.expect(200).json()), expected, "{selector}");
    }
    let wrong = fixture.get(&format!("{DEVICES}?labels=a%3D%3D%3Db")).await;
    let message = wrong.expect_error(400, "bad_query");
    assert!(message.contains("labels"), "{message}");
}

#[tokio::test]
async fn only_the_fields_that_are_asked_for_are_shown() {
    let fixture = Fixture::with_app().await;
    let document =
        json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"alias": ["b"]}});
    fixture
        .post(DEVICES, &document.to_string())
        .await
        .expect(201);
    let fields = "fields=metadata.labels,spec.alias";
    let expected =
        json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "spec": {"alias": ["b"]}});
    let list = fixture
        .get(&format!("{DEVICES}?{fields}"))
        .await
        .expect(200);
    assert_eq!(list.json(), json!([expected]));
    let one = fixture
        .get(&format!("{DEVICES}/a?{fields}"))
        .await
        .expect(200);
    assert_eq!(one.json(), expected);
    let apps = fixture.get(&format!("{APPS}?fields=metadata.name")).await;
    assert_eq!(
        apps.expect(200).json(),
        json!([{"metadata": {"name": "app"}}])
    );
    let wrong = fixture.get(&format!("{APPS}/app?fields=names")).await;
    wrong.expect_error(400, "bad_query");
}
