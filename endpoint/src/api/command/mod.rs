//! Commands: sent, held and revoked over HTTP.

mod ask;
mod held;
mod send;

use std::sync::Arc;

use axum::http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::command::CommandError;

pub use held::HeldEntry;

use super::{
    Api,
    error::{ApiError, ErrorBody},
    incomplete, input,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(send::send))
        .routes(routes!(held::list))
        .routes(routes!(held::revoke))
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let status = StatusCode::from_u16(error.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, error.as_str(), error)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn every_failure_has_the_status_of_who_is_to_blame() {
        let status = |error: CommandError| ApiError::from(error).into_response().status().as_u16();
        assert_eq!(status(CommandError::BadName("x".to_owned())), 400);
        assert_eq!(status(CommandError::BadProperty("x".to_owned())), 400);
        assert_eq!(status(CommandError::BadRequest("x".to_owned())), 400);
        assert_eq!(status(CommandError::UnknownApplication), 404);
        assert_eq!(status(CommandError::UnknownDevice), 404);
        assert_eq!(status(CommandError::NotConnected), 404);
        assert_eq!(status(CommandError::NotSubscribed), 404);
        assert_eq!(status(CommandError::QueueFull), 409);
        assert_eq!(status(CommandError::CannotAnswer), 409);
        assert_eq!(status(CommandError::TooLarge), 413);
        assert_eq!(status(CommandError::Expired), 504);
        assert_eq!(status(CommandError::NoAcknowledgement), 504);
        assert_eq!(status(CommandError::NoAnswer), 504);
        assert_eq!(status(CommandError::Unavailable), 503);
    }
}
