//! A command with all that it was told, and how it is carried out: decided, submitted, applied, replied to.

use std::marker::PhantomData;
use std::sync::Arc;

use onefold_core::Handle;
use onefold_core::journal::{Appended, PackedKey};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::call::{Call, Submitted};
use super::super::instance::{Instance, Stage};
use super::super::run::Runner;
use super::deciding::{Decided, Prepared, Within};
use super::missed::Merges;
use super::remembering::remember_rejection;
use super::{Performed, Terms, Work};
use crate::error::Error;
use crate::keyed::{Keyed, KeyedOrRefused, check};
use crate::receipt::Answering;

/// A command with its surroundings, to be answered in the form `F`.
pub(crate) struct Command<A: Handle<C>, C: Send + 'static, F> {
    pub(super) command: C,
    pub(crate) terms: Terms,
    /// What few commands have: apart, so that the others do not carry the room for it.
    pub(super) extras: Option<Box<Extras<A, C>>>,
    answer: PhantomData<fn() -> F>,
}

/// What a command was told beyond its terms.
pub(super) struct Extras<A: Handle<C>, C: Send + 'static> {
    /// Whether it may go ahead on another version than it expects.
    pub(super) merges: Option<Merges<A, C>>,
    /// How to copy it for another attempt.
    copy: Option<fn(&C) -> C>,
    /// Its idempotency key. One that breaks the rules is told when the command is sent.
    keyed: Option<KeyedOrRefused<A::Reply, A::Rejection>>,
}

impl<A: Handle<C>, C: Send + 'static> Extras<A, C> {
    /// Its idempotency key.
    pub(super) fn key(&self) -> Option<&Keyed<A::Reply, A::Rejection>> {
        self.keyed.as_ref()?.as_ref().ok()
    }

    /// The same, to end with its outcome.
    pub(super) fn into_key(self) -> Option<Keyed<A::Reply, A::Rejection>> {
        self.keyed?.ok()
    }
}

impl<A: Handle<C>, C: Send + 'static, F> Command<A, C, F> {
    pub(crate) fn new(command: C) -> Self {
        Command { command, terms: Terms::default(), extras: None, answer: PhantomData }
    }

    /// The same, to be answered in another form.
    pub(crate) fn map_answer<G>(self) -> Command<A, C, G> {
        let Command { command, terms, extras, answer: _ } = self;
        Command { command, terms, extras, answer: PhantomData }
    }

    /// Lets it go ahead on another version than it expects, if `merges` says so.
    pub(crate) fn or_merge(&mut self, merges: Merges<A, C>) {
        self.extras_mut().merges = Some(merges);
    }

    /// Lets it be sent again.
    pub(crate) fn copy_by(&mut self, copy: fn(&C) -> C) {
        self.extras_mut().copy = Some(copy);
    }

    /// Gives it an idempotency key.
    pub(crate) fn give_key(&mut self, key: &str)
    where
        C: Serialize,
        A::Reply: Serialize + DeserializeOwned,
    {
        let keyed = Keyed::of(key, &self.command);
        self.extras_mut().keyed = Some(keyed);
    }

    /// Lets its key remember a rejection, too.
    pub(crate) fn remember_rejection(&mut self)
    where
        A::Rejection: Serialize + DeserializeOwned,
    {
        if let Some(Ok(keyed)) = &mut self.extras_mut().keyed {
            keyed.remember_rejection();
        }
    }

    /// Whether its key, if it has one, is within the rules.
    pub(crate) fn check_key(&self) -> Result<(), Error<A::Rejection>> {
        check(self.extras.as_ref().and_then(|extras| extras.keyed.as_ref()))
    }

    /// Its idempotency key, if it has one within the rules.
    pub(crate) fn key(&self) -> Option<PackedKey<'_>> {
        Some(self.extras.as_ref()?.key()?.key())
    }

    fn extras_mut(&mut self) -> &mut Extras<A, C> {
        self.extras.get_or_insert_with(|| Box::new(Extras { merges: None, copy: None, keyed: None }))
    }
}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> Work<A> for Command<A, C, F> {
    type Output = F::Output;
    const TELLS_PLACE: bool = F::TELLS_PLACE;
    const STORES: bool = true;

    fn place(output: &mut F::Output, place: Appended) {
        F::place(output, place);
    }

    fn heap_bytes(&self) -> usize {
        A::weight_of(&self.command).saturating_add(self.terms.metadata.entries.heap_bytes())
    }

    fn again(&self) -> Option<Self> {
        let Extras { merges, copy, keyed } = &**self.extras.as_ref()?;
        let command = (*copy)?(&self.command);
        let extras = Some(Box::new(Extras { merges: *merges, copy: *copy, keyed: keyed.clone() }));
        Some(Command { command, terms: self.terms.clone(), extras, answer: PhantomData })
    }

    fn has_key(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| extras.keyed.is_some())
    }

    async fn perform(
        self,
        instance: &mut Instance<A>,
        call: &Arc<Call<A, Self>>,
        mut runner: Runner,
    ) -> Performed<A, F::Output> {
        let within = Within { deadline: call.deadline, chain: call.chain.clone(), foresees: true };
        match self.decide(instance, within, &mut runner).await {
            Decided::Prepared(prepared) => carry_out(prepared, instance, call),
            Decided::Repeated { reply, version } => Performed::Answered(reply.map(|reply| F::answer(reply, version))),
            Decided::Rejected { rejection, remembering: Some(remembering) } => {
                remember_rejection(instance, call, remembering, rejection)
            }
            Decided::Rejected { rejection, remembering: None } => Performed::Answered(Err(Error::Rejected(rejection))),
            Decided::Answered(error) => Performed::Answered(Err(error)),
            Decided::Failed(error) => Performed::Failed(error),
        }
    }
}

/// Submits and applies what was decided.
fn carry_out<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>>(
    prepared: Prepared<A, C>,
    instance: &mut Instance<A>,
    call: &Call<A, Command<A, C, F>>,
) -> Performed<A, F::Output> {
    let before = instance.version;
    if !prepared.stores() {
        instance.stage = Stage::Reply;
        return Performed::Answered(Ok(F::answer((prepared.decision.reply)(&instance.state), before)));
    }
    let after = prepared.version_after(instance);
    // IMPORTANT: before applying. Once the deadline can't take the command back, its events may show in the state.
    if !call.submit(Submitted { before, after, settled: instance.settled, stores: true }) {
        return Performed::Cancelled;
    }
    match prepared.apply(instance) {
        Ok((reply, commit)) => Performed::Decided { answer: Ok(F::answer(reply, after)), commit },
        Err(error) => Performed::Spoiled(error),
    }
}
