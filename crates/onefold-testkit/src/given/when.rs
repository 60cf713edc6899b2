//! The command, and its way through the handler.

use std::fmt::{self, Debug};
use std::future::IntoFuture;

use futures_core::future::BoxFuture;
use onefold_core::{Aggregate, Handle, Metadata};

use super::course::Course;
use super::outcome::Outcome;

/// A command to be handled. See [`Given::when`](super::Given::when).
#[must_use = "the command is handled when it is awaited: .when(…).await"]
pub struct When<A: Aggregate, C> {
    course: Course<A>,
    command: C,
    metadata: Option<Metadata>,
}

impl<A: Aggregate, C> When<A, C> {
    pub(super) fn new(course: Course<A>, command: C) -> Self {
        When { course, command, metadata: None }
    }

    /// What the handler finds as [`Context::metadata`](onefold_core::Context::metadata). Without it: the first command has
    /// the id 1, the second one 2, and so on; each is its own correlation, and is admitted at the time of the clock.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(metadata);
        self
    }
}

impl<A, C> IntoFuture for When<A, C>
where
    A: Aggregate<Event: Debug + PartialEq> + Handle<C>,
    C: Debug + Send + 'static,
{
    type Output = Outcome<A, A::Reply>;
    type IntoFuture = BoxFuture<'static, Outcome<A, A::Reply>>;

    fn into_future(self) -> Self::IntoFuture {
        let When { mut course, command, metadata } = self;
        Box::pin(async move {
            // A failure waits for the expectation, which knows its place in the test.
            let end = course.run(command, metadata).await;
            Outcome::new(course, end)
        })
    }
}

impl<A: Aggregate, C: Debug> fmt::Debug for When<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When")
            .field("stream", self.course.stream())
            .field("command", &self.command)
            .finish_non_exhaustive()
    }
}
