//! What an answer can tell besides the reply: where it stands in its stream, and in the whole journal.

use onefold_core::journal::Appended;
use onefold_core::{CommitNumber, GlobalPosition, StreamVersion};

/// A reply with its place in the journal. See [`Ask::with_receipt`](crate::Ask::with_receipt).
///
/// Whoever has read the journal as far as `position` has seen everything that the reply depends on: that is how a read
/// model is asked for one's own writes.
///
/// A repeat of an idempotency key gets the reply and the version of then, with a position and a commit that are at or behind
/// the original ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt<T> {
    /// The reply itself.
    pub reply: T,
    /// The version of the aggregate after the decision; without events, the one that was looked at.
    pub version: StreamVersion,
    /// The global position of the decision's last event; without events, one behind everything that the reply depends on.
    pub position: GlobalPosition,
    /// The number of the decision's commit; without events, that of the last commit up to `position`.
    pub commit: CommitNumber,
}

impl<T> Receipt<T> {
    /// The same place with another reply.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Receipt<U> {
        let Receipt { reply, version, position, commit } = self;
        Receipt { reply: map(reply), version, position, commit }
    }
}

/// What a call resolves to: the reply alone ([`ReplyOnly`]), or the reply in a [`Receipt`] ([`WithReceipt`]).
pub trait Answering<T>: sealed::Sealed + Send + 'static {
    /// What the caller gets.
    type Output: Send + 'static;

    #[doc(hidden)]
    const TELLS_PLACE: bool;

    /// Makes the answer of a reply, when it is decided.
    #[doc(hidden)]
    fn answer(reply: T, version: StreamVersion) -> Self::Output;

    /// Tells the answer its place, when it leaves.
    #[doc(hidden)]
    fn place(output: &mut Self::Output, place: Appended);
}

/// The caller gets the reply.
#[derive(Clone, Copy, Debug)]
pub struct ReplyOnly;

/// The caller gets the reply in a [`Receipt`].
#[derive(Clone, Copy, Debug)]
pub struct WithReceipt;

impl<T: Send + 'static> Answering<T> for ReplyOnly {
    type Output = T;
    const TELLS_PLACE: bool = false;

    fn answer(reply: T, _: StreamVersion) -> T {
        reply
    }

    fn place(_: &mut T, _: Appended) {}
}

impl<T: Send + 'static> Answering<T> for WithReceipt {
    type Output = Receipt<T>;
    const TELLS_PLACE: bool = true;

    fn answer(reply: T, version: StreamVersion) -> Receipt<T> {
        Receipt { reply, version, position: GlobalPosition::START, commit: CommitNumber::NONE }
    }

    fn place(output: &mut Receipt<T>, place: Appended) {
        output.position = place.position;
        output.commit = place.commit;
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ReplyOnly {}
    impl Sealed for super::WithReceipt {}
}
