//! Who has which payment alias: looked up in the claims, no list of our own to keep up to date.

use onefold::{AggregateId, ClaimError, Runtime};

use crate::domain::{ALIASES, folded};

/// The holder whose alias it is, if it is anybody's.
///
/// # Errors
///
/// When there can be no such alias, or the journal cannot tell.
pub async fn holder_of(runtime: &Runtime, alias: &str) -> Result<Option<AggregateId>, ClaimError> {
    let holder = runtime.claim(ALIASES, folded(alias)).await?;
    Ok(holder.map(|holder| holder.stream.id()))
}
