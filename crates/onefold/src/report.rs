//! Exception reports: rules over many aggregates that may be violated for a while, checked now and then.
//!
//! No aggregate can see all others, so a rule such as "nobody has more than three accounts" is not decided by any of them. A
//! report looks at everything that happened since the last one, and tells which violations there are now. What is done about
//! them is up to its caller; usually commands that make up for it.

use std::future::Future;

use crate::scan::{Scan, ScanError, Scanned};

/// A rule that may be violated for a while, and what it has seen so far. See [`Scan::report`].
pub trait ExceptionReport: Send + Sync {
    /// One case in which the rule does not hold.
    type Violation: Send;

    /// All violations there are in the state as it is. One that lasts is told again by each report, so leave out those that were
    /// dealt with: by what the dealing left among the events, which the rule [observes](Scan::on), too.
    fn violations(&self) -> impl Iterator<Item = Self::Violation> + Send;
}

impl<R: ExceptionReport> Scan<R> {
    /// Brings the rule up to date, then gives each violation to `handle`, one after the other.
    ///
    /// Violations are told of the state at the end of the scan, never of one in the middle: what was violated and mended before
    /// is not told. So a report whose [time](Scan::time_limit) is up before the end tells none; its
    /// [`is_complete`](Scanned::is_complete) is false, and the next one goes on from its checkpoint.
    ///
    /// **At least once.** Store what is returned, rule and checkpoint together, when the report has come to its end. Whoever
    /// crashes before that, or whose `handle` fails, begins at the old checkpoint again and is told the same violations, but for
    /// those that have been dealt with. `handle` must be safe to repeat.
    ///
    /// Dropping the future ends the report, perhaps between two violations, and leaves nothing behind.
    ///
    /// # Errors
    ///
    /// [`ReportError::Scan`] before any violation is told; [`ReportError::Handle`] with the first error of `handle`.
    pub async fn report<H, F, E>(self, mut handle: H) -> Result<Scanned<R>, ReportError<E>>
    where
        H: FnMut(R::Violation) -> F,
        F: Future<Output = Result<(), E>>,
    {
        let scanned = self.run().await.map_err(ReportError::Scan)?;
        if scanned.is_complete {
            for violation in scanned.state.violations() {
                handle(violation).await.map_err(ReportError::Handle)?;
            }
        }
        Ok(scanned)
    }
}

/// A report that did not come to its end. What it would have stored must not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError<E> {
    /// The journal was not read to the end.
    #[error(transparent)]
    Scan(ScanError),
    /// A violation was not dealt with. Those before it were.
    #[error("a violation was not dealt with: {0}")]
    Handle(E),
}
