//! A caller that may go away: drops the future that it waits for after some polls, or after some time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

/// When a caller goes away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    Endless,
    /// At this poll, if the answer is not there by then. The first poll is 1.
    Polls(u32),
    Time(Duration),
}

pin_project! {
    /// `None` when the caller went away; the future has been dropped by then.
    pub(crate) struct Leaving<F> {
        #[pin]
        waiting: Option<F>,
        polls: Option<u32>,
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future> Leaving<F> {
    pub(crate) fn new(waiting: F, patience: Patience) -> Self {
        let (polls, timer) = match patience {
            Patience::Endless => (None, None),
            Patience::Polls(polls) => (Some(polls), None),
            Patience::Time(time) => (None, Some(Box::pin(sleep(time)))),
        };
        Leaving { waiting: Some(waiting), polls, timer }
    }
}

impl<F: Future> Future for Leaving<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(waiting) = this.waiting.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if let Poll::Ready(answer) = waiting.poll(cx) {
            return Poll::Ready(Some(answer));
        }
        let out_of_polls = this.polls.as_mut().is_some_and(|polls| {
            *polls = polls.saturating_sub(1);
            *polls == 0
        });
        let out_of_time = this.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if out_of_polls || out_of_time {
            this.waiting.set(None);
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
