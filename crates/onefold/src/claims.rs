//! Who holds which claim: one looked up, or all of a namespace.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use onefold_core::journal::{ClaimPage, Journal, ReadError};
use onefold_core::{ClaimName, Holder, InvalidClaim};

/// Claims fetched at a time.
const PAGE_CLAIMS: usize = 1024;

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
    after: Option<String>,
    ready: VecDeque<Held>,
    page: Option<BoxFuture<'static, Result<Vec<Held>, ReadError>>>,
    ended: bool,
}

impl ClaimStream {
    pub(crate) fn new(journal: Arc<dyn Journal>, namespace: &str) -> Self {
        let namespace = namespace.to_owned();
        ClaimStream { journal, namespace, after: None, ready: VecDeque::new(), page: None, ended: false }
    }

    fn fetch(&self) -> BoxFuture<'static, Result<Vec<Held>, ReadError>> {
        let (namespace, after) = (self.namespace.clone(), self.after.clone());
        self.journal.claims(ClaimPage { namespace, after, limit: PAGE_CLAIMS })
    }
}

impl Stream for ClaimStream {
    type Item = Result<Held, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(held) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(held)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            if this.page.is_none() {
                this.page = Some(this.fetch());
            }
            let Some(page) = &mut this.page else { continue };
            let fetched = ready!(page.as_mut().poll(cx));
            this.page = None;
            match fetched {
                Ok(claims) => {
                    this.ended = claims.len() < PAGE_CLAIMS;
                    this.after = claims.last().map(|(name, _)| name.value().to_owned());
                    this.ready = claims.into();
                }
                Err(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl fmt::Debug for ClaimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimStream").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
