//! The last look, when nothing fails any more: what is in memory is what a replay of the journal gives.

use std::collections::BTreeMap;

use onefold::{Aggregate, Aggregates, Error, StreamId, StreamVersion};

use super::World;
use crate::client::{judge, read};
use crate::simulated::{Simulated, Twist};
use crate::wanted::{Wanted, ask};
use crate::witness::Asked;
use crate::{Random, Violation};

pub(super) async fn inspect<A: Aggregate>(world: &World<A>, aggregates: &Aggregates<Simulated<A>>) {
    let witness = &world.witness;
    ask_again(world, aggregates).await;
    let replayed = match replay(world) {
        Ok(replayed) => replayed,
        Err(violation) => return witness.object(violation),
    };
    for (index, stream) in world.parts.streams.iter().enumerate() {
        let id = witness.begins(Asked::plain(stream.clone(), None));
        let answer = read(&world.parts, witness, aggregates, index, id, None).await;
        if let Err(error) = &answer {
            let what = format!("{stream} can't be read when nothing fails any more: {error}");
            witness.object(Violation::LeftOver { what });
        }
        judge(witness, id, Some(answer));
        let Some(view) = world.parts.view.clone() else { continue };
        let empty = (A::default(), StreamVersion::EMPTY);
        let (state, version) = replayed.get(stream).unwrap_or(&empty);
        let replayed = view(state);
        let live = aggregates.read(stream.aggregate_id(), move |state| view(&state.inner)).await;
        if let Ok(live) = live
            && live != replayed
        {
            let (stream, version) = (stream.clone(), *version);
            witness.object(Violation::LiveDiffers { stream, version, live, replayed });
        }
    }
}

/// Everything with a key whose outcome nobody was told is asked for once more, and some of the rest: now it is told.
async fn ask_again<A: Aggregate>(world: &World<A>, aggregates: &Aggregates<Simulated<A>>) {
    let (parts, witness) = (&world.parts, &world.witness);
    let mut random = Random::new(witness.trace());
    for intent in witness.to_be_settled(&mut random) {
        let wanted = Wanted::of(intent, &mut random);
        let (stream, command) = (&parts.streams[wanted.aggregate], wanted.command(parts));
        let asked = Asked { keyed: wanted.keyed.clone(), ..Asked::plain(stream.clone(), None) };
        let id = witness.begins(asked);
        witness.count_repeat(false);
        let answer = ask(aggregates, stream, id, command, Twist::default(), wanted.keyed.as_ref()).await;
        let is_answer = |error: &Error<_>| {
            let is_claim = matches!(error, Error::ClaimTaken { .. } | Error::ClaimNotHeld { .. });
            is_claim || matches!(error, Error::Rejected(_) | Error::KeyReused { .. } | Error::AlreadyDone(_))
        };
        if let Err(error) = &answer
            && !is_answer(error)
        {
            let what = format!("{stream} does not answer a repeat when nothing fails any more: {error}");
            witness.object(Violation::LeftOver { what });
        }
        judge(witness, id, Some(answer));
    }
}

/// The states that the journal's events give, without the runtime.
fn replay<A: Aggregate>(world: &World<A>) -> Result<BTreeMap<StreamId, (A, StreamVersion)>, Violation> {
    let mut states: BTreeMap<StreamId, (A, StreamVersion)> = BTreeMap::new();
    for commit in world.disk.commits() {
        for (stream, part) in commit.parts {
            let (state, version) = states.entry(stream.clone()).or_default();
            for frame in part.events() {
                *version = version.next();
                let decoded = frame.ok_or_else(|| "it does not parse".to_owned());
                let decoded = decoded.and_then(|frame| frame.decode::<A::Event>().map_err(|error| error.to_string()));
                match decoded {
                    Ok(event) => state.apply(&event),
                    Err(reason) => {
                        return Err(Violation::Unreadable { stream, version: *version, reason });
                    }
                }
            }
        }
    }
    Ok(states)
}
