//! The runtime's own question to an aggregate whose hold may be over.

use std::future::poll_fn;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use onefold_core::{Aggregate, ClaimName, CommitNumber};

use super::sending::Sending;
use crate::aggregate::execution::Expiry;
use crate::aggregate::kind::Kind;

/// Lets the aggregate end its hold. Should it not come to that, overloaded say, the hold lasts.
pub(crate) fn expire<A: Aggregate>(
    kind: Arc<Kind<A>>,
    id: &str,
    claim: ClaimName,
    since: CommitNumber,
) -> BoxFuture<'static, ()> {
    let mut sending = Box::pin(Sending::new(kind, id, Expiry { claim, since }));
    Box::pin(async move {
        if let Err(error) = poll_fn(|cx| sending.as_mut().poll_with(cx, |_, _, _, _| Ok(()))).await {
            crate::telemetry::not_expired(A::TYPE, &error);
        }
    })
}
