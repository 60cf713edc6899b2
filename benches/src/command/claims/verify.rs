//! Does each name have exactly the holder who was told so? By the runtime's listing, and by the facts in the log.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::TryStreamExt;
use onefold::journal::{ClaimFact, FeedItem, Journal};
use onefold::{Checkpoint, Runtime, StreamId};

use super::race::Told;
use crate::user::{NAMESPACE, name_of, user_of};

/// By what the runtime lists.
pub(super) async fn listing(runtime: &Runtime, told: &Told) -> Result<u64, String> {
    let mut holders = HashMap::new();
    let mut claims = runtime.claims(NAMESPACE);
    while let Some((claim, holder)) = claims.try_next().await.map_err(|error| error.to_string())? {
        let name = name_of(&claim).ok_or_else(|| format!("{claim} is none of the names"))?;
        let again = holders.insert(name, user(&holder.stream)?);
        if again.is_some() {
            return Err(format!("{claim} is listed twice"));
        }
        if holder.expires_at.is_some() {
            return Err(format!("{claim} is held for a while, and was taken for good"));
        }
    }
    compare("the listing", &holders, told)
}

/// By the log, fact after fact: who takes a name must find it free, and nobody has it without an event.
pub(super) async fn log(journal: &Arc<dyn Journal>, told: &Told) -> Result<u64, String> {
    let mut holders = HashMap::new();
    let mut feed = journal.read_all(&Checkpoint::START);
    while let Some(item) = feed.try_next().await.map_err(|error| error.to_string())? {
        let FeedItem::Commit(commit) = item else { return Err("the feed tells of a removal".to_owned()) };
        for (stream, part) in &commit.parts {
            let user = user(stream)?;
            let extras = part.extras().ok_or_else(|| format!("the extras of {stream} do not parse"))?;
            let [ClaimFact::Taken { claim, expires_at: None }] = &extras.claims[..] else {
                return Err(format!("{stream} has {:?}, not one name", extras.claims));
            };
            let name = name_of(claim).ok_or_else(|| format!("{claim} is none of the names"))?;
            if part.event_count != 1 {
                return Err(format!("{stream} took {claim} with {} events, not one", part.event_count));
            }
            if let Some(before) = holders.insert(name, user) {
                return Err(format!("{stream} took {claim}, which user {before} held"));
            }
        }
    }
    compare("the log", &holders, told)
}

fn user(stream: &StreamId) -> Result<u32, String> {
    user_of(stream).ok_or_else(|| format!("{stream} is none of the users"))
}

/// Each name's one winner holds it, and nobody holds a name who was not told so.
fn compare(place: &str, holders: &HashMap<u32, u32>, told: &Told) -> Result<u64, String> {
    for (name, winners) in (0..).zip(&told.winners) {
        match (winners.as_slice(), holders.get(&name)) {
            ([], None) => {}
            ([winner], Some(holder)) if winner == holder => {}
            ([], Some(holder)) if told.undecided.contains(holder) => {}
            (winners, holder) => {
                return Err(format!(
                    "name {name}: told that it is theirs {winners:?}, its holder by {place} {holder:?}"
                ));
            }
        }
    }
    Ok(holders.len() as u64)
}

#[cfg(test)]
mod tests {
    use onefold::MemoryJournal;

    use super::super::race::Race;
    use super::*;
    use crate::user::User;

    async fn raced() -> (Runtime, Told) {
        let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<User>(()).start().await.unwrap();
        let mut told = Told::new(40);
        let users = runtime.aggregates().unwrap();
        let first = Race::new(0, 200, 20).run(&users, 16, &mut told).await;
        let second = Race::new(1, 20, 20).run(&users, 16, &mut told).await;
        assert_eq!((first, second), ((20, 180), (20, 0)));
        (runtime, told)
    }

    #[tokio::test]
    async fn each_name_has_the_holder_who_was_told_so() {
        let (runtime, told) = raced().await;
        assert_eq!(listing(&runtime, &told).await, Ok(40));
        assert_eq!(log(runtime.journal(), &told).await, Ok(40));
    }

    #[tokio::test]
    async fn another_holder_a_second_winner_and_an_untold_one_are_found() {
        let (runtime, mut told) = raced().await;
        let winners = std::mem::take(&mut told.winners[7]);
        let differs = listing(&runtime, &told).await.unwrap_err();
        assert!(differs.starts_with("name 7: told that it is theirs []"), "{differs}");
        told.winners[7] = vec![winners[0], winners[0] + 1];
        assert!(log(runtime.journal(), &told).await.is_err());
        told.winners[7] = vec![winners[0] + 1];
        assert!(log(runtime.journal(), &told).await.is_err_and(|differs| differs.contains("by the log")));
    }
}
