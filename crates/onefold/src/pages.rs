//! What a journal lists, fetched page by page and handed on one by one.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use futures_core::future::BoxFuture;
use onefold_core::journal::ReadError;

/// Entries fetched at a time.
pub(crate) const PAGE_ENTRIES: usize = 1024;

/// A page of entries, on its way.
pub(crate) type Page<T> = BoxFuture<'static, Result<Vec<T>, ReadError>>;

/// See the module. It ends after its first error.
pub(crate) struct Pages<T> {
    /// The last entry that was fetched.
    last: Option<T>,
    ready: VecDeque<T>,
    page: Option<Page<T>>,
    ended: bool,
}

impl<T: Clone> Pages<T> {
    pub(crate) fn new() -> Self {
        Pages { last: None, ready: VecDeque::new(), page: None, ended: false }
    }

    /// The next entry. `fetch` asks for the page of [`PAGE_ENTRIES`] behind the entry that it is given.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        fetch: impl Fn(Option<&T>) -> Page<T>,
    ) -> Poll<Option<Result<T, ReadError>>> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(entry)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let page = self.page.get_or_insert_with(|| fetch(self.last.as_ref()));
            let fetched = ready!(page.as_mut().poll(cx));
            self.page = None;
            match fetched {
                Ok(entries) => {
                    self.ended = entries.len() < PAGE_ENTRIES;
                    self.last = entries.last().cloned();
                    self.ready = entries.into();
                }
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}
