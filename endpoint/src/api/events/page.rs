//! One page as a JSON batch (CloudEvents JSON format 1.0.2, section 4).

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use landfall_events::sink::log::Page;

use super::with_previous_offset;

const CONTENT_TYPE: &str = "application/cloudevents-batch+json";

pub(super) fn respond(page: &Page) -> Response {
    let mut response = ([(header::CONTENT_TYPE, CONTENT_TYPE)], batch(page)).into_response();
    let headers = response.headers_mut();
    headers.insert("landfall-next-offset", page.next_offset().into());
    with_previous_offset(response, page)
}

/// The events are structured JSON in the log already: they are put between brackets.
fn batch(page: &Page) -> Vec<u8> {
    let events = page.events();
    let mut body = Vec::with_capacity(events.map(|(_, event)| event.len() + 1).sum::<usize>() + 2);
    body.push(b'[');
    for (index, (_, event)) in page.events().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event);
    }
    body.push(b']');
    body
}
