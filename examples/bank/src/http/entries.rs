//! Several deposits and withdrawals of one account in one request: all of them in one commit, or none.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use onefold::{ExpectedVersion, StreamVersion};
use serde::Serialize;

use super::precondition::{Precondition, Tagged, require_existing};
use super::request::{Body, Terms};
use super::{App, Problem};
use crate::booking::{BookingTerms, book};
use crate::domain::{Book, Receipt};

#[derive(Serialize)]
pub(super) struct Booked {
    id: String,
    /// Where the account stands after each entry.
    entries: Vec<Receipt>,
}

pub(super) async fn add(
    State(app): State<App>,
    Path(id): Path<String>,
    terms: Terms,
    Body(entries): Body<Vec<Book>>,
) -> Result<Tagged<Booked>, Problem> {
    if entries.is_empty() {
        return Err(Problem::bad_request(StatusCode::BAD_REQUEST, "a booking has at least one entry"));
    }
    let expected = match terms.precondition {
        Precondition::Nothing => ExpectedVersion::Any,
        Precondition::Expected(expected) => expected,
        Precondition::Exists => {
            require_existing(&app.accounts, &id, &terms).await?;
            ExpectedVersion::Any
        }
    };
    let conditional = terms.precondition != Precondition::Nothing;
    let terms = BookingTerms { expected, key: terms.key, deadline: terms.deadline };
    let booked = book(&app.accounts, &id, entries, terms).await;
    let entries = booked.map_err(|failed| Problem::of(&failed.error, conditional).telling(failed.to_string()))?;
    let version = entries.last().map_or(StreamVersion::EMPTY, |last| last.version);
    Ok(Tagged(StatusCode::OK, version, Booked { id, entries }))
}
