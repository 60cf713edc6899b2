//! Several commands of one aggregate as one decision: each on the state after those before it, all of them in one commit.
//!
//! Events are applied as the commands are decided, ahead of what the journal gets to see. So when one of them fails, and
//! something was applied, the state is spoiled: it shows events that never happen. It is thrown away once the failure is
//! passed on, and the aggregate rebuilt, as after a panic.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use onefold_core::journal::{Appended, EncodedEvents};
use onefold_core::{Aggregate, DecisionParts, Handle, Metadata, StreamVersion, TooLarge};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::super::call::{Call, Submitted};
use super::super::instance::{Instance, Stage};
use super::super::run::Runner;
use super::super::scope::{Chain, Scope};
use super::claiming::{self, Claiming};
use super::remembering::{Foretold, foretell, remember_reply};
use super::supervised::{End, Supervised};
use super::{Commit, Performed, Terms, Work, not_encoded};
use crate::commands::Commands;
use crate::error::Error;
use crate::keyed::{Keyed, KeyedOrRefused, check};
use crate::receipt::Answering;

/// The commands `S` with their surroundings, to be answered in the form `F`.
pub(crate) struct Bulk<A: Aggregate, S: Commands<A>, F> {
    commands: S,
    pub(crate) terms: Terms,
    pub(crate) progress: Arc<Progress>,
    /// How to copy them for another attempt.
    pub(crate) copy: Option<fn(&S) -> S>,
    /// The idempotency key of all of them together. One that breaks the rules is told when they are sent.
    keyed: Option<Box<KeyedOrRefused<S::Replies, A::Rejection>>>,
    answer: PhantomData<fn() -> F>,
}

impl<A: Aggregate, S: Commands<A>, F> Bulk<A, S, F> {
    pub(crate) fn new(commands: S) -> Self {
        let (terms, progress) = Default::default();
        Bulk { commands, terms, progress, copy: None, keyed: None, answer: PhantomData }
    }

    /// The same, to be answered in another form.
    pub(crate) fn map_answer<G>(self) -> Bulk<A, S, G> {
        let Bulk { commands, terms, progress, copy, keyed, answer: _ } = self;
        Bulk { commands, terms, progress, copy, keyed, answer: PhantomData }
    }

    /// Gives them an idempotency key.
    pub(crate) fn give_key(&mut self, key: &str)
    where
        S: Serialize,
        S::Replies: Serialize + DeserializeOwned,
    {
        self.keyed = Some(Box::new(Keyed::of(key, &self.commands)));
    }

    /// Whether their key, if they have one, is within the rules.
    pub(crate) fn check_key(&self) -> Result<(), Error<A::Rejection>> {
        check(self.keyed.as_deref())
    }
}

/// Which command is being decided: whose failure it is.
pub(crate) struct Progress(AtomicUsize);

/// None of them in particular.
const WHOLE: usize = usize::MAX;

impl Default for Progress {
    fn default() -> Self {
        Progress(AtomicUsize::new(WHOLE))
    }
}

impl Progress {
    /// What comes concerns all of them.
    pub(crate) fn whole(&self) {
        self.0.store(WHOLE, Ordering::Relaxed);
    }

    /// The command that is being decided, counted from 0.
    pub(crate) fn index(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|index| *index != WHOLE)
    }
}

impl<A: Aggregate, S: Commands<A>, F: Answering<S::Replies>> Work<A> for Bulk<A, S, F> {
    type Output = F::Output;
    const TELLS_PLACE: bool = F::TELLS_PLACE;
    const STORES: bool = true;

    fn place(output: &mut F::Output, place: Appended) {
        F::place(output, place);
    }

    fn heap_bytes(&self) -> usize {
        self.commands.heap_bytes().saturating_add(self.terms.metadata.entries.heap_bytes())
    }

    fn again(&self) -> Option<Self> {
        let commands = self.copy?(&self.commands);
        let (terms, progress, copy) = (self.terms.clone(), self.progress.clone(), self.copy);
        Some(Bulk { commands, terms, progress, copy, keyed: self.keyed.clone(), answer: PhantomData })
    }

    fn has_key(&self) -> bool {
        self.keyed.is_some()
    }

