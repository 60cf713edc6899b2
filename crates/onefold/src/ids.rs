//! The ids of all aggregates of a type, page by page.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use onefold_core::journal::{Journal, ReadError, StreamPage};
use onefold_core::{AggregateId, StreamId};

use crate::pages::{PAGE_ENTRIES, Pages};

/// A stream of ids in order. See [`Aggregates::ids`](crate::Aggregates::ids). It ends after its first error.
#[must_use = "a stream does nothing until it is polled"]
pub struct IdStream {
    journal: Arc<dyn Journal>,
    aggregate_type: &'static str,
    pages: Pages<StreamId>,
}

impl IdStream {
    pub(crate) fn new(journal: Arc<dyn Journal>, aggregate_type: &'static str) -> Self {
        IdStream { journal, aggregate_type, pages: Pages::new() }
    }
}

impl Stream for IdStream {
    type Item = Result<AggregateId, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let IdStream { journal, aggregate_type, pages } = &mut *self;
        let fetch = |last: Option<&StreamId>| {
            let (aggregate_type, after) = ((*aggregate_type).to_owned(), last.map(StreamId::id));
            journal.streams(StreamPage { aggregate_type, after, limit: PAGE_ENTRIES })
        };
        pages.poll_next(cx, fetch).map(|next| next.map(|stream| stream.map(|stream| stream.id())))
    }
}

impl fmt::Debug for IdStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdStream").field("aggregate_type", &self.aggregate_type).finish_non_exhaustive()
    }
}
