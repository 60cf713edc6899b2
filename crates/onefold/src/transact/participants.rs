//! Who takes part: asks, in a tuple, an array or a `Vec`.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use onefold_core::{Aggregate, Handle, InvalidId, Metadata, StreamId};

use crate::aggregate::call::Call;
use crate::aggregate::execution::{Command, Part};
use crate::aggregate::joint::{Joint, Party};
use crate::aggregate::kind::Kind;
use crate::aggregate::scope::Chain;
use crate::ask::Ask;
use crate::dispatch::{self, Sent, Times};
use crate::error::Error;
use crate::receipt::Answering;
use crate::runtime::shared::Shared;

/// Several asks that can be [decided together](crate::transact): a `Vec` or an array of asks of one command type, with the
/// replies in the same form, or a tuple of up to eight different ones, with a tuple of their replies.
pub trait Participants: sealed::Sealed + Sized {
    /// A reply of each, in order.
    type Replies;
    /// The first participant's rejection.
    type Rejection;

    #[doc(hidden)]
    type Seated;

    #[doc(hidden)]
    fn seat(self) -> Self::Seated;

    /// Takes them out of a transact that has not begun.
    #[doc(hidden)]
    fn take(seated: &mut Self::Seated) -> Self::Seated;

    /// When all have answered.
    #[doc(hidden)]
    fn replies(seated: &mut Self::Seated) -> Option<Self::Replies>;

    #[doc(hidden)]
    fn abandon(seated: &mut Self::Seated);
}

/// [`Participants`] whose rejections can all be told as an `R`.
pub trait RejectAs<R>: Participants {
    #[doc(hidden)]
    fn each(seated: &mut Self::Seated) -> Vec<Taking<'_, R>>;
}

mod sealed {
    pub trait Sealed {}
}

/// One of them, whatever its types.
pub struct Taking<'a, R>(pub(super) &'a mut dyn Participant<R>);

/// See [`Taking`].
pub(super) trait Participant<R> {
    fn shared(&self) -> &Arc<Shared>;
    fn stream(&self) -> Result<StreamId, InvalidId>;
    /// What is wrong with it by itself.
    fn check(&self) -> Result<(), Error<R>>;
    fn limit(&self) -> Option<Duration>;
    fn retries(&self) -> bool;
    /// What it was told.
    fn metadata(&mut self) -> Metadata;
    /// What all are told.
    fn terms(&mut self, metadata: &Metadata);
    /// Puts it into its queue; the key of its slot.
    fn send(
        &mut self,
        index: usize,
        joint: &Arc<Joint>,
        times: Times,
        chain: Option<Arc<Chain>>,
        cx: &mut Context<'_>,
    ) -> Result<u64, Error<R>>;
    /// Keeps the reply, when it is there.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error<R>>>;
    fn abandon(&mut self);
}

/// An ask that takes part.
pub struct Seated<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> {
    kind: Arc<Kind<A>>,
    id: compact_str::CompactString,
    limit: Option<Duration>,
    retries: bool,
    command: Option<Command<A, C, F>>,
    call: Option<PartCall<A, C, F>>,
    reply: Option<F::Output>,
}

type PartCall<A, C, F> = Arc<Call<A, Part<A, C, F>>>;

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> Seated<A, C, F> {
    fn new(ask: Ask<A, C, F>) -> Self {
        let (kind, id, limit, retries, command) = ask.into_parts();
        Seated { kind, id, limit, retries, command, call: None, reply: None }
    }

    fn take(&mut self) -> Self {
        Seated {
            kind: self.kind.clone(),
            id: std::mem::take(&mut self.id),
            limit: self.limit,
            retries: self.retries,
            command: self.command.take(),
            call: self.call.take(),
            reply: self.reply.take(),
        }
    }

    fn leave(&mut self) {
        if let Some(call) = self.call.take() {
            call.abandon();
        }
    }
}

