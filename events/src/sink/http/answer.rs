//! What an endpoint's answer means.

use std::time::{Duration, SystemTime};

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};

use crate::endpoint::no_answer;
use crate::sink::Refusal;
use crate::sink::remote::Outcome;

/// 2xx: taken. 400, 413, 415, 422: the event will never be taken. Anything else is not the device's
/// fault: the endpoint is away, moved, or does not know us.
pub(super) async fn outcome(response: Response) -> Outcome {
    let status = response.status();
    let after = retry_after(&response);
    // Read, so that the connection can be used again; a long answer is not worth that.
    if response
        .content_length()
        .is_some_and(|length| length < 64 << 10)
    {
        let _unread = response.bytes().await;
    }
    match status {
        status if status.is_success() => Outcome::Accepted,
        StatusCode::PAYLOAD_TOO_LARGE => Outcome::Refused(Refusal::TooLarge, said(status)),
        StatusCode::BAD_REQUEST
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused(Refusal::Rejected, said(status)),
        status => Outcome::Retry {
            reason: said(status),
            after,
        },
    }
}

/// No answer.
pub(super) fn failure(error: &reqwest::Error) -> Outcome {
    Outcome::retry(no_answer(error))
}

fn said(status: StatusCode) -> String {
    format!("the endpoint answered {status}")
}

/// RFC 9110, 10.2.3: seconds, or a date.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}
