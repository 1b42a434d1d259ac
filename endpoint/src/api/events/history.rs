//! How many events an application had when, for a glance at what goes on.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Json, extract::State};
use landfall_events::{event::Timestamp, sink::log::Periods};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::registry::must_exist, Api, ApiError, ErrorBody, Parameters, Segments, log_reader,
};

/// Seconds of a period, if the request does not say.
const DEFAULT_PERIOD: u64 = 5;
/// A day.
const LONGEST_PERIOD: u64 = 86_400;
/// Periods, if the request does not say.
const DEFAULT_COUNT: usize = 60;
const MOST_PERIODS: usize = 1_000;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Query {
    /// Seconds of each period; default 5.
    #[param(minimum = 1, maximum = 86400)]
    period: Option<u64>,
    /// How many periods; default 60.
    #[param(minimum = 1, maximum = 1000)]
    count: Option<usize>,
}

/// Events in periods of equal length.
#[derive(Serialize, ToSchema)]
#[schema(as = EventHistory, example = json!({
    "period": 5, "end": "2026-11-21T11:41:35Z", "counts": [0, 12, 7],
}))]
pub(in crate::api) struct History {
    /// Seconds of each period.
    period: u64,
    /// When the newest period ends or will end: RFC 3339, UTC; a multiple of the period.
    #[schema(format = DateTime)]
    end: String,
    /// Events that were stored in each period, the oldest first. The newest is not over yet.
    counts: Vec<u64>,
}

/// Count recent events
///
/// How many events were stored in each of the last periods, connection events included; out of the
/// newest 100,000 commits.
#[utoipa::path(
    get, path = "/api/events/v1alpha1/apps/{app}/history", tag = "events",
    operation_id = "countEvents",
    params(("app" = String, Path, description = "The application"), Query),
    responses(
        (status = 200, description = "The numbers", body = History),
        (status = 404, description = "`unknown_application`, `no_event_log`", body = ErrorBody),
    ),
    security(("token" = ["events"])),
)]
pub(in crate::api) async fn count(
    State(api): State<Arc<Api>>,
    Segments(application): Segments<String>,
    Parameters(query): Parameters<Query>,
) -> Result<Json<History>, ApiError> {
    let period = query.period.unwrap_or(DEFAULT_PERIOD);
    let periods = query.count.unwrap_or(DEFAULT_COUNT);
    if !(1..=LONGEST_PERIOD).contains(&period) || !(1..=MOST_PERIODS).contains(&periods) {
        return Err(ApiError::bad_request(
            "bad_query",
            format_args!("period is 1 to {LONGEST_PERIOD}, count 1 to {MOST_PERIODS}"),
        ));
    }
    let reader = log_reader(&api)?.clone();
    let end = next_multiple(SystemTime::now(), period);
    let periods = Periods {
        end: end.saturating_mul(1_000_000),
        length: period * 1_000_000,
        count: periods,
    };
    let permit = Arc::clone(&api.reads).acquire_owned().await;
    let name = application.clone();
    let read = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        reader.history(&name, periods)
    });
    let failed = "reading the event log";
    let history = read
        .await
        .map_err(|error| ApiError::internal(failed, error))?
        .map_err(|error| ApiError::internal(failed, error))?;
    if history.counts.iter().all(|count| *count == 0) {
        must_exist(&api, &application).await?;
    }
    let end = Timestamp::from(UNIX_EPOCH + std::time::Duration::from_secs(end)).rfc3339();
    Ok(Json(History {
        period,
        end: String::from_utf8_lossy(&end).into_owned(),
        counts: history.counts,
    }))
}

/// The first multiple of `period` after an instant, in seconds since the epoch: numbers asked for at
/// different moments are of the same periods.
fn next_multiple(now: SystemTime, period: u64) -> u64 {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    (now / period + 1) * period
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn periods_begin_at_multiples_of_their_length() {
        let at = |seconds| next_multiple(UNIX_EPOCH + Duration::from_millis(seconds), 5);
        assert_eq!([at(0), at(4_999), at(5_000), at(9_001)], [5, 5, 10, 10]);
    }
}
