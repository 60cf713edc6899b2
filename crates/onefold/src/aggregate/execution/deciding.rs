//! How a command comes to a decision that can be stored: a repeat is known by its key, the version checked, the handler run,
//! its events encoded, its claims looked at. Nothing has changed until the decision is applied.

use std::sync::Arc;

use onefold_core::journal::EncodedEvents;
use onefold_core::{DecisionParts, Handle, StreamVersion, Timestamp};
use tokio::time::Instant;

use super::super::instance::{Instance, Stage};
use super::super::joint::{Refusal, Vote};
use super::super::run::Runner;
use super::super::scope::{Chain, Scope};
use super::claiming::{self, Claiming};
use super::command::{Command, Extras};
use super::remembering::{Foretold, foretell, remember_reply};
use super::supervised::{End, Supervised};
use super::{Applied, Commit, Terms, commit_fits, missed, not_encoded};
use crate::error::Error;

/// What a command is decided within.
pub(super) struct Within {
    pub(super) deadline: Instant,
    pub(super) chain: Option<Arc<Chain>>,
    /// Whether its claims are looked at by themselves, and not together with those of others.
    pub(super) foresees: bool,
}

/// What a command came to.
pub(super) enum Decided<A: Handle<C>, C: Send + 'static> {
    /// A decision, which is not applied yet.
    Prepared(Prepared<A, C>),
    /// It is a repeat: the original reply, given when the aggregate was at this version.
    Repeated { reply: Result<A::Reply, Error<A::Rejection>>, version: StreamVersion },
    /// The domain says no.
    Rejected { rejection: A::Rejection, remembering: Option<Remembering<A, C>> },
    /// An error that depends on the state. Goes through the gate.
    Answered(Error<A::Rejection>),
    /// An error that shows nothing of it. Leaves at once.
    Failed(Error<A::Rejection>),
}

/// What it takes to remember a rejection under the command's key.
pub(super) struct Remembering<A: Handle<C>, C: Send + 'static> {
    pub(super) extras: Box<Extras<A, C>>,
    pub(super) metadata: Vec<u8>,
    pub(super) at: Timestamp,
}

/// A decision that can be stored, not applied yet.
pub(super) struct Prepared<A: Handle<C>, C: Send + 'static> {
    pub(super) decision: DecisionParts<A, A::Reply>,
    encoded: EncodedEvents,
    claims: Option<Box<Claiming<A::Rejection>>>,
    extras: Option<Box<Extras<A, C>>>,
    metadata: Vec<u8>,
    at: Timestamp,
}

impl<A: Handle<C>, C: Send + 'static> Prepared<A, C> {
    /// Whether it leaves anything in the journal.
    pub(super) fn stores(&self) -> bool {
        !self.encoded.is_empty()
            || self.claims.is_some()
            || self.extras.as_ref().is_some_and(|extras| extras.key().is_some())
    }

    /// What it asks of a commit that it shares with others.
    pub(super) fn vote(&self, instance: &Instance<A>, index: usize) -> Vote {
        let changes = self.claims.as_ref().map_or(Vec::new(), |claims| claims.changes.clone());
        let bytes = self.encoded.bytes().len() + self.claims.as_ref().map_or(0, |claims| claims.bytes());
        let (events, metadata_bytes) = (self.encoded.count() as usize, self.metadata.len());
        let stream = instance.slot.stream.clone();
        Vote { index, stream, events, bytes, metadata_bytes, changes, stores: self.stores() }
    }

    /// Its part of a commit that it shares with others cannot be had.
    pub(super) fn refuse(self, instance: &mut Instance<A>, refusal: Refusal) -> Error<A::Rejection> {
        instance.stage = Stage::Refuse;
        match (refusal, self.claims) {
            (Refusal::TooLarge(what), _) => not_encoded(instance, what.into()),
            (Refusal::Claim(error), Some(claims)) => claims.refuse(&instance.slot.stream, error),
            (Refusal::Claim(error), None) => Error::from_append(&instance.slot.stream, None, error),
        }
    }

    /// The version that the aggregate will be at.
    pub(super) fn version_after(&self, instance: &Instance<A>) -> StreamVersion {
        instance.version.plus(self.encoded.count().into())
    }

    /// Applies the events and computes the reply: from here on the state is ahead of the journal. After an error, or a panic,
    /// it is worthless.
    pub(super) fn apply(self, instance: &mut Instance<A>) -> Applied<A::Reply, A::Rejection> {
        let after = self.version_after(instance);
        let Prepared { decision, encoded, claims, extras, metadata, at } = self;
        instance.stage = Stage::Apply;
        decision.events.iter().for_each(|event| instance.state.apply(event));
        instance.stage = Stage::Reply;
        let reply = (decision.reply)(&instance.state);
        let mut commit = Commit::new(instance.version, encoded, metadata);
        commit.claims = claims;
        if let Some(keyed) = extras.and_then(|extras| extras.into_key()) {
            remember_reply(instance, keyed, &reply, &mut commit, at)?;
        }
        instance.version = after;
        Ok((reply, commit))
    }
}

