//! A command that is decided together with those of other aggregates: held until all are, then decided, then applied.

use std::future::poll_fn;
use std::sync::Arc;

use onefold_core::journal::Appended;
use onefold_core::{Aggregate, Handle};
use tokio::time::Instant;

use super::super::call::{Call, Submitted};
use super::super::gate;
use super::super::instance::{Instance, Stage};
use super::super::joint::{End as JointEnd, Party};
use super::super::run::Runner;
use super::command::Command;
use super::deciding::{Decided, Prepared, Within};
use super::supervised::{End, Supervised};
use super::{Performed, Work};
use crate::error::{AlreadyDone, Error, NotStoredReason};
use crate::instant;
use crate::receipt::Answering;

/// One participant's command, to be answered in the form `F`.
pub(crate) struct Part<A: Handle<C>, C: Send + 'static, F> {
    pub(crate) command: Command<A, C, F>,
    pub(crate) party: Party,
}

impl<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>> Work<A> for Part<A, C, F> {
    type Output = F::Output;
    const TELLS_PLACE: bool = F::TELLS_PLACE;
    const STORES: bool = true;
    const QUEUES: bool = true;

    fn place(output: &mut F::Output, place: Appended) {
        F::place(output, place);
    }

    fn heap_bytes(&self) -> usize {
        Work::<A>::heap_bytes(&self.command)
    }

    async fn perform(
        self,
        instance: &mut Instance<A>,
        call: &Arc<Call<A, Self>>,
        mut runner: Runner,
    ) -> Performed<A, F::Output> {
        let Part { command, mut party } = self;
        let limit = instance.slot.shared.config.transact_hold_max;
        let hold = Hold { until: instant::after(Instant::now(), limit), deadline: call.deadline };

        if let Err(reason) = hold.gather(instance, &mut party, &mut runner).await {
            return failed(instance, reason);
        }
        instance.settled = true;
        let key = command.key().map(|key| key.to_string());
        let within = Within { deadline: call.deadline, chain: party.chain(), foresees: false };
        let decided = match command.decide(instance, within, &mut runner).await {
            Decided::Prepared(prepared) => Ok(prepared),
            Decided::Repeated { reply: Ok(reply), version } => Err((reply, version)),
            Decided::Repeated { reply: Err(error), .. } | Decided::Answered(error) => {
                return Performed::Answered(Err(error));
            }
            // A key remembers what its own commit says, and there is none.
            Decided::Rejected { rejection, .. } => return Performed::Answered(Err(Error::Rejected(rejection))),
            Decided::Failed(error) => return Performed::Failed(error),
        };
        match &decided {
            Ok(prepared) => party.vote(prepared.vote(instance, party.index)),
            Err(_) => party.is_repeat(),
        }
        match (hold.decided(instance, &mut party, &mut runner).await, decided) {
            (Ok(()), Ok(prepared)) => apply(prepared, instance, call, party).await,
            (Err(Fallen::Joint(JointEnd::Repeated)), Err((reply, version))) => {
                party.done();
                Performed::Answered(Ok(F::answer(reply, version)))
            }
            (Err(Fallen::Joint(JointEnd::Failed(index))), Ok(prepared)) if index == party.index => {
                match party.take_refusal() {
                    Some(refusal) => Performed::Answered(Err(prepared.refuse(instance, refusal))),
                    None => failed(instance, NotStoredReason::Superseded),
                }
            }
            (Err(Fallen::Joint(JointEnd::Failed(index))), Err(_)) if index == party.index => {
                let reason = "it was decided together with others, and one of them has forgotten it".to_owned();
                let key = key.unwrap_or_default().into();
                let stream = instance.slot.stream.clone();
                Performed::Answered(Err(Error::AlreadyDone(Box::new(AlreadyDone { stream, key, reason }))))
            }
            (Err(fallen), _) => failed(instance, fallen.reason()),
            // Only a bug in this crate gets here: whoever is a repeat never applies.
            (Ok(()), Err(_)) => failed(instance, NotStoredReason::Superseded),
        }
    }
}

