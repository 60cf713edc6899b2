//! A command of any type, to be drawn by seed.

use std::future::Future;
use std::pin::Pin;

use onefold::{Aggregate, ClaimRequest, Context, DecisionParts, Handle};
use smallvec::SmallVec;

/// One command for an aggregate of type `A`, whichever its own type and reply are.
///
/// ```ignore
/// Command::new(Deposit { amount: 10 })
/// ```
pub struct Command<A: Aggregate>(Box<dyn Decide<A>>);

/// What a command decided, without its reply's type.
pub(crate) struct Decided<A: Aggregate> {
    pub(crate) events: SmallVec<[A::Event; 1]>,
    pub(crate) claims: Vec<ClaimRequest<A::Rejection>>,
    /// Runs the reply's closure, and what checks the reply.
    pub(crate) reply: CheckedReply<A>,
}

type CheckedReply<A> = Box<dyn FnOnce(&A) -> Result<(), String> + Send>;

pub(crate) type Deciding<'a, A> =
    Pin<Box<dyn Future<Output = Result<Decided<A>, <A as Aggregate>::Rejection>> + Send + 'a>>;

trait Decide<A: Aggregate>: Send {
    fn decide<'a>(self: Box<Self>, state: &'a A, cx: &'a Context<A>) -> Deciding<'a, A>;
}

struct Typed<C, F> {
    command: C,
    check: F,
}

impl<A: Aggregate> Command<A> {
    /// A command whose reply is computed and not looked at.
    pub fn new<C>(command: C) -> Self
    where
        A: Handle<C>,
        C: Send + 'static,
    {
        Self::checked(command, |_, _| Ok(()))
    }

    /// A command whose reply is checked together with the state that it was computed from. What `check` says is wrong ends
    /// the simulation.
    pub fn checked<C, F>(command: C, check: F) -> Self
    where
        A: Handle<C>,
        C: Send + 'static,
        F: FnOnce(&A, &<A as Handle<C>>::Reply) -> Result<(), String> + Send + 'static,
    {
        Command(Box::new(Typed { command, check }))
    }

    pub(crate) fn decide<'a>(self, state: &'a A, cx: &'a Context<A>) -> Deciding<'a, A> {
        self.0.decide(state, cx)
    }
}

impl<A, C, F> Decide<A> for Typed<C, F>
where
    A: Handle<C>,
    C: Send + 'static,
    F: FnOnce(&A, &<A as Handle<C>>::Reply) -> Result<(), String> + Send + 'static,
{
    fn decide<'a>(self: Box<Self>, state: &'a A, cx: &'a Context<A>) -> Deciding<'a, A> {
        let Typed { command, check } = *self;
        Box::pin(async move {
            let DecisionParts { events, claims, reply } = state.handle(command, cx).await?.into_parts();
            let reply = move |state: &A| {
                let reply = reply(state);
                check(state, &reply)
            };
            Ok(Decided { events, claims, reply: Box::new(reply) })
        })
    }
}

impl<A: Aggregate> std::fmt::Debug for Command<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Command").field(&A::TYPE).finish()
    }
}