    async fn perform(
        self,
        instance: &mut Instance<A>,
        call: &Arc<Call<A, Self>>,
        runner: Runner,
    ) -> Performed<A, F::Output> {
        instance.stage = Stage::Handle;
        let before = instance.version;
        let Bulk { commands, terms: Terms { expected, metadata }, progress, keyed, .. } = self;
        let keyed = keyed.and_then(|keyed| keyed.ok());
        match keyed.as_ref().and_then(|keyed| foretell(instance, keyed)) {
            Some(Foretold::Repeat { reply, version }) => {
                return Performed::Answered(reply.map(|replies| F::answer(replies, version)));
            }
            Some(Foretold::Full(full)) => return Performed::Failed(full),
            None => {}
        }
        if !expected.accepts(before) {
            let (stream, actual) = (instance.slot.stream.clone(), before);
            return Performed::Answered(Err(Error::Conflict { stream, expected, actual }));
        }
        let config = &instance.slot.shared.config;
        let (actual, limit) = (commands.count(), config.bulk_commands_max);
        if actual > limit {
            let what = TooLarge::CommandsPerBulk { actual, limit };
            return Performed::Answered(Err(not_encoded(instance, what.into())));
        }
        let mut metadata_bytes = Vec::with_capacity(32);
        if let Err(what) = metadata.encode(&config.limits, &mut metadata_bytes) {
            return Performed::Answered(Err(not_encoded(instance, what.into())));
        }
        let mut deciding = Deciding {
            metadata: &metadata,
            metadata_bytes: metadata_bytes.len(),
            progress: &progress,
            deadline: call.deadline,
            chain: call.chain.clone(),
            runner,
            index: 0,
            version: before,
            events: EncodedEvents::NONE,
            claims: None,
            instance,
        };
        let replies = commands.decide(&mut deciding).await;
        let (after, events, claims) = deciding.end();
        let replies = match replies {
            Ok(replies) => replies,
            Err(Stop::Answered(error)) => return Performed::Answered(Err(error)),
            Err(Stop::Failed(error)) => return Performed::Failed(error),
        };
        progress.whole();
        if events.is_empty() && claims.is_none() && keyed.is_none() {
            return Performed::Answered(Ok(F::answer(replies, before)));
        }
        // A deadline that was faster has told the caller that nothing happened. The state is spoiled then.
        if !call.submit(Submitted { before, after, settled: instance.settled, stores: true }) {
            return Performed::Cancelled;
        }
        let mut commit = Commit::new(before, events, metadata_bytes);
        commit.claims = claims;
        if let Some(keyed) = keyed
            && let Err(error) = remember_reply(instance, keyed, &replies, &mut commit, metadata.timestamp)
        {
            return Performed::Spoiled(error);
        }
        instance.spoiled = false;
        instance.version = after;
        Performed::Decided { answer: Ok(F::answer(replies, after)), commit }
    }
}

/// Commands being decided, one after the other, on an instance that changes under them. See
/// [`Commands`](crate::Commands).
pub struct Deciding<'a, A: Aggregate> {
    instance: &'a mut Instance<A>,
    metadata: &'a Metadata,
    metadata_bytes: usize,
    progress: &'a Progress,
    deadline: Instant,
    chain: Option<Arc<Chain>>,
    runner: Runner,
    index: usize,
    /// The version of the state, ahead of the instance's own.
    version: StreamVersion,
    events: EncodedEvents,
    claims: Option<Box<Claiming<A::Rejection>>>,
}

/// Why no further command is decided.
pub enum Stop<A: Aggregate> {
    /// An error that depends on the state. Goes through the gate.
    Answered(Error<A::Rejection>),
    /// An error that shows nothing of it. Leaves at once.
    Failed(Error<A::Rejection>),
}

