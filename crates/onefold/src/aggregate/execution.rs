//! One command, straight down: handle, encode and check limits, submit, apply, reply. Nothing here waits for the journal.
//!
//! A failure up to encoding costs nothing but itself. From applying on the state is ahead of the journal; a panic there
//! discards it, before anything was handed to the journal.

mod bulk;
mod missed;
mod remembering;
mod supervised;

use std::future::Future;
use std::marker::PhantomData;

use onefold_core::journal::{Appended, EncodeError, EncodedEvents, PartExtras};
use onefold_core::{Aggregate, ExpectedVersion, Handle, Limits, Metadata, StreamVersion, TooLarge};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::bulk::{Bulk, Deciding, Progress, Stop};
pub(crate) use self::missed::Merges;
use self::remembering::{keys_are_full, remember_rejection, remember_reply};
use self::supervised::{End, Supervised};
use super::call::{Call, Submitted};
use super::instance::{Instance, Stage};
use super::run::Runner;
use super::scope::Scope;
use crate::error::{Error, NotStoredReason};
use crate::keyed::{KeyRefused, Keyed};
use crate::receipt::Answering;

/// What a call does on an instance: a command, or a read.
pub(crate) trait Work<A: Aggregate>: Sized + Send + 'static {
    type Output: Send + 'static;

    /// Whether the answer tells its place in the journal: then `place` is called before it leaves.
    const TELLS_PLACE: bool;

    /// Whether it may have something to store.
    const STORES: bool;

    fn place(output: &mut Self::Output, place: Appended);

    /// What it holds on the heap while it waits.
    fn heap_bytes(&self) -> usize;

    /// A copy for another attempt, if it was told how to make one.
    fn again(&self) -> Option<Self> {
        None
    }

    /// Whether a repeat of it is recognised.
    fn has_key(&self) -> bool {
        false
    }

    fn perform(
        self,
        instance: &mut Instance<A>,
        call: &Call<A, Self>,
        runner: Runner,
    ) -> impl Future<Output = Performed<A, Self::Output>> + Send;
}

/// How a call's work ended.
pub(crate) enum Performed<A: Aggregate, T> {
    /// An answer that depends on the state, and nothing to store. Goes through the gate.
    Answered(Result<T, Error<A::Rejection>>),
    /// Something to store: events, by which the state is ahead, or a key that remembers the answer.
    Decided { answer: Result<T, Error<A::Rejection>>, commit: Commit },
    /// The events are applied, but can't be handed to the journal: the state is worthless.
    Spoiled(Error<A::Rejection>),
    /// An error that shows nothing of the state, and no version in flight. Leaves at once.
    Failed(Error<A::Rejection>),
    /// The deadline was faster; the caller has been told.
    Cancelled,
}

/// What goes to the journal.
pub(crate) struct Commit {
    pub(crate) expected: ExpectedVersion,
    pub(crate) events: EncodedEvents,
    pub(crate) extras: Option<Box<PartExtras>>,
    pub(crate) metadata: Vec<u8>,
}

/// On which terms a command is asked, and what is stored with it.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    pub(crate) expected: ExpectedVersion,
    pub(crate) metadata: Metadata,
}

/// A command with its surroundings, to be answered in the form `F`.
pub(crate) struct Command<A: Handle<C>, C: Send + 'static, F> {
    command: C,
    pub(crate) terms: Terms,
    /// What few commands have: apart, so that the others do not carry the room for it.
    extras: Option<Box<Extras<A, C>>>,
    answer: PhantomData<fn() -> F>,
}

/// What a command was told beyond its terms.
struct Extras<A: Handle<C>, C: Send + 'static> {
    /// Whether it may go ahead on another version than it expects.
    merges: Option<Merges<A, C>>,
    /// How to copy it for another attempt.
    copy: Option<fn(&C) -> C>,
    /// Its idempotency key. One that breaks the rules is told when the command is sent.
    keyed: Option<KeyedOrRefused<A, C>>,
}

