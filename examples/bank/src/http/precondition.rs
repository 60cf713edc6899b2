//! Conditional requests (RFC 9110): the version of an aggregate is its entity tag.
//!
//! | header | the command is decided only if |
//! |---|---|
//! | `If-Match: "7"` | the aggregate is at version 7, or what came since does not conflict, on routes that merge |
//! | `If-Match: *` | there is such an aggregate |
//! | `If-None-Match: *` | there is none yet |
//!
//! Otherwise the answer is 412, with the version in the body and as `ETag`. So it is with 428, on routes that demand a condition.
//! Tags are strong, and one is enough: lists and weak tags are refused with 400.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use onefold::{Aggregate, Aggregates, ExpectedVersion, StreamVersion};
use serde::Serialize;

use super::Problem;
use super::request::Terms;

/// On which condition a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// None.
    Nothing,
    /// There is such an aggregate, whatever its version.
    Exists,
    /// This.
    Expected(ExpectedVersion),
}

impl Precondition {
    /// What the headers of a look say. Its `If-None-Match` is no condition: see [`known_version`].
    pub(super) fn of_look(headers: &HeaderMap) -> Result<Self, Problem> {
        match single(headers, &header::IF_MATCH)? {
            None => Ok(Precondition::Nothing),
            Some("*") => Ok(Precondition::Exists),
            Some(tag) => Ok(Precondition::Expected(version_of(tag, &header::IF_MATCH)?.into())),
        }
    }

    /// What the headers of a command say.
    pub(super) fn of_command(headers: &HeaderMap) -> Result<Self, Problem> {
        match (Self::of_look(headers)?, single(headers, &header::IF_NONE_MATCH)?) {
            (precondition, None) => Ok(precondition),
            (Precondition::Nothing, Some("*")) => Ok(Precondition::Expected(ExpectedVersion::NoStream)),
            (Precondition::Nothing, Some(_)) => Err(malformed("a command takes If-None-Match: * only")),
            (_, Some(_)) => Err(malformed("If-Match and If-None-Match exclude each other")),
        }
    }
}

/// Refuses what is asked of an aggregate that has no events.
pub(super) async fn require_existing<A: Aggregate>(
    aggregates: &Aggregates<A>,
    id: &str,
    terms: &Terms,
) -> Result<(), Problem> {
    match current_version(aggregates, id, terms).await? {
        none @ StreamVersion::EMPTY => Err(Problem::precondition_failed(none, format!("there is no {}/{id}", A::TYPE))),
        _ => Ok(()),
    }
}

/// Refuses a request without a precondition; the answer tells what to put into it.
pub(super) async fn require_precondition<A: Aggregate>(
    aggregates: &Aggregates<A>,
    id: &str,
    terms: &Terms,
) -> Result<(), Problem> {
    match terms.precondition {
        Precondition::Nothing => Err(Problem::precondition_required(current_version(aggregates, id, terms).await?)),
        _ => Ok(()),
    }
}

async fn current_version<A: Aggregate>(
    aggregates: &Aggregates<A>,
    id: &str,
    terms: &Terms,
) -> Result<StreamVersion, Problem> {
    let mut version = aggregates.version(id);
    if let Some(deadline) = terms.deadline {
        version = version.deadline(deadline);
    }
    version.await.map_err(|error| Problem::of(&error, false))
}

/// The version that a reader has already: `If-None-Match: "7"`.
pub(super) fn known_version(headers: &HeaderMap) -> Result<Option<StreamVersion>, Problem> {
    let tag = single(headers, &header::IF_NONE_MATCH)?;
    tag.map(|tag| version_of(tag, &header::IF_NONE_MATCH)).transpose()
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(|text| Some(text.trim())).map_err(|_| malformed(format!("{name} is no text")))
        }
        (Some(_), Some(_)) => Err(malformed(format!("one {name} is enough"))),
    }
}

/// The version in `"7"`, written as it is written by [`etag`].
fn version_of(tag: &str, name: &HeaderName) -> Result<StreamVersion, Problem> {
    let refusal = || malformed(format!("{name} must be one version in quotes as ETag tells it, such as \"7\", or *"));
    let digits = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(refusal)?;
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    let number: u64 = digits.parse().ok().filter(|_| canonical).ok_or_else(refusal)?;
    Ok(StreamVersion::new(number))
}

fn malformed(message: impl Into<String>) -> Problem {
    Problem::bad_request(StatusCode::BAD_REQUEST, message)
}

/// A version as an entity tag.
pub(super) fn etag(version: StreamVersion) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits and quotes")
}

/// An answer with the version that it was given at, as its `ETag`.
pub(super) struct Tagged<T>(pub(super) StatusCode, pub(super) StreamVersion, pub(super) T);

impl<T> Tagged<T> {
    /// 304 for a reader that has this version already.
    pub(super) fn unless_known(self, terms: &Terms) -> Self {
        let Tagged(status, version, body) = self;
        let status = if terms.known == Some(version) { StatusCode::NOT_MODIFIED } else { status };
        Tagged(status, version, body)
    }
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Tagged(status, version, body) = self;
        let tag = [(header::ETAG, etag(version))];
        match status {
            StatusCode::NOT_MODIFIED => (status, tag).into_response(),
            status => (status, tag, Json(body)).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn preconditions_are_read_or_refused() {
        let exact = |version: u64| Precondition::Expected(version.into());
        /// Headers, and what they mean; `None`: refused.
        type Row = (&'static [(&'static str, &'static str)], Option<Precondition>);
        let rows: [Row; 16] = [
            (&[], Some(Precondition::Nothing)),
            (&[("if-match", "\"7\"")], Some(exact(7))),
            (&[("if-match", " \"0\" ")], Some(exact(0))),
            (&[("if-match", "\"18446744073709551615\"")], Some(exact(u64::MAX))),
            (&[("if-match", "*")], Some(Precondition::Exists)),
            (&[("if-none-match", "*")], Some(Precondition::Expected(ExpectedVersion::NoStream))),
            (&[("if-none-match", "\"7\"")], None),
            (&[("if-match", "7")], None),
            (&[("if-match", "\"\"")], None),
            (&[("if-match", "\"+7\"")], None),
            (&[("if-match", "\"07\"")], None),
            (&[("if-match", "W/\"7\"")], None),
            (&[("if-match", "\"7\", \"8\"")], None),
            (&[("if-match", "\"18446744073709551616\"")], None),
            (&[("if-match", "\"7\""), ("if-match", "\"7\"")], None),
            (&[("if-match", "\"7\""), ("if-none-match", "*")], None),
        ];
        for (pairs, expected) in rows {
            assert_eq!(Precondition::of_command(&headers(pairs)).ok(), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_tag_is_read_back_as_it_was_written() {
        for version in [0, 1, 7, u64::MAX].map(StreamVersion::new) {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, etag(version));
            assert_eq!(known_version(&headers).ok(), Some(Some(version)));
        }
    }
}
