//! Many aggregates asked at once, so many of them at a time.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::iter::Map;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::{self, Buffered, StreamExt};
use pin_project_lite::pin_project;

/// Many commands, each with an answer of its own. See [`Aggregates::ask_many`](crate::Aggregates::ask_many).
///
/// Awaited, it resolves to all answers in the order of the commands. [`in_order`](AskMany::in_order) and
/// [`as_they_come`](AskMany::as_they_come) hand them out one by one.
#[must_use = "commands are sent when their answers are awaited"]
pub struct AskMany<I> {
    asks: I,
    concurrency: usize,
}

impl<I> AskMany<I>
where
    I: Iterator,
    I::Item: Future,
{
    pub(crate) fn new(asks: I, concurrency: usize) -> Self {
        AskMany { asks, concurrency }
    }

    /// Tells each of them more before it is sent: `.each(|ask| ask.deadline(limit).with_receipt())`. A deadline runs from
    /// when the command's own turn comes.
    pub fn each<F, G>(self, tell: F) -> AskMany<Map<I, F>>
    where
        F: FnMut(I::Item) -> G,
        G: Future,
    {
        AskMany { asks: self.asks.map(tell), concurrency: self.concurrency }
    }

    /// The answers in the order of the commands, each when it and all before it are there.
    pub fn in_order(self) -> impl Stream<Item = <I::Item as Future>::Output> {
        stream::iter(self.asks).buffered(self.concurrency)
    }

    /// The answers as they come, each with the number of its command, counted from 0.
    pub fn as_they_come(self) -> impl Stream<Item = (usize, <I::Item as Future>::Output)> {
        let numbered = self.asks.enumerate().map(|(index, ask)| async move { (index, ask.await) });
        stream::iter(numbered).buffer_unordered(self.concurrency)
    }
}

impl<I> IntoFuture for AskMany<I>
where
    I: Iterator,
    I::Item: Future,
{
    type Output = Vec<<I::Item as Future>::Output>;
    type IntoFuture = AllAnswers<I>;

    fn into_future(self) -> AllAnswers<I> {
        let answers = Vec::with_capacity(self.asks.size_hint().0);
        AllAnswers { coming: stream::iter(self.asks).buffered(self.concurrency), answers }
    }
}

impl<I> fmt::Debug for AskMany<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskMany").field("concurrency", &self.concurrency).finish_non_exhaustive()
    }
}

pin_project! {
    /// All answers of an [`AskMany`], in the order of its commands.
    #[must_use = "commands are sent when their answers are awaited"]
    pub struct AllAnswers<I>
    where
        I: Iterator,
        I::Item: Future,
    {
        #[pin]
        coming: Buffered<stream::Iter<I>>,
        answers: Vec<<I::Item as Future>::Output>,
    }
}

impl<I> Future for AllAnswers<I>
where
    I: Iterator,
    I::Item: Future,
{
    type Output = Vec<<I::Item as Future>::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        while let Some(answer) = ready!(this.coming.as_mut().poll_next(cx)) {
            this.answers.push(answer);
        }
        Poll::Ready(std::mem::take(this.answers))
    }
}
