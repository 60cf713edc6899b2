//! How an error becomes an answer: one table, no decisions elsewhere.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use onefold::{ErrorKind, EventsError};
use serde::Serialize;

use crate::AccountError;

/// What a client may wait before it tries again after a 503, in seconds.
const RETRY_AFTER_SECONDS: &str = "1";

/// An error as the client sees it: `{"error": "Rejected", "message": "…", "retry_safe": false}`.
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(skip)]
    status: StatusCode,
    error: String,
    message: String,
    retry_safe: bool,
}

impl Problem {
    /// The table. `conditional` says whether the request carried an `If-Match`.
    pub fn of(error: &AccountError, conditional: bool) -> Self {
        let kind = error.kind();
        let status = match kind {
            ErrorKind::InvalidId => StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Rejected => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Conflict if conditional => StatusCode::PRECONDITION_FAILED,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Overloaded | ErrorKind::DiskLow | ErrorKind::NotStored => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Quarantined => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::OutcomeUnknown => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem { status, error: format!("{kind:?}"), message: error.to_string(), retry_safe: error.is_retry_safe() }
    }

    /// A history that cannot be shown. Reading changes nothing, so it can always be tried again.
    pub(super) fn unreadable(error: &EventsError) -> Self {
        let status = match error {
            EventsError::Read { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem { status, error: "Unreadable".into(), message: error.to_string(), retry_safe: true }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Problem { status: StatusCode::NOT_FOUND, error: "NotFound".into(), message: message.into(), retry_safe: false }
    }

    /// The request makes no sense.
    pub fn bad_request(status: StatusCode, message: impl Into<String>) -> Self {
        Problem { status, error: "BadRequest".into(), message: message.into(), retry_safe: false }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        response
    }
}
