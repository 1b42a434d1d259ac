//! Rules that ask an endpoint.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::*;

/// What an endpoint was asked.
type Asked = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// An endpoint that always answers the same.
async fn endpoint(answer: fn() -> Response) -> (String, Asked) {
    let asked = Asked::default();
    let handler = move |State(asked): State<Asked>, headers: HeaderMap, body: Bytes| async move {
        asked.lock().unwrap().push((headers, body));
        answer()
    };
    let router = Router::new()
        .fallback(handler)
        .with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/check", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

async fn run(rules: &Rules) -> Result<(Verdict, Value), NoVerdict> {
    let mut given = None;
    with_draft("temp", true, Data::Binary(b"21.5"), |draft| {
        let attributes = draft.origin.attributes().map(|(_, value)| value.to_owned());
        let values: Vec<String> = attributes.collect();
        given = Some((Parts::of(draft).into_owned(), values, draft.id, draft.time));
    });
    let (parts, values, id, time) = given.unwrap();
    let origin = Origin::new(crate::event::OriginParts {
        application: (&values[2], &values[3]),
        device: (&values[4], &values[5]),
        sender: (&values[6], &values[7]),
        instance: &values[8],
    });
    let (mut parts, verdict) = rules.run(parts, &origin, id, time).await?;
    parts.judge().unwrap();
    Ok((verdict, event(&parts.draft(&origin, id, time))))
}

fn validate(url: &str, form: RequestForm) -> Step {
    Step::Validate(Arc::new(Call::new(EndpointOptions::new(url), form)))
}

fn enrich(url: &str, form: ResponseForm) -> Step {
    let call = Call::new(EndpointOptions::new(url), RequestForm::Binary);
    Step::Enrich(Arc::new(call), form)
}

#[tokio::test]
async fn only_what_has_to_be_asked_is_asked() {
    let rules = Rules::new(vec![Rule {
        when: channel("other"),
        then: vec![validate("http://127.0.0.1:1/", RequestForm::Binary)],
    }]);
    assert_eq!(apply(&rules).0, Verdict::Pass);
    let rules = always(vec![validate("http://127.0.0.1:1/", RequestForm::Binary)]);
    with_draft("temp", false, Data::None, |draft| {
        assert_eq!(rules.apply(&mut Parts::of(draft)), None);
    });
}

#[tokio::test]
async fn validate_sends_the_event_in_either_mode() {
    let (url, asked) = endpoint(|| StatusCode::NO_CONTENT.into_response()).await;
    for form in [RequestForm::Binary, RequestForm::Structured] {
        let (verdict, _) = run(&always(vec![validate(&url, form)])).await.unwrap();
        assert_eq!(verdict, Verdict::Pass);
    }
    let asked = asked.lock().unwrap();
    let (headers, body) = &asked[0];
    assert_eq!(headers["ce-subject"], "temp");
    assert_eq!(headers["content-type"], "text/plain");
    assert_eq!(&body[..], b"21.5");
    let (headers, body) = &asked[1];
    assert_eq!(headers["content-type"], "application/cloudevents+json");
    let event: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(event["subject"], "temp");
}

#[tokio::test]
async fn validate_reads_the_verdict_from_the_status() {
    async fn verdict(answer: fn() -> Response) -> Result<(Verdict, Value), NoVerdict> {
        let (url, _) = endpoint(answer).await;
        run(&always(vec![
            validate(&url, RequestForm::Binary),
            Step::Drop,
        ]))
        .await
    }
    let (passed, _) = verdict(|| StatusCode::OK.into_response()).await.unwrap();
    assert_eq!(passed, Verdict::Drop, "goes on");
    let (passed, _) = verdict(|| StatusCode::ACCEPTED.into_response())
        .await
        .unwrap();
    assert_eq!(passed, Verdict::Pass, "accepted at once");

    let json = || {
        let body = axum::Json(json!({ "reason": "too\nwarm" }));
        (StatusCode::BAD_REQUEST, body).into_response()
    };
    let (rejected, _) = verdict(json).await.unwrap();
    assert_eq!(rejected, Verdict::Reject("toowarm".into()));
    let text = || (StatusCode::FORBIDDEN, "not yours").into_response();
    let (rejected, _) = verdict(text).await.unwrap();
    assert_eq!(rejected, Verdict::Reject("not yours".into()));
    let (rejected, _) = verdict(|| StatusCode::NOT_FOUND.into_response())
        .await
        .unwrap();
    assert_eq!(rejected, Verdict::Reject("rejected".into()));

    for answer in [
        || StatusCode::SERVICE_UNAVAILABLE.into_response(),
        || StatusCode::TOO_MANY_REQUESTS.into_response(),
        || StatusCode::FOUND.into_response(),
    ] {
        let NoVerdict(reason) = verdict(answer).await.unwrap_err();
        assert!(reason.starts_with("the endpoint answered"), "{reason}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_away_or_cannot_be_called_has_no_verdict() {
    let rules = always(vec![validate(
        "http://127.0.0.1:1/?key=s3cret",
        RequestForm::Binary,
    )]);
    let NoVerdict(reason) = run(&rules).await.unwrap_err();
    assert!(reason.contains("no connection"), "{reason}");
    assert!(!reason.contains("s3cret"), "{reason}");
    let options = EndpointOptions {
        trust: Some(b"no pem".to_vec()),
        ..EndpointOptions::new("https://127.0.0.1:1/")
    };
    let call = Call::new(options, RequestForm::Binary);
    let rules = always(vec![Step::Validate(Arc::new(call))]);
    assert!(run(&rules).await.is_err());
}

#[tokio::test]
async fn enrich_takes_a_binary_event() {
    let (url, _) = endpoint(|| {
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-type", "org.example.enriched"),
            ("ce-subject", "te%C3%A4mp"),
            ("ce-site", "north"),
            ("ce-application", "forged"),
            ("ce-id", "forged"),
            ("content-type", "application/json"),
        ];
        (headers, r#"{"celsius": 21.5}"#).into_response()
    })
    .await;
    let rules = always(vec![
        set("old", "x"),
        enrich(&url, ResponseForm::CloudEvent),
    ]);
    let (verdict, event) = run(&rules).await.unwrap();
    assert_eq!(verdict, Verdict::Pass);
    assert_eq!(event["type"], "org.example.enriched");
    assert_eq!(event["subject"], "teämp");
    assert_eq!(event["site"], "north");
    assert_eq!(event["application"], "app");
    assert_ne!(event["id"], "forged");
    assert_eq!(event.get("old"), None);
    assert_eq!(event["data"], json!({ "celsius": 21.5 }));
}

#[tokio::test]
async fn enrich_takes_a_structured_event() {
    let answer = || {
        let body = r#"{"specversion":"1.0","id":"x","type":"t","source":"s","subject":"warm",
            "level":3,"urgent":true,"data":{"b":1,"a":1.50}}"#;
        (
            [(
                "content-type",
                "application/cloudevents+json; charset=utf-8",
            )],
            body,
        )
            .into_response()
    };
    let (url, _) = endpoint(answer).await;
    let rules = always(vec![enrich(&url, ResponseForm::CloudEvent)]);
    let (_, event) = run(&rules).await.unwrap();
    assert_eq!(event["subject"], "warm");
    assert_eq!(event["level"], "3");
    assert_eq!(event["urgent"], "true");
    assert_eq!(event["datacontenttype"], "application/json");
    assert_eq!(event["data"].to_string(), r#"{"a":1.5,"b":1}"#);
    assert_eq!(event["source"], "drogue://app/de%20v");

    let answer = || {
        r#"{"specversion":"1.0","type":"t","datacontenttype":"text/plain","data":"hello"}"#
            .into_response()
    };
    let (url, _) = endpoint(answer).await;
    let rules = always(vec![enrich(&url, ResponseForm::AssumeStructured)]);
    let (_, event) = run(&rules).await.unwrap();
    assert_eq!(event["data_base64"], "aGVsbG8=");
}

#[tokio::test]
async fn enrich_with_raw_replaces_the_data_only() {
    let (url, _) = endpoint(|| ([("content-type", "text/csv")], "a;b").into_response()).await;
    let rules = always(vec![set("old", "x"), enrich(&url, ResponseForm::Raw)]);
    let (_, event) = run(&rules).await.unwrap();
    assert_eq!(event["datacontenttype"], "text/csv");
    assert_eq!(event["data_base64"], "YTti");
    assert_eq!(event["subject"], "temp");
    assert_eq!(event["old"], "x");
}

#[tokio::test]
async fn an_answer_that_is_no_event_is_no_verdict() {
    for answer in [
        || "{}".into_response(),
        || ([("content-type", "application/cloudevents+json")], "[1]").into_response(),
        || vec![b'x'; 2 << 20].into_response(),
    ] {
        let (url, _) = endpoint(answer).await;
        let rules = always(vec![enrich(&url, ResponseForm::CloudEvent)]);
        assert!(run(&rules).await.is_err());
    }
}
