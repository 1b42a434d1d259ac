//! The event log of an application, read over HTTP as a consumer reads it.

use serde_json::Value;

use super::Server;
use super::wait;

/// A page of events and the offset to ask for next.
pub(crate) struct Page {
    pub(crate) events: Vec<Value>,
    pub(crate) next: String,
}

impl Server {
    /// One page after `after`, or from the oldest retained.
    pub(crate) fn page(&self, app: &str, after: Option<&str>, limit: usize) -> Page {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        let path = format!("/api/events/v1alpha1/apps/{app}?limit={limit}{after}");
        let answer = self.api().get(&path).expect_status(200);
        let next = answer
            .header("landfall-next-offset")
            .expect("the next offset")
            .to_owned();
        let Value::Array(events) = answer.json() else {
            panic!("not a batch: {}", answer.text())
        };
        Page { events, next }
    }

    /// All events of an application at this moment.
    pub(crate) fn all_events(&self, app: &str) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(app, after.as_deref(), 1_000);
            if page.events.is_empty() {
                return all;
            }
            all.extend(page.events);
            after = Some(page.next);
        }
    }

    /// The events that devices published (no connection events) at this moment.
    pub(crate) fn published(&self, app: &str) -> Vec<Value> {
        let mut events = self.all_events(app);
        events.retain(|event| event["type"] == "io.drogue.event.v1");
        events
    }

    /// The `connected` values of a device's connection events at this moment, in order.
    pub(crate) fn connection_events(&self, app: &str, device: &str) -> Vec<bool> {
        self.all_events(app)
            .iter()
            .filter(|event| event["type"] == "io.drogue.connection.v1")
            .filter(|event| event["device"] == device)
            .map(|event| {
                event["data"]["connected"]
                    .as_bool()
                    .expect("a Boolean `connected`")
            })
            .collect()
    }

    /// Waits until `count` published events are there, and returns them. More than `count` is an
    /// error: something was stored twice.
    #[track_caller]
    pub(crate) fn wait_published(&self, app: &str, count: usize) -> Vec<Value> {
        let events = wait::until(&format!("{count} published events"), || {
            let events = self.published(app);
            (events.len() >= count).then_some(events)
        });
        assert_eq!(events.len(), count, "{events:#?}");
        events
    }

    /// Waits until a device's connection events are exactly these.
    pub(crate) fn wait_connection_events(&self, app: &str, device: &str, expected: &[bool]) {
        wait::until(
            &format!("connection events {expected:?} of {device}"),
            || (self.connection_events(app, device) == expected).then_some(()),
        );
    }
}
