//! What a request carries, read so that every mistake in it is answered as a [`Problem`].

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use onefold::StreamVersion;
use serde::de::DeserializeOwned;

use super::Problem;
use super::precondition::{Precondition, known_version};

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            // axum answers 422 to JSON of another shape; here 422 is kept for what the domain rejects.
            Err(error) if error.status() == StatusCode::UNPROCESSABLE_ENTITY => {
                Err(Problem::bad_request(StatusCode::BAD_REQUEST, error.body_text()))
            }
            Err(error) => Err(Problem::bad_request(error.status(), error.body_text())),
        }
    }
}

/// The parameters behind the `?`.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Parameters(parameters)),
            Err(error) => Err(Problem::bad_request(error.status(), error.body_text())),
        }
    }
}

/// The longest deadline a client can ask for; more than that is as good as this.
const DEADLINE_MAX: Duration = Duration::from_secs(60);

/// On which terms something is asked: every header is optional, but for the routes that demand a precondition.
pub(super) struct Terms {
    /// `If-Match`, and for commands `If-None-Match`.
    pub(super) precondition: Precondition,
    /// `If-None-Match: "7"` of a look: the version that the client has already.
    pub(super) known: Option<StreamVersion>,
    /// `X-Deadline-Ms: 500`: answer within this time.
    pub(super) deadline: Option<Duration>,
    /// `Idempotency-Key: order-17` of a command: sent again, it has no second effect.
    pub(super) key: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Terms {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let headers = &parts.headers;
        let (precondition, known) = match parts.method {
            Method::GET | Method::HEAD => (Precondition::of_look(headers)?, known_version(headers)?),
            _ => (Precondition::of_command(headers)?, None),
        };
        let deadline = number(headers, "x-deadline-ms")?.map(|millis| Duration::from_millis(millis).min(DEADLINE_MAX));
        let key = text(headers, "idempotency-key")?;
        Ok(Terms { precondition, known, deadline, key })
    }
}

/// A header that holds text.
fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let refusal = |_| Problem::bad_request(StatusCode::BAD_REQUEST, format!("{name} must be visible ASCII"));
    value.to_str().map(|text| Some(text.to_owned())).map_err(refusal)
}

/// A header that holds a whole number.
fn number(headers: &HeaderMap, name: &str) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let refusal = || Problem::bad_request(StatusCode::BAD_REQUEST, format!("{name} must be a whole number"));
    number.map(Some).ok_or_else(refusal)
}
