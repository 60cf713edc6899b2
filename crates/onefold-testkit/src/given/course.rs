//! The course of a test: the aggregate between its commands, and one command's way, as the runtime would take it: handle,
//! encode, apply, reply.
//!
//! Two states go side by side. One lives: it sees the events as they were given and decided on. The other sees what came back
//! from their bytes, as a replay does. They must not drift apart.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use onefold_core::journal::ClaimFact;
use onefold_core::{
    Aggregate, CommandId, Context, CorrelationId, Decision, DecisionParts, Event, Handle, Metadata, StreamId,
    StreamVersion,
};

use super::claims::{self, Claimed, Claims};
use super::failure::{Failure, Story};
use super::{Setting, round_trip};

/// How a command ended, if nothing failed.
pub(super) enum End<A: Aggregate, R> {
    Decided { events: Vec<A::Event>, claims: Vec<ClaimFact>, reply: R },
    Rejected(A::Rejection),
}

pub(super) struct Course<A: Aggregate> {
    pub(super) setting: Setting<A>,
    pub(super) story: Story,
    context: Context<A>,
    /// Given, and not applied yet: what fails there is told together with the command.
    given: Vec<A::Event>,
    version: StreamVersion,
    claims: Claims,
    commands: u128,
    lived: A,
    replayed: A,
}

impl<A: Aggregate> Course<A> {
    pub(super) fn new(
        setting: Setting<A>,
        given: Vec<A::Event>,
        version: StreamVersion,
        claims: Claims,
        services: Arc<A::Services>,
    ) -> Self {
        let context = Context::new(services, setting.stream.id(), setting.clock.clone(), Arc::new(()));
        let (lived, replayed) = (A::default(), A::default());
        Course { setting, story: Story::default(), context, given, version, claims, commands: 0, lived, replayed }
    }

    pub(super) fn stream(&self) -> &StreamId {
        &self.setting.stream
    }

    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(super) fn state(&self) -> &A {
        &self.lived
    }
}

impl<A: Aggregate<Event: Debug + PartialEq>> Course<A> {
    pub(super) async fn run<C>(&mut self, command: C, metadata: Option<Metadata>) -> Result<End<A, A::Reply>, Failure>
    where
        A: Handle<C>,
        C: Debug + Send + 'static,
    {
        if self.commands == 0 {
            self.story.given(self.given.iter().map(|event| format!("{event:?}")), self.claims.told());
        }
        self.story.when(format!("{command:?}"));
        self.recover()?;
        self.prepare(metadata);

        // The call itself is inside, too: a handler may be a plain function that returns a future.
        let handling = async { self.lived.handle(command, &self.context).await };
        match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(Ok(decision)) => self.carry_out(decision),
            Ok(Err(rejection)) => Ok(End::Rejected(rejection)),
            Err(panic) => Err(Failure::panicked("`handle`", &*panic)),
        }
    }

    fn recover(&mut self) -> Result<(), Failure> {
        for event in std::mem::take(&mut self.given) {
            // Each may have been a commit of its own: together they may exceed what one may hold.
            let stored = round_trip::events(std::slice::from_ref(&event), &self.setting)?;
            self.apply(&[event], &stored)?;
        }
        self.check_states("the given events")
    }

    fn prepare(&mut self, metadata: Option<Metadata>) {
        self.commands += 1;
        let metadata = metadata.unwrap_or_else(|| Metadata {
            command_id: CommandId::from_u128(self.commands),
            correlation_id: CorrelationId::from_u128(self.commands),
            timestamp: self.setting.clock.now(),
            ..Metadata::default()
        });
        self.context.prepare(self.version, metadata);
    }

    fn carry_out<R>(&mut self, decision: Decision<A, R>) -> Result<End<A, R>, Failure> {
        let DecisionParts { events, claims, reply } = decision.into_parts();
        let (now, limit) = (self.setting.clock.now(), self.setting.limits.claims_per_commit_max);
        let claims = match self.claims.carry_out(claims, now, limit)? {
            Claimed::Done(facts) => facts,
            Claimed::Rejected(rejection) => return Ok(End::Rejected(rejection)),
        };
        let events = events.into_vec();
        let stored = round_trip::events(&events, &self.setting)?;
        self.apply(&events, &stored)?;
        let reply = catch_unwind(AssertUnwindSafe(|| reply(&self.lived)));
        let reply = reply.map_err(|panic| Failure::panicked("the reply", &*panic))?;
        self.version = self.version.plus(events.len() as u64);
        self.check_states("these events")?;
        Ok(End::Decided { events, claims, reply })
    }

    /// Applies events to the state that lived, and what was stored of them to the other one.
    fn apply(&mut self, events: &[A::Event], stored: &[A::Event]) -> Result<(), Failure> {
        let Course { lived, replayed, .. } = self;
        for (state, events) in [(lived, events), (replayed, stored)] {
            for event in events {
                catch_unwind(AssertUnwindSafe(|| state.apply(event)))
                    .map_err(|panic| Failure::panicked(&format!("`apply` of {}", event.event_type().name), &*panic))?;
            }
        }
        Ok(())
    }

    fn check_states(&mut self, after: &str) -> Result<(), Failure> {
        if let Some((lived, replayed)) =
            self.setting.compare.as_ref().and_then(|compare| compare(&self.lived, &self.replayed))
        {
            let what = format!("after {after} the state that lived is not the state after a replay");
            return Err(Failure::differs(what, ("lived", lived), ("replayed", replayed)));
        }
        if self.setting.reload.is_some() {
            self.lived = round_trip::state(&self.lived, &self.setting)?;
        }
        Ok(())
    }

    /// Adds what is known to have happened to the story.
    pub(super) fn happened(&mut self, events: &[A::Event], claims: &[ClaimFact]) {
        let nothing = events.is_empty().then(|| "no events".to_owned());
        let events = events.iter().map(|event| format!("{event:?}"));
        self.story.then(nothing.into_iter().chain(events).chain(claims.iter().map(claims::told)));
    }

    /// Ends the test.
    #[track_caller]
    pub(super) fn fail(&self, failure: &Failure) -> ! {
        panic!("{}", self.story.tell(self.stream(), failure));
    }
}