impl<A: Handle<C>, C: Send + 'static, F> Command<A, C, F> {
    /// Comes to a decision. The instance is as it was afterwards.
    pub(super) async fn decide(self, instance: &mut Instance<A>, within: Within, runner: &mut Runner) -> Decided<A, C> {
        instance.stage = Stage::Handle;
        let before = instance.version;
        let Command { command, terms: Terms { expected, metadata }, extras, .. } = self;
        let keyed = extras.as_ref().and_then(|extras| extras.key());
        match keyed.and_then(|keyed| foretell(instance, keyed)) {
            Some(Foretold::Repeat { reply, version }) => return Decided::Repeated { reply, version },
            Some(Foretold::Full(full)) => return Decided::Failed(full),
            None => {}
        }
        if !expected.accepts(before) {
            let goes_ahead = match extras.as_ref().and_then(|extras| extras.merges) {
                // Boxed: it is rare.
                Some(merges) => match Box::pin(missed::look(instance, expected, within.deadline, runner)).await {
                    Ok(missed) => missed.is_some_and(|missed| merges(&command, &missed)),
                    Err(error) => return Decided::Failed(error),
                },
                None => false,
            };
            if !goes_ahead {
                let (stream, actual) = (instance.slot.stream.clone(), before);
                return Decided::Answered(Error::Conflict { stream, expected, actual });
            }
            instance.stage = Stage::Handle;
        }
        let slot = &instance.slot;
        let config = &slot.shared.config;
        let mut metadata_bytes = Vec::with_capacity(32);
        if let Err(what) = metadata.encode(&config.limits, &mut metadata_bytes) {
            // Through the gate: it names a version.
            return Decided::Answered(not_encoded(instance, what.into()));
        }
        let at = metadata.timestamp;
        let scope = Scope {
            slot: slot.key,
            command_id: metadata.command_id,
            correlation_id: metadata.correlation_id,
            chain: within.chain,
        };
        instance.context.prepare(before, metadata);
        let handling = async {
            let decision = instance.state.handle(command, &instance.context).await?.into_parts();
            Ok(claiming::pin(decision, slot).await)
        };
        let span = crate::telemetry::command_span(&slot.stream, before);
        let supervised = Supervised::new(handling, slot, Some(scope), span, within.deadline, runner);
        let (decision, claims) = match supervised.await {
            End::Returned(Ok((decision, Ok(claims)))) => (decision, claims),
            End::Returned(Ok((_, Err(unclaimable)))) => {
                return match unclaimable.tell(instance) {
                    (error, true) => Decided::Answered(error),
                    (error, false) => Decided::Failed(error),
                };
            }
            End::Returned(Err(rejection)) => return rejected(rejection, extras, metadata_bytes, at),
            ended => {
                let (stream, version) = (&slot.stream, instance.durable_version());
                return Decided::Failed(Error::not_stored(stream, version, ended.reason(config)));
            }
        };
        let claims = match claims {
            Some(mut claims) => {
                if extras.as_ref().and_then(|extras| extras.key()).is_some_and(|keyed| keyed.remembers_rejections()) {
                    claims.remember_rejections();
                }
                instance.stage = Stage::Refuse;
                let foreseen = if within.foresees { claims.foresee(&instance.slot.stream) } else { Ok(claims) };
                match foreseen {
                    Ok(claims) => Some(claims),
                    Err(Error::Rejected(rejection)) => return rejected(rejection, extras, metadata_bytes, at),
                    Err(error) => return Decided::Answered(error),
                }
            }
            None => None,
        };
        let mut encoded = EncodedEvents::NONE;
        if !decision.events.is_empty() {
            encoded = match EncodedEvents::encode(&decision.events, config.codec, &config.limits) {
                Ok(encoded) => encoded,
                Err(error) => return Decided::Answered(not_encoded(instance, error)),
            };
        }
        let claims_bytes = claims.as_ref().map_or(0, |claims| claims.bytes());
        if let Err(what) = commit_fits(&config.limits, encoded.bytes().len() + metadata_bytes.len() + claims_bytes) {
            return Decided::Answered(not_encoded(instance, what.into()));
        }
        Decided::Prepared(Prepared { decision, encoded, claims, extras, metadata: metadata_bytes, at })
    }
}

fn rejected<A: Handle<C>, C: Send + 'static>(
    rejection: A::Rejection,
    extras: Option<Box<Extras<A, C>>>,
    metadata: Vec<u8>,
    at: Timestamp,
) -> Decided<A, C> {
    let extras = extras.filter(|extras| extras.key().is_some());
    Decided::Rejected { rejection, remembering: extras.map(|extras| Remembering { extras, metadata, at }) }
}
