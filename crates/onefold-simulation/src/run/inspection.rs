//! The last look, when nothing fails any more: what is in memory is what a replay of the journal gives.

use std::collections::BTreeMap;

use onefold::{Aggregate, Aggregates, ExpectedVersion, StreamId, StreamVersion};

use super::World;
use crate::Violation;
use crate::client::{judge, read};
use crate::simulated::Simulated;
use crate::witness::Asked;

pub(super) async fn inspect<A: Aggregate>(world: &World<A>, aggregates: &Aggregates<Simulated<A>>) {
    let witness = &world.witness;
    let replayed = match replay(world) {
        Ok(replayed) => replayed,
        Err(violation) => return witness.object(violation),
    };
    for (index, stream) in world.parts.streams.iter().enumerate() {
        let asked =
            Asked { stream: stream.clone(), runtime: 0, panics: false, expected: ExpectedVersion::Any, deadline: None };
        let id = witness.begins(asked);
        let answer = read(&world.parts, witness, aggregates, index, id, None).await;
        if let Err(error) = &answer {
            let what = format!("{stream} can't be read when nothing fails any more: {error}");
            witness.object(Violation::LeftOver { what });
        }
        judge::<A>(witness, id, Some(answer));
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
