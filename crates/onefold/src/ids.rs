//! The ids of all aggregates of a type, page by page.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use onefold_core::journal::{Journal, ReadError, StreamPage};
use onefold_core::{AggregateId, StreamId};

/// Ids fetched at a time.
const PAGE_IDS: usize = 1024;

/// A stream of ids in order. See [`Aggregates::ids`](crate::Aggregates::ids). It ends after its first error.
#[must_use = "a stream does nothing until it is polled"]
pub struct IdStream {
    journal: Arc<dyn Journal>,
    aggregate_type: &'static str,
    after: Option<AggregateId>,
    ready: VecDeque<StreamId>,
    page: Option<BoxFuture<'static, Result<Vec<StreamId>, ReadError>>>,
    ended: bool,
}

impl IdStream {
    pub(crate) fn new(journal: Arc<dyn Journal>, aggregate_type: &'static str) -> Self {
        IdStream { journal, aggregate_type, after: None, ready: VecDeque::new(), page: None, ended: false }
    }

    fn fetch(&self) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        let aggregate_type = self.aggregate_type.to_owned();
        self.journal.streams(StreamPage { aggregate_type, after: self.after.clone(), limit: PAGE_IDS })
    }
}

impl Stream for IdStream {
    type Item = Result<AggregateId, ReadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(stream) = this.ready.pop_front() {
                let id = AggregateId::new(stream.aggregate_id())
                    .map_err(|error| ReadError::Storage { reason: error.to_string().into() });
                this.after = id.as_ref().ok().cloned();
                this.ended |= id.is_err();
                return Poll::Ready(Some(id));
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
                Ok(streams) => {
                    this.ended = streams.len() < PAGE_IDS;
                    this.ready = streams.into();
                }
                Err(error) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}

impl fmt::Debug for IdStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdStream").field("aggregate_type", &self.aggregate_type).finish_non_exhaustive()
    }
}
