//! CloudEvents: model, encodings, content types, and the sinks that take events.
//!
//! - [`event`]: what one event is made of, borrowed from the connection;
//! - [`content`]: which content type an event gets, and whether its payload stands as JSON;
//! - [`json`]: is a payload JSON?
//! - [`encode`]: events as CloudEvents JSON;
//! - [`endpoint`]: HTTP endpoints that an application names;
//! - [`record`]: events on their way to a remote sink, which chooses their form when it sends;
//! - [`template`]: topics, subjects and paths that depend on the event;
//! - [`rule`]: what an application has done with its events before they go to the sinks;
//! - [`sink`]: the contract between a connection and the places events go to, and those places.
//!
//! Nothing here knows what devices speak, or the registry. What is promised to readers of the
//! events is written down in `docs/events.md`.

mod attribute;
pub mod content;
pub mod encode;
pub mod endpoint;
pub mod event;
mod http_binding;
mod id;
pub mod json;
pub mod record;
pub mod rule;
pub mod sink;
pub mod template;
mod time;

pub use attribute::is_free_extension;
