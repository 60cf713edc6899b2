//! Who holds which claim: one looked up, or all of a namespace.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use onefold_core::journal::{ClaimPage, Journal, ReadError};
use onefold_core::{ClaimName, Holder, InvalidClaim};

use crate::pages::{PAGE_ENTRIES, Pages};

/// Why nobody can tell who holds a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// There can be no such claim.
    #[error(transparent)]
    Invalid(#[from] InvalidClaim),
    /// The journal could not be read, or has no claims.
    #[error(transparent)]
    Read(#[from] ReadError),
}

type Held = (ClaimName, Holder);

/// The claims of one namespace that somebody holds, ordered by value. See [`Runtime::claims`](crate::Runtime::claims). It ends
/// after its first error.
#[must_use = "a stream does nothing until it is polled"]
pub struct ClaimStream {
    journal: Arc<dyn Journal>,
    namespace: String,
    pages: Pages<Held>,
}

impl ClaimStream {
    pub(crate) fn new(journal: Arc<dyn Journal>, namespace: &str) -> Self {
        ClaimStream { journal, namespace: namespace.to_owned(), pages: Pages::new() }
    }
}

impl Stream for ClaimStream {
    type Item = Result<Held, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let ClaimStream { journal, namespace, pages } = &mut *self;
        pages.poll_next(cx, |last| {
            let after = last.map(|(name, _)| name.value().to_owned());
            journal.claims(ClaimPage { namespace: namespace.clone(), after, limit: PAGE_ENTRIES })
        })
    }
}

impl fmt::Debug for ClaimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimStream").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
