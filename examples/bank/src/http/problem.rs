//! How an error becomes an answer: one table, no decisions elsewhere.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use onefold::{ClaimError, Error, ErrorKind, EventsError, StreamVersion};
use serde::Serialize;

use super::precondition::etag;

/// What a client may wait before it tries again after a 503, unless the error knows better.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error as the client sees it: `{"error": "Rejected", "message": "…", "retry_safe": false}`; a conflict and a missing
/// precondition also tell the `"version"` that the aggregate is at, and as `ETag`.
#[derive(Debug, Serialize)]
pub struct Problem {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Duration,
    error: String,
    message: String,
    retry_safe: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<StreamVersion>,
}

impl Problem {
    /// The table. `conditional` says whether the request carried a precondition.
    pub fn of<R: std::error::Error>(error: &Error<R>, conditional: bool) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidId | ErrorKind::InvalidClaim | ErrorKind::InvalidTransact | ErrorKind::InvalidKey => {
                StatusCode::BAD_REQUEST
            }
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Rejected | ErrorKind::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Conflict if conditional => StatusCode::PRECONDITION_FAILED,
            ErrorKind::Conflict | ErrorKind::ClaimTaken | ErrorKind::ClaimNotHeld | ErrorKind::AlreadyDone => {
                StatusCode::CONFLICT
            }
            ErrorKind::Overloaded | ErrorKind::DiskLow | ErrorKind::NotStored => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Quarantined => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::OutcomeUnknown => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after = match error {
            Error::Quarantined(quarantined) => quarantined.retry_after,
            _ => RETRY_AFTER,
        };
        let version = match error {
            Error::Conflict { actual, .. } => Some(*actual),
            _ => None,
        };
        let problem = Problem::new(status, format!("{:?}", error.kind()), error.to_string());
        Problem { retry_safe: error.is_retry_safe(), retry_after, version, ..problem }
    }

    /// A precondition that the runtime has no word for does not hold.
    pub(super) fn precondition_failed(version: StreamVersion, message: impl Into<String>) -> Self {
        let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "Conflict", message);
        Problem { version: Some(version), ..problem }
    }

    /// The route takes no request without a precondition. What is there is at `version`.
    pub(super) fn precondition_required(version: StreamVersion) -> Self {
        let message = "send If-Match with the ETag of what you saw, or * to overwrite whatever is there";
        let problem = Problem::new(StatusCode::PRECONDITION_REQUIRED, "PreconditionRequired", message);
        Problem { version: Some(version), ..problem }
    }

    /// The same, told in other words.
    pub(super) fn telling(self, message: impl Into<String>) -> Self {
        Problem { message: message.into(), ..self }
    }

    /// A history that cannot be shown. Reading changes nothing, so it can always be tried again.
    pub(super) fn unreadable(error: &EventsError) -> Self {
        let status = match error {
            EventsError::Read { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem { retry_safe: true, ..Problem::new(status, "Unreadable", error.to_string()) }
    }

    /// A claim that cannot be, or cannot be looked up.
    pub(super) fn unclaimable(error: &ClaimError) -> Self {
        match error {
            ClaimError::Invalid(_) => Problem::new(StatusCode::BAD_REQUEST, "InvalidClaim", error.to_string()),
            _ => Problem {
                retry_safe: true,
                ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Unreadable", error.to_string())
            },
        }
    }

    /// There is no such thing.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// A backup that was not made.
    pub(super) fn no_backup(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "NoBackup", message)
    }

    /// Something has that name already.
    pub(super) fn exists(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::CONFLICT, "Exists", message)
    }

    /// The request makes no sense.
    pub(super) fn bad_request(status: StatusCode, message: impl Into<String>) -> Self {
        Problem::new(status, "BadRequest", message)
    }

    fn new(status: StatusCode, error: impl Into<String>, message: impl Into<String>) -> Self {
        let (error, message) = (error.into(), message.into());
        Problem { status, retry_after: RETRY_AFTER, error, message, retry_safe: false, version: None }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match (self.status, self.version) {
            (status, Some(version)) => (status, [(header::ETAG, etag(version))], Json(self)).into_response(),
            (StatusCode::SERVICE_UNAVAILABLE, None) => {
                let seconds = self.retry_after.as_secs_f64().ceil().to_string();
                (self.status, [(header::RETRY_AFTER, seconds)], Json(self)).into_response()
            }
            (status, None) => (status, Json(self)).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use onefold::{
        AlreadyDone, ClaimName, CommitNumber, ExpectedVersion, Holder, InvalidClaim, NotStored, NotStoredReason,
        OutcomeUnknown, Quarantined, StreamId, StreamVersion,
    };

    use super::*;
    use crate::AccountError;
    use crate::domain::AccountRejection;

    #[test]
    fn every_kind_of_error_has_its_row() {
        let stream = StreamId::new("account", "ada").unwrap();
        let version = Some(StreamVersion::new(3));
        let not_stored = |reason| Error::NotStored(Box::new(NotStored { stream: stream.clone(), version, reason }));
        let conflict = || Error::Conflict {
            stream: stream.clone(),
            expected: ExpectedVersion::NoStream,
            actual: StreamVersion::new(3),
        };
        let (free_bytes, reserve_bytes, reason) = (1, 2, "as a test".to_owned());
        let panicked = NotStoredReason::Panicked { stage: "handle", message: String::new() };
        let quarantined = Quarantined { stream: stream.clone(), retry_after: Duration::from_millis(6_500), reason };
        let done = AlreadyDone { stream: stream.clone(), key: "one".into(), reason: String::new() };
        let unknown = OutcomeUnknown { stream: stream.clone(), version, reason: String::new() };

        let claim = ClaimName::new("alias", "countess").unwrap();
        let holder = Box::new(Holder { stream: stream.clone(), since: CommitNumber::new(1), expires_at: None });
        let not_held = Error::ClaimNotHeld { stream: stream.clone(), claim: claim.clone(), holder: None };
        let error = InvalidClaim::EmptyValue;
        let invalid_claim = Error::InvalidClaim { stream: stream.clone(), version: StreamVersion::new(3), error };

        // The error, If-Match?, status, retry safe, Retry-After.
        let rows: [(AccountError, bool, u16, bool, Option<&str>); 15] = [
            (Error::Rejected(AccountRejection::AmountZero), false, 422, false, None),
            (Error::InvalidKey(onefold::InvalidKey::Empty), false, 400, false, None),
            (Error::KeyReused { stream: stream.clone(), key: "one".into() }, false, 422, false, None),
            (Error::AlreadyDone(Box::new(done)), false, 409, false, None),
            (invalid_claim, false, 400, false, None),
            (Error::ClaimTaken { stream: stream.clone(), claim, holder }, false, 409, false, None),
            (not_held, false, 409, false, None),
            (conflict(), false, 409, false, None),
            (conflict(), true, 412, false, None),
            (Error::Overloaded { stream: stream.clone(), bound: "x", limit: 1 }, false, 503, true, Some("1")),
            (Error::DiskLow { stream: stream.clone(), free_bytes, reserve_bytes }, false, 503, true, Some("1")),
            (not_stored(NotStoredReason::DeadlinePassed), false, 503, true, Some("1")),
            (not_stored(panicked), false, 503, false, Some("1")),
            (Error::Quarantined(Box::new(quarantined)), false, 503, false, Some("7")),
            (Error::OutcomeUnknown(Box::new(unknown)), false, 504, false, None),
        ];
        for (error, conditional, status, retry_safe, retry_after) in rows {
            let problem = Problem::of(&error, conditional);
            assert_eq!((problem.error.clone(), problem.retry_safe), (format!("{:?}", error.kind()), retry_safe));
            let response = problem.into_response();
            let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!((response.status().as_u16(), header(header::RETRY_AFTER)), (status, retry_after), "{error}");
            let tag = (error.kind() == ErrorKind::Conflict).then_some("\"3\"");
            assert_eq!(header(header::ETAG), tag, "{error}");
        }
    }
}