type KeyedOrRefused<A, C> = Result<Keyed<<A as Handle<C>>::Reply, <A as Aggregate>::Rejection>, KeyRefused>;

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
        self.extras().merges = Some(merges);
    }

    /// Lets it be sent again.
    pub(crate) fn copy_by(&mut self, copy: fn(&C) -> C) {
        self.extras().copy = Some(copy);
    }

    /// Gives it an idempotency key.
    pub(crate) fn give_key(&mut self, key: &str)
    where
        C: Serialize,
        A::Reply: Serialize + DeserializeOwned,
    {
        let keyed = Keyed::of(key, &self.command);
        self.extras().keyed = Some(keyed);
    }

    /// Lets its key remember a rejection, too.
    pub(crate) fn remember_rejection(&mut self)
    where
        A::Rejection: Serialize + DeserializeOwned,
    {
        if let Some(Ok(keyed)) = &mut self.extras().keyed {
            keyed.remember_rejection();
        }
    }

    /// Whether its key, if it has one, is within the rules.
    pub(crate) fn check_key(&self) -> Result<(), Error<A::Rejection>> {
        match self.extras.as_ref().and_then(|extras| extras.keyed.as_ref()) {
            Some(Err(refused)) => Err(refused.clone().into()),
            _ => Ok(()),
        }
    }

    fn extras(&mut self) -> &mut Extras<A, C> {
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
        call: &Call<A, Self>,
        mut runner: Runner,
    ) -> Performed<A, F::Output> {
        instance.stage = Stage::Handle;
        let before = instance.version;
        let Command { command, terms: Terms { expected, metadata }, extras, .. } = self;
        let keyed = extras.as_ref().and_then(|extras| extras.keyed.as_ref()?.as_ref().ok());
        if let Some(keyed) = keyed {
            // Before anything else: a repeat is not decided again, so no version and no limit can stand in its way.
            if let Some(remembered) = instance.remembered(&keyed.key) {
                let reply = keyed.repeated(remembered, &instance.slot.stream);
                return Performed::Answered(reply.map(|reply| F::answer(reply, remembered.version)));
            }
            if let Some(full) = keys_are_full(instance) {
                return Performed::Failed(full);
            }
        }
        if !expected.accepts(before) {
            let goes_ahead = match extras.as_ref().and_then(|extras| extras.merges) {
                // Boxed: it is rare.
                Some(merges) => match Box::pin(missed::look(instance, expected, call.deadline, &mut runner)).await {
                    Ok(missed) => missed.is_some_and(|missed| merges(&command, &missed)),
                    Err(error) => return Performed::Failed(error),
                },
                None => false,
            };
            if !goes_ahead {
                let (stream, actual) = (instance.slot.stream.clone(), before);
                return Performed::Answered(Err(Error::Conflict { stream, expected, actual }));
            }
            instance.stage = Stage::Handle;
        }
        let stream = &instance.slot.stream;
        let config = &instance.slot.shared.config;
        let mut metadata_bytes = Vec::with_capacity(32);
        if let Err(what) = metadata.encode(&config.limits, &mut metadata_bytes) {
            // Through the gate: it names a version.
            return Performed::Answered(Err(Error::TooLarge { stream: stream.clone(), version: before, what }));
        }
        let at = metadata.timestamp;
        let scope = Scope {
            slot: instance.slot.key,
            command_id: metadata.command_id,
            correlation_id: metadata.correlation_id,
            chain: call.chain.clone(),
        };
        instance.context.prepare(before, metadata);
        let handling = async { instance.state.handle(command, &instance.context).await };
        let span = crate::telemetry::command_span(stream, before);
        let supervised = Supervised::new(handling, &instance.slot, Some(scope), span, call.deadline, &mut runner);
        let decision = match supervised.await {
            End::Returned(Ok(decision)) => decision,
            End::Returned(Err(rejection)) => {
                return match keyed {
                    Some(keyed) => remember_rejection(instance, call, keyed, rejection, metadata_bytes, at),
                    None => Performed::Answered(Err(Error::Rejected(rejection))),
                };
            }
            ended => return failed(instance, ended.reason(config)),
        };
        let (events, reply) = decision.into_parts();
        if events.is_empty() && keyed.is_none() {
            instance.stage = Stage::Reply;
            return Performed::Answered(Ok(F::answer(reply(&instance.state), before)));
        }
        let encoded = match EncodedEvents::encode(&events, config.codec, &config.limits) {
            Ok(encoded) => encoded,
            Err(error) => return Performed::Answered(Err(not_encoded(instance, error))),
        };
        if let Err(what) = commit_fits(&config.limits, encoded.bytes().len() + metadata_bytes.len()) {
            return Performed::Answered(Err(not_encoded(instance, what.into())));
        }
        let after = before.plus(encoded.count().into());
        // IMPORTANT: before applying. Once the deadline can't take the command back, its events may show in the state.
        if !call.submit(Submitted { before, after, settled: instance.settled, stores: true }) {
            return Performed::Cancelled;
        }
        instance.stage = Stage::Apply;
        events.iter().for_each(|event| instance.state.apply(event));
        instance.stage = Stage::Reply;
        let output = reply(&instance.state);
        let mut commit = Commit { expected: before.into(), events: encoded, extras: None, metadata: metadata_bytes };
        if let Some(keyed) = keyed
            && let Err(error) = remember_reply(instance, keyed, &output, &mut commit, at)
        {
            return Performed::Spoiled(error);
        }
        instance.version = after;
        Performed::Decided { answer: Ok(F::answer(output, after)), commit }
    }
}

fn failed<A: Aggregate, T>(instance: &Instance<A>, reason: NotStoredReason) -> Performed<A, T> {
    Performed::Failed(Error::not_stored(&instance.slot.stream, instance.durable_version(), reason))
}

/// Whether a commit of that many bytes is within its limit.
fn commit_fits(limits: &Limits, actual: usize) -> Result<(), TooLarge> {
    let limit = limits.commit_bytes_max;
    if actual > limit { Err(TooLarge::Commit { actual, limit }) } else { Ok(()) }
}

fn not_encoded<A: Aggregate>(instance: &Instance<A>, error: EncodeError) -> Error<A::Rejection> {
    let (stream, version) = (instance.slot.stream.clone(), instance.version);
    match error {
        EncodeError::TooLarge(what) => Error::TooLarge { stream, version, what },
        error => Error::Encode { stream, version, error },
    }
}

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

    async fn perform(self, instance: &mut Instance<A>, _: &Call<A, Self>, _: Runner) -> Performed<A, F::Output> {
        instance.stage = Stage::Read;
        let seen = (self.look)(&instance.state, instance.version);
        Performed::Answered(Ok(F::answer(seen, instance.version)))
    }
}
