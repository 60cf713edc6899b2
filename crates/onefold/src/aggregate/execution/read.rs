//! A look at the state.

use std::marker::PhantomData;
use std::sync::Arc;

use onefold_core::journal::Appended;
use onefold_core::{Aggregate, StreamVersion};

use super::super::call::Call;
use super::super::instance::{Instance, Stage};
use super::super::run::Runner;
use super::{Performed, Work};
use crate::receipt::Answering;

/// Looks at the state, to be answered in the form `F`.
pub(crate) struct Read<L, F> {
    look: L,
    answer: PhantomData<fn() -> F>,
}

impl<L, F> Read<L, F> {
    pub(crate) fn new(look: L) -> Self {
        Read { look, answer: PhantomData }
    }

    /// The same, to be answered in another form.
    pub(crate) fn map_answer<G>(self) -> Read<L, G> {
        Read::new(self.look)
    }
}

impl<A, L, T, F> Work<A> for Read<L, F>
where
    A: Aggregate,
    L: FnOnce(&A, StreamVersion) -> T + Send + 'static,
    T: Send + 'static,
    F: Answering<T>,
{
    type Output = F::Output;
    const TELLS_PLACE: bool = F::TELLS_PLACE;
    const STORES: bool = false;

    fn place(output: &mut F::Output, place: Appended) {
        F::place(output, place);
    }

    /// What a closure captured nobody can tell.
    fn heap_bytes(&self) -> usize {
        0
    }

    async fn perform(self, instance: &mut Instance<A>, _: &Arc<Call<A, Self>>, _: Runner) -> Performed<A, F::Output> {
        instance.stage = Stage::Read;
        let seen = (self.look)(&instance.state, instance.version);
        Performed::Answered(Ok(F::answer(seen, instance.version)))
    }
}