impl<A, C, F, R> Participant<R> for Seated<A, C, F>
where
    A: Handle<C, Rejection: Into<R>>,
    C: Send + 'static,
    F: Answering<A::Reply>,
{
    fn shared(&self) -> &Arc<Shared> {
        &self.kind.shared
    }

    fn stream(&self) -> Result<StreamId, InvalidId> {
        StreamId::new(A::TYPE, &*self.id)
    }

    fn check(&self) -> Result<(), Error<R>> {
        let checked = self.command.as_ref().map_or(Ok(()), |command| command.check_key());
        checked.map_err(|error| error.map_rejection(Into::into))
    }

    fn limit(&self) -> Option<Duration> {
        self.limit
    }

    fn retries(&self) -> bool {
        self.retries
    }

    fn metadata(&mut self) -> Metadata {
        self.command.as_mut().map(|command| std::mem::take(&mut command.terms.metadata)).unwrap_or_default()
    }

    fn terms(&mut self, metadata: &Metadata) {
        if let Some(command) = &mut self.command {
            command.terms.metadata = metadata.clone();
        }
    }

    fn send(
        &mut self,
        index: usize,
        joint: &Arc<Joint>,
        times: Times,
        chain: Option<Arc<Chain>>,
        cx: &mut Context<'_>,
    ) -> Result<u64, Error<R>> {
        let Some(command) = self.command.take() else { panic!("a completed future was polled again") };
        let part = Part { command, party: Party::new(joint.clone(), index) };
        let sent = dispatch::send(&self.kind, &self.id, part, times, chain, cx);
        let Sent(call) = sent.map_err(|error| error.map_rejection(Into::into))?;
        let slot = call.slot.key;
        self.call = Some(call);
        Ok(slot)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error<R>>> {
        if self.reply.is_some() {
            return Poll::Ready(Ok(()));
        }
        let Some(call) = &self.call else { panic!("a completed future was polled again") };
        let answer = std::task::ready!(call.poll_answer(cx));
        self.call = None;
        Poll::Ready(match answer {
            Ok(reply) => {
                self.reply = Some(reply);
                Ok(())
            }
            Err(error) => Err(error.map_rejection(Into::into)),
        })
    }

    fn abandon(&mut self) {
        self.leave();
    }
}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> sealed::Sealed for Vec<Ask<A, C, F>> {}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> Participants for Vec<Ask<A, C, F>> {
    type Replies = Vec<F::Output>;
    type Rejection = A::Rejection;
    type Seated = Vec<Seated<A, C, F>>;

    fn seat(self) -> Self::Seated {
        self.into_iter().map(Seated::new).collect()
    }

    fn take(seated: &mut Self::Seated) -> Self::Seated {
        std::mem::take(seated)
    }

    fn replies(seated: &mut Self::Seated) -> Option<Self::Replies> {
        seated.iter_mut().map(|seated| seated.reply.take()).collect()
    }

    fn abandon(seated: &mut Self::Seated) {
        seated.iter_mut().for_each(Seated::leave);
    }
}

impl<A, C, F, R> RejectAs<R> for Vec<Ask<A, C, F>>
where
    A: Handle<C, Rejection: Into<R>>,
    C: Send + 'static,
    F: Answering<A::Reply>,
{
    fn each(seated: &mut Self::Seated) -> Vec<Taking<'_, R>> {
        seated.iter_mut().map(|seated| Taking(seated)).collect()
    }
}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>, const N: usize> sealed::Sealed for [Ask<A, C, F>; N] {}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>, const N: usize> Participants for [Ask<A, C, F>; N] {
    type Replies = [F::Output; N];
    type Rejection = A::Rejection;
    type Seated = [Seated<A, C, F>; N];

    fn seat(self) -> Self::Seated {
        self.map(Seated::new)
    }

    fn take(seated: &mut Self::Seated) -> Self::Seated {
        seated.each_mut().map(Seated::take)
    }

    fn replies(seated: &mut Self::Seated) -> Option<Self::Replies> {
        let replies: Option<Vec<_>> = seated.iter_mut().map(|seated| seated.reply.take()).collect();
        replies?.try_into().ok()
    }

    fn abandon(seated: &mut Self::Seated) {
        seated.iter_mut().for_each(Seated::leave);
    }
}

impl<A, C, F, R, const N: usize> RejectAs<R> for [Ask<A, C, F>; N]
where
    A: Handle<C, Rejection: Into<R>>,
    C: Send + 'static,
    F: Answering<A::Reply>,
{
    fn each(seated: &mut Self::Seated) -> Vec<Taking<'_, R>> {
        seated.iter_mut().map(|seated| Taking(seated)).collect()
    }
}

macro_rules! tuples {
    ($($first:ident: $($A:ident $C:ident $F:ident $index:tt),+;)+) => {$(
        impl<$($A: Handle<$C>, $C: Send + 'static, $F: Answering<$A::Reply>),+> sealed::Sealed
            for ($(Ask<$A, $C, $F>,)+) {}

        impl<$($A: Handle<$C>, $C: Send + 'static, $F: Answering<$A::Reply>),+> Participants for ($(Ask<$A, $C, $F>,)+) {
            type Replies = ($($F::Output,)+);
            type Rejection = <$first as Aggregate>::Rejection;
            type Seated = ($(Seated<$A, $C, $F>,)+);

            fn seat(self) -> Self::Seated {
                ($(Seated::new(self.$index),)+)
            }

            fn take(seated: &mut Self::Seated) -> Self::Seated {
                ($(seated.$index.take(),)+)
            }

            fn replies(seated: &mut Self::Seated) -> Option<Self::Replies> {
                Some(($(seated.$index.reply.take()?,)+))
            }

            fn abandon(seated: &mut Self::Seated) {
                $(seated.$index.leave();)+
            }
        }

        impl<R, $($A: Handle<$C, Rejection: Into<R>>, $C: Send + 'static, $F: Answering<$A::Reply>),+> RejectAs<R>
            for ($(Ask<$A, $C, $F>,)+)
        {
            fn each(seated: &mut Self::Seated) -> Vec<Taking<'_, R>> {
                vec![$(Taking(&mut seated.$index)),+]
            }
        }
    )+};
}

tuples! {
    A0: A0 C0 F0 0;
    A0: A0 C0 F0 0, A1 C1 F1 1;
    A0: A0 C0 F0 0, A1 C1 F1 1, A2 C2 F2 2;
    A0: A0 C0 F0 0, A1 C1 F1 1, A2 C2 F2 2, A3 C3 F3 3;
    A0: A0 C0 F0 0, A1 C1 F1 1, A2 C2 F2 2, A3 C3 F3 3, A4 C4 F4 4;
    A0: A0 C0 F0 0, A1 C1 F1 1, A2 C2 F2 2, A3 C3 F3 3, A4 C4 F4 4, A5 C5 F5 5;
    A0: A0 C0 F0 0, A1 C1 F1 1, A2 C2 F2 2, A3 C3 F3 3, A4 C4 F4 4, A5 C5 F5 5, A6 C6 F6 6;
    A0: A0 C0 F0 0, A1 C1 F1 1, A2 C2 F2 2, A3 C3 F3 3, A4 C4 F4 4, A5 C5 F5 5, A6 C6 F6 6, A7 C7 F7 7;
}
