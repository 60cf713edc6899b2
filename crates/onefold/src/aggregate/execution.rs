//! One command, straight down: handle, encode and check limits, submit, apply, reply. Nothing here waits for the journal.
//!
//! A failure up to encoding costs nothing but itself. From applying on the state is ahead of the journal; a panic there
//! discards it, before anything was handed to the journal.

mod supervised;

use std::future::Future;

use onefold_core::journal::{EncodeError, EncodedEvents};
use onefold_core::{Aggregate, ExpectedVersion, Handle, Metadata};

use self::supervised::{End, Supervised};
use super::call::{Call, Submitted};
use super::instance::{Instance, Stage};
use super::run::Runner;
use super::scope::Scope;
use crate::error::{Error, NotStoredReason};

/// What a call does on an instance: a command, or a read.
pub(crate) trait Work<A: Aggregate>: Sized + Send + 'static {
    type Output: Send + 'static;

    /// Whether it may have something to store.
    const STORES: bool;

    /// What it holds on the heap while it waits.
    fn heap_bytes(&self) -> usize;

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
    /// Events to store. The state is ahead by them.
    Decided { output: T, commit: Commit },
    /// An error that shows nothing of the state, and no version in flight. Leaves at once.
    Failed(Error<A::Rejection>),
    /// The deadline was faster; the caller has been told.
    Cancelled,
}

/// What goes to the journal.
pub(crate) struct Commit {
    pub(crate) expected: ExpectedVersion,
    pub(crate) events: EncodedEvents,
    pub(crate) metadata: Vec<u8>,
}

/// A command with its surroundings.
pub(crate) struct Command<C> {
    pub(crate) command: C,
    pub(crate) expected: ExpectedVersion,
    pub(crate) metadata: Metadata,
}

impl<A: Handle<C>, C: Send + 'static> Work<A> for Command<C> {
    type Output = A::Reply;

    const STORES: bool = true;

    fn heap_bytes(&self) -> usize {
        A::weight_of(&self.command).saturating_add(self.metadata.entries.heap_bytes())
    }

    async fn perform(self, instance: &mut Instance<A>, call: &Call<A, Self>, runner: Runner) -> Performed<A, A::Reply> {
        instance.stage = Stage::Handle;
        let before = instance.version;
        let stream = &instance.slot.stream;
        let Command { command, expected, metadata } = self;
        if !expected.accepts(before) {
            return Performed::Answered(Err(Error::Conflict { stream: stream.clone(), expected, actual: before }));
        }
        let config = &instance.slot.shared.config;
        let mut metadata_bytes = Vec::with_capacity(32);
        if let Err(what) = metadata.encode(&config.limits, &mut metadata_bytes) {
            // Through the gate: it names a version.
            return Performed::Answered(Err(Error::TooLarge { stream: stream.clone(), version: before, what }));
        }
        let scope = Scope {
            slot: instance.slot.key,
            command_id: metadata.command_id,
            correlation_id: metadata.correlation_id,
            chain: call.chain.clone(),
        };
        instance.context.prepare(before, metadata);
        let handling = async { instance.state.handle(command, &instance.context).await };
        let span = crate::telemetry::command_span(stream, before);
        let decision = match Supervised::new(handling, &instance.slot, scope, span, call.deadline, runner).await {
            End::Returned(Ok(decision)) => decision,
            End::Returned(Err(rejection)) => return Performed::Answered(Err(Error::Rejected(rejection))),
            End::TimedOut => {
                let limit = config.handler_timeout;
                return failed(instance, NotStoredReason::HandlerTimeout { limit });
            }
            End::DeadlinePassed => return failed(instance, NotStoredReason::DeadlinePassed),
            End::Superseded => return failed(instance, NotStoredReason::Superseded),
            End::Closed => return failed(instance, NotStoredReason::ShuttingDown),
        };
        let (events, reply) = decision.into_parts();
        if events.is_empty() {
            instance.stage = Stage::Reply;
            return Performed::Answered(Ok(reply(&instance.state)));
        }
        let encoded = match EncodedEvents::encode(&events, config.codec, &config.limits) {
            Ok(encoded) => encoded,
            Err(error) => return Performed::Answered(Err(not_encoded(instance, error))),
        };
        let commit_bytes = encoded.bytes().len() + metadata_bytes.len();
        if commit_bytes > config.limits.commit_bytes_max {
            let limit = config.limits.commit_bytes_max;
            let what = onefold_core::TooLarge::Commit { actual: commit_bytes, limit };
            return Performed::Answered(Err(not_encoded(instance, what.into())));
        }
        let after = before.plus(encoded.count().into());
        // IMPORTANT: before applying. Once the deadline can't take the command back, its events may show in the state.
        if !call.submit(Submitted { before, after, settled: instance.settled }) {
            return Performed::Cancelled;
        }
        instance.stage = Stage::Apply;
        events.iter().for_each(|event| instance.state.apply(event));
        instance.stage = Stage::Reply;
        let output = reply(&instance.state);
        instance.version = after;
        let commit = Commit { expected: before.into(), events: encoded, metadata: metadata_bytes };
        Performed::Decided { output, commit }
    }
}

fn failed<A: Aggregate, T>(instance: &Instance<A>, reason: NotStoredReason) -> Performed<A, T> {
    Performed::Failed(Error::not_stored(&instance.slot.stream, instance.durable_version(), reason))
}

fn not_encoded<A: Aggregate>(instance: &Instance<A>, error: EncodeError) -> Error<A::Rejection> {
    let (stream, version) = (instance.slot.stream.clone(), instance.version);
    match error {
        EncodeError::TooLarge(what) => Error::TooLarge { stream, version, what },
        error => Error::Encode { stream, version, error },
    }
}

/// Looks at the state.
pub(crate) struct Read<F>(pub(crate) F);

impl<A, F, T> Work<A> for Read<F>
where
    A: Aggregate,
    F: FnOnce(&A, onefold_core::StreamVersion) -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    const STORES: bool = false;

    /// What a closure captured nobody can tell.
    fn heap_bytes(&self) -> usize {
        0
    }

    async fn perform(self, instance: &mut Instance<A>, _: &Call<A, Self>, _: Runner) -> Performed<A, T> {
        instance.stage = Stage::Read;
        Performed::Answered(Ok((self.0)(&instance.state, instance.version)))
    }
}