impl<A: Aggregate> Deciding<'_, A> {
    /// Decides the next command, applies its events, and computes its reply.
    pub(crate) async fn next<C: Send + 'static>(&mut self, command: C) -> Result<A::Reply, Stop<A>>
    where
        A: Handle<C>,
    {
        self.progress.0.store(self.index, Ordering::Relaxed);
        self.let_others_run().await;
        self.index += 1;
        let scope = Scope {
            slot: self.instance.slot.key,
            command_id: self.metadata.command_id,
            correlation_id: self.metadata.correlation_id,
            chain: self.chain.clone(),
        };
        self.instance.stage = Stage::Handle;
        self.instance.context.prepare(self.version, self.metadata.clone());
        let Instance { state, context, slot, .. } = &*self.instance;
        let handling = async { Ok(claiming::pin(state.handle(command, context).await?.into_parts(), slot).await) };
        let span = crate::telemetry::command_span(&slot.stream, self.version);
        let supervised = Supervised::new(handling, slot, Some(scope), span, self.deadline, &mut self.runner);
        let (decision, claims) = match supervised.await {
            End::Returned(Ok((decision, Ok(claims)))) => (decision, claims),
            End::Returned(Ok((_, Err(unclaimable)))) => {
                return Err(match unclaimable.tell(self.instance) {
                    (error, true) => Stop::Answered(error),
                    (error, false) => Stop::Failed(error),
                });
            }
            End::Returned(Err(rejection)) => return Err(Stop::Answered(Error::Rejected(rejection))),
            ended => {
                let reason = ended.reason(&slot.shared.config);
                let error = Error::not_stored(&slot.stream, self.instance.durable_version(), reason);
                return Err(Stop::Failed(error));
            }
        };
        let DecisionParts { events, reply, .. } = decision;
        if let Some(claims) = claims {
            self.take_claims(*claims)?;
        }
        if !events.is_empty() {
            self.take(&events)?;
        }
        self.instance.stage = Stage::Reply;
        Ok(reply(&self.instance.state))
    }

    /// As many commands in a row as an aggregate handles before others have their turn.
    async fn let_others_run(&mut self) {
        let turn_max = self.instance.slot.shared.config.turn_commands_max as usize;
        if self.index > 0 && self.index.is_multiple_of(turn_max) {
            // A run that waits is the actor's from then on.
            self.runner = Runner::Actor;
            tokio::task::yield_now().await;
        }
    }

    /// Adds a command's changes of claims to those before it, if the journal would not refuse them now.
    fn take_claims(&mut self, claims: Claiming<A::Rejection>) -> Result<(), Stop<A>> {
        let all = match self.claims.take() {
            None => Box::new(claims),
            Some(mut all) => {
                all.extend(claims);
                all
            }
        };
        self.instance.stage = Stage::Refuse;
        let (actual, limit) = (all.changes.len(), self.instance.slot.shared.config.limits.claims_per_commit_max);
        if actual > limit {
            let what = TooLarge::ClaimsPerCommit { actual, limit };
            return Err(Stop::Answered(not_encoded(self.instance, what.into())));
        }
        self.claims = Some(all.foresee(&self.instance.slot.stream).map_err(Stop::Answered)?);
        Ok(())
    }

    /// Encodes and checks a command's events, then applies them.
    fn take(&mut self, events: &[A::Event]) -> Result<(), Stop<A>> {
        let instance = &mut *self.instance;
        let config = &instance.slot.shared.config;
        let (limits, limit) = (&config.limits, config.limits.commit_bytes_max);
        let encoded = self.events.extend(events, config.codec, limits);
        let claims = self.claims.as_ref().map_or(0, |claims| claims.bytes());
        let actual = self.events.bytes().len() + self.metadata_bytes + claims;
        let fits = if actual <= limit { Ok(()) } else { Err(TooLarge::Commit { actual, limit }.into()) };
        if let Err(error) = encoded.and(fits) {
            return Err(Stop::Answered(not_encoded(instance, error)));
        }
        // IMPORTANT: before applying, which may panic.
        instance.spoiled = true;
        instance.slot.runs_ahead(true);
        instance.stage = Stage::Apply;
        events.iter().for_each(|event| instance.state.apply(event));
        self.version = self.version.plus(events.len() as u64);
        Ok(())
    }

    /// The version reached, all events, and all changes of claims.
    fn end(mut self) -> (StreamVersion, EncodedEvents, Option<Box<Claiming<A::Rejection>>>) {
        (self.version, std::mem::replace(&mut self.events, EncodedEvents::NONE), self.claims.take())
    }
}

impl<A: Aggregate> Drop for Deciding<'_, A> {
    fn drop(&mut self) {
        self.instance.slot.runs_ahead(false);
    }
}
