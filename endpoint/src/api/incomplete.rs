//! Lists of all instances: whose part is missing.

use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use super::input::encoded;
use crate::cluster::Missing;

const INCOMPLETE: HeaderName = HeaderName::from_static("landfall-incomplete");

/// Adds to a list who is missing, if anybody is.
pub(super) fn tell(missing: &Missing, mut list: Response) -> Response {
    let value = header(missing).map(HeaderValue::try_from);
    if let Some(Ok(value)) = value {
        list.headers_mut().insert(INCOMPLETE, value);
    }
    list
}

/// Names, as a header can have them; `*`: all others.
fn header(missing: &Missing) -> Option<String> {
    match missing {
        Missing::Named(names) if names.is_empty() => None,
        Missing::Named(names) => {
            let names: Vec<String> = names.iter().map(|name| encoded(name)).collect();
            Some(names.join(", "))
        }
        Missing::AllOthers => Some("*".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_who_is_missing_and_tells_all_from_one_of_that_name() {
        assert_eq!(header(&Missing::NOBODY), None);
        let some = Missing::Named(vec!["one".to_owned(), "*, ü".to_owned()]);
        assert_eq!(header(&some).as_deref(), Some("one, %2A%2C%20%C3%BC"));
        assert_eq!(header(&Missing::AllOthers).as_deref(), Some("*"));
    }
}
