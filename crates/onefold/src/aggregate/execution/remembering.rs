//! What a command with an idempotency key leaves in its commit: its outcome, encoded, for whoever sends it again.

use onefold_core::journal::{EncodeError, EncodedEvents};
use onefold_core::{Aggregate, Handle, Limits, StreamVersion, Timestamp};

use super::super::call::{Call, Submitted};
use super::super::instance::Instance;
use super::deciding::Remembering;
use super::{Commit, Performed, Work, commit_fits, not_encoded};
use crate::error::Error;
use crate::keyed::Keyed;

/// What a key says before anything is decided.
pub(super) enum Foretold<T, R> {
    /// It is a repeat: the original reply, given when the aggregate was at this version.
    Repeat { reply: Result<T, Error<R>>, version: StreamVersion },
    /// There is no room for another key.
    Full(Error<R>),
}

/// Looks a key up; `None` if it is new and there is room for it. Before anything else: a repeat is not decided again, so no
/// version and no limit can stand in its way.
pub(super) fn foretell<A: Aggregate, T: 'static>(
    instance: &Instance<A>,
    keyed: &Keyed<T, A::Rejection>,
) -> Option<Foretold<T, A::Rejection>> {
    match instance.remembered(keyed.key()) {
        Some(remembered) => {
            let version = remembered.version;
            Some(Foretold::Repeat { reply: keyed.repeated(remembered, &instance.slot.stream), version })
        }
        None => keys_are_full(instance).map(Foretold::Full),
    }
}

/// The error of a command with a new key, while there is no room for another one.
fn keys_are_full<A: Aggregate>(instance: &Instance<A>) -> Option<Error<A::Rejection>> {
    let limit = instance.slot.shared.config.idempotency_bytes_max;
    let bytes = instance.keys.bytes();
    let stream = || instance.slot.stream.clone();
    (bytes >= limit).then(|| Error::Overloaded { stream: stream(), bound: "idempotency_bytes_max", limit })
}

/// Puts the reply of a decision into its commit, and remembers it. The events are applied already: on failure the state is
/// worthless.
pub(super) fn remember_reply<A: Aggregate, T: 'static>(
    instance: &mut Instance<A>,
    keyed: Keyed<T, A::Rejection>,
    reply: &T,
    commit: &mut Commit<A::Rejection>,
    at: Timestamp,
) -> Result<(), Error<A::Rejection>> {
    let config = &instance.slot.shared.config;
    let encoded = keyed.replied(reply, config.codec, config.limits.reply_bytes_max, &mut commit.events);
    if let Err(failed) = within_limits(encoded, commit, &config.limits) {
        return Err(not_encoded(instance, failed));
    }
    let version = instance.version.plus(commit.events.count().into());
    remember(instance, &commit.events, version, at);
    Ok(())
}

/// A rejection under a key: a commit without events, if rejections are to be remembered.
pub(super) fn remember_rejection<A: Handle<C>, C: Send + 'static, W: Work<A>>(
    instance: &mut Instance<A>,
    call: &Call<A, W>,
    remembering: Remembering<A, C>,
    rejection: A::Rejection,
) -> Performed<A, W::Output> {
    let Remembering { extras, metadata, at } = remembering;
    let config = &instance.slot.shared.config;
    let reply_bytes_max = config.limits.reply_bytes_max;
    let version = instance.version;
    let mut commit = Commit::new(version, EncodedEvents::NONE, metadata);
    let encoded = extras
        .into_key()
        .and_then(|keyed| keyed.rejected(&rejection, config.codec, reply_bytes_max, &mut commit.events));
    let Some(encoded) = encoded else {
        return Performed::Answered(Err(Error::Rejected(rejection)));
    };
    if let Err(failed) = within_limits(encoded, &commit, &config.limits) {
        return Performed::Answered(Err(not_encoded(instance, failed)));
    }
    // IMPORTANT: before it is remembered. A command that its deadline took back leaves nothing.
    if !call.submit(Submitted { before: version, after: version, settled: instance.settled, stores: true }) {
        return Performed::Cancelled;
    }
    remember(instance, &commit.events, version, at);
    Performed::Decided { answer: Err(Error::Rejected(rejection)), commit }
}

/// Whether an encoded outcome fits into its commit.
fn within_limits<R>(encoded: Result<(), EncodeError>, commit: &Commit<R>, limits: &Limits) -> Result<(), EncodeError> {
    encoded?;
    let claims_bytes = commit.claims.as_ref().map_or(0, |claims| claims.bytes());
    let events_bytes = commit.events.bytes().len() + commit.events.key_bytes().len();
    Ok(commit_fits(limits, events_bytes + commit.metadata.len() + claims_bytes)?)
}

/// Remembers the outcome that is in a commit.
fn remember<A: Aggregate>(instance: &mut Instance<A>, events: &EncodedEvents, version: StreamVersion, at: Timestamp) {
    if let Some(record) = events.key() {
        instance.remember(&record, version, at);
    }
}