/// Applies, waits until all have, and hands the commit over.
async fn apply<A: Handle<C>, C: Send + 'static, F: Answering<A::Reply>>(
    prepared: Prepared<A, C>,
    instance: &mut Instance<A>,
    call: &Arc<Call<A, Part<A, C, F>>>,
    mut party: Party,
) -> Performed<A, F::Output> {
    let (before, after) = (instance.version, prepared.version_after(instance));
    // If anybody stores anything the commit is a commit, and everybody's outcome is its outcome.
    let stores = party.stores();
    if !call.submit(Submitted { before, after, settled: true, stores }) {
        return Performed::Cancelled;
    }
    let (reply, commit) = match prepared.apply(instance) {
        Ok(applied) => applied,
        Err(error) => return Performed::Spoiled(error),
    };
    if let Err(what) = party.add_bytes(commit.events.key_bytes().len()) {
        let stream = instance.slot.stream.clone();
        return Performed::Spoiled(Error::TooLarge { stream, version: before, what });
    }
    // The user's code, too: it must not panic when something may be stored already.
    instance.stage = Stage::Weigh;
    instance.slot.weigh(instance.weight());
    // IMPORTANT: held before the commit is handed over, by which the answer is told.
    call.hold(Ok(F::answer(reply, after)));
    party.hand_over(gate::share(instance, call.clone(), commit, party.index));
    match poll_fn(|cx| party.poll_submitted(cx)).await {
        Ok(None) => Performed::Joined,
        Ok(Some(append)) => {
            gate::append_joint(&instance.slot.shared, append).await;
            Performed::Joined
        }
        // Another one's `apply` panicked, or it was cut off: this state shows what never happens.
        Err(_) => {
            let version = Some(before);
            Performed::Spoiled(Error::not_stored(&instance.slot.stream, version, NotStoredReason::Superseded))
        }
    }
}

fn failed<A: Aggregate, T>(instance: &Instance<A>, reason: NotStoredReason) -> Performed<A, T> {
    Performed::Failed(Error::not_stored(&instance.slot.stream, instance.durable_version(), reason))
}

/// Until when an aggregate waits for others.
struct Hold {
    until: Instant,
    deadline: Instant,
}

/// Why it waits no longer.
enum Fallen {
    Joint(JointEnd),
    Itself(NotStoredReason),
}

impl Fallen {
    fn reason(self) -> NotStoredReason {
        match self {
            Fallen::Joint(JointEnd::Left) => NotStoredReason::DeadlinePassed,
            Fallen::Joint(_) => NotStoredReason::Superseded,
            Fallen::Itself(reason) => reason,
        }
    }
}

impl Hold {
    /// Waits until nothing of the aggregate is in flight, and until all are held.
    async fn gather<A: Aggregate>(
        &self,
        instance: &Instance<A>,
        party: &mut Party,
        runner: &mut Runner,
    ) -> Result<(), NotStoredReason> {
        let slot = &*instance.slot;
        let held = async {
            slot.wait_until_durable().await;
            poll_fn(|cx| party.poll_gathered(cx)).await
        };
        self.wait(instance, held, runner).await.map_err(Fallen::reason)
    }

    /// Waits until all have decided.
    async fn decided<A: Aggregate>(
        &self,
        instance: &Instance<A>,
        party: &mut Party,
        runner: &mut Runner,
    ) -> Result<(), Fallen> {
        self.wait(instance, poll_fn(|cx| party.poll_decided(cx)), runner).await
    }

    async fn wait<A: Aggregate>(
        &self,
        instance: &Instance<A>,
        waiting: impl Future<Output = Result<(), JointEnd>>,
        runner: &mut Runner,
    ) -> Result<(), Fallen> {
        let slot = &*instance.slot;
        let config = &slot.shared.config;
        let span = crate::telemetry::hold_span(&slot.stream);
        let limit = self.until.min(self.deadline);
        match Supervised::new(waiting, slot, None, span, limit, runner).without_timeout().await {
            End::Returned(waited) => waited.map_err(Fallen::Joint),
            End::DeadlinePassed if self.until < self.deadline => {
                Err(Fallen::Itself(NotStoredReason::HoldTimedOut { limit: config.transact_hold_max }))
            }
            ended => Err(Fallen::Itself(ended.reason(config))),
        }
    }
}
