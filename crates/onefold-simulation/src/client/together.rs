//! Two or three aggregates that decide together: asked by `transact`, each with a command of its own, and judged together.

use futures_core::future::BoxFuture;
use onefold::{Aggregate, Error, ExpectedVersion, TransactError, transact};
use onefold_testkit::history::Reply;

use super::{Client, judge};
use crate::leaving::Leaving;
use crate::simulated::{Refused, Seen};
use crate::wanted::{Wanted, ask};
use crate::witness::{Asked, OperationId, Witness};
use crate::{Random, Violation};

/// `None`: its caller went away.
type Answer = Option<Result<Vec<Seen>, TransactError<Refused>>>;

/// Participants at most.
const PARTICIPANTS_MAX: u64 = 3;

impl<A: Aggregate> Client<A> {
    /// A transact, to be polled when its turn comes. There must be two aggregates at least.
    pub(super) fn together(&mut self) -> BoxFuture<'static, ()> {
        let runtime = self.random.index(self.aggregates.len());
        let aggregates = self.aggregates[runtime].clone();
        let (deadline, patience) = (self.deadline(), self.patience());
        let chosen = chosen(self.parts.streams.len(), &mut self.random);
        let (mut asked, mut commands) = (Vec::new(), Vec::new());
        for index in chosen {
            let stream = self.parts.streams[index].clone();
            let twist = self.twist();
            let wanted = Wanted { aggregate: index, draw: self.random.fork(), keyed: None };
            // Rarely: one participant's conflict is everybody's.
            let expected = if self.random.one_in(3) { self.expected(&stream) } else { ExpectedVersion::Any };
            let panics = twist.panic.is_some();
            asked.push(Asked { stream, runtime, panics, expected, deadline, keyed: None });
            commands.push((wanted.command(&self.parts), twist));
        }
        let witness = self.witness.clone();
        Box::pin(async move {
            let streams: Vec<_> = asked.iter().map(|asked| (asked.stream.clone(), asked.expected)).collect();
            let ids = witness.begin_together(asked);
            let asks = ids.iter().zip(streams).zip(commands).map(|((id, (stream, expected)), (command, twist))| {
                ask(&aggregates, &stream, *id, command, twist, None).expect_version(expected)
            });
            let mut together = transact(asks.collect::<Vec<_>>());
            if let Some(deadline) = deadline {
                together = together.deadline(deadline);
            }
            let answer = Leaving::new(together, patience).await;
            judge_together(&witness, &ids, answer);
        })
    }
}

/// Two or three different ones of `count`, in any order.
fn chosen(count: usize, random: &mut Random) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    let wanted = usize::try_from(random.between(2, PARTICIPANTS_MAX)).unwrap_or(2).min(count);
    (0..wanted).map(|_| all.swap_remove(random.index(all.len()))).collect()
}

/// A success is one of each; a failure is one's own, and the others' all the same.
fn judge_together(witness: &Witness, ids: &[OperationId], answer: Answer) {
    match answer {
        None => ids.iter().for_each(|id| witness.left(*id)),
        Some(Ok(replies)) => {
            if replies.len() != ids.len() {
                let reason = format!("{} participants were given {} replies", ids.len(), replies.len());
                witness.object(Violation::NotTogether { operations: ids.to_vec(), reason });
            }
            witness.count_transacted();
            ids.iter().zip(replies).for_each(|(id, seen)| judge(witness, *id, Some(Ok(seen))));
        }
        Some(Err(TransactError { index, error })) => {
            for (place, id) in ids.iter().enumerate() {
                match (&error, index.is_none_or(|index| index == place)) {
                    (error, true) => judge(witness, *id, Some(Err(error.clone()))),
                    (Error::OutcomeUnknown(_), false) => witness.answered(*id, Reply::Unknown, None),
                    (_, false) => witness.answered(*id, Reply::NotStored, None),
                }
            }
        }
    }
}
