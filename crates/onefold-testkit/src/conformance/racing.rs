//! Many tasks at once: one winner, no interleaving, dense numbers, whole commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use onefold_core::ExpectedVersion::Any;
use onefold_core::Metadata;
use onefold_core::journal::{AppendError, AppendOutcome, Journal, Session};
use tokio::task::JoinSet;

use super::Subject;
use super::fixture::{Fixture, name};
use crate::{TestEvent, part, prepare, submit};

const TASKS: u64 = 8;

/// \[3, 10] Many writers, each with sessions of its own: every version has exactly one, and the losers stored nothing.
pub(super) async fn one_winner_per_version_with_many_sessions<S: Subject>(fixture: Fixture<S>) {
    let mut writers = JoinSet::new();
    for writer in 0..TASKS {
        let journal = fixture.journal().clone();
        writers.spawn(async move {
            let mut won = Vec::new();
            for attempt in 0..60 {
                let opened = journal.open(&name("a")).await.expect("a healthy journal");
                let (head, number) = (opened.head.get(), writer * 1_000 + attempt);
                let outcome = append_numbered(&journal, &opened.session, head, number).await;
                if stored(outcome) {
                    won.push((head + 1, number));
                }
            }
            won
        });
    }
    check_winners(&fixture, writers.join_all().await.concat()).await;
}

/// \[3, 4] Many tasks that share one session and believe in one version: the first to be checked wins, the second is a
/// conflict, the others are superseded.
pub(super) async fn one_winner_per_version_with_one_session<S: Subject>(fixture: Fixture<S>) {
    let mut won = Vec::new();
    for round in 0..40 {
        let opened = fixture.open("a").await;
        assert_eq!(opened.head.get(), round);
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (journal, session, number) = (fixture.journal().clone(), opened.session.clone(), round * 100 + task);
            tasks.spawn(async move { (number, append_numbered(&journal, &session, round, number).await) });
        }
        let outcomes = tasks.join_all().await;
        let winners: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
        let conflicts = outcomes.iter().filter(|(_, o)| matches!(o, Err(AppendError::Conflict { .. }))).count();
        assert_eq!((winners.len(), conflicts), (1, 1), "version {}: {outcomes:?}", round + 1);
        won.extend(winners.iter().map(|(number, _)| (round + 1, *number)));
    }
    check_winners(&fixture, won).await;
}

/// \[2] Commits of several events, from many tasks to one stream, never interleave.
pub(super) async fn commits_never_interleave<S: Subject>(fixture: Fixture<S>) {
    let session = fixture.session("a").await;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (journal, session) = (fixture.journal().clone(), session.clone());
        tasks.spawn(async move {
            for round in 0..50 {
                let first = task * 100_000 + round * 100;
                let events = TestEvent::series(first..first + 1 + round % 5);
                let (append, pending) = prepare([part(&session, Any, &events)], &Metadata::default());
                submit(&journal, append).await;
                pending.await.expect("any version will do");
            }
        });
    }
    tasks.join_all().await;
    let feed = fixture.feed().await;
    assert_eq!(feed.len() as u64, TASKS * 50);
    for commit in &feed {
        let numbers: Vec<_> = commit.events.iter().map(|seen| seen.event.number).collect();
        let (first, round) = (numbers[0], numbers[0] % 100_000 / 100);
        assert_eq!(numbers, (first..first + 1 + round % 5).collect::<Vec<_>>());
    }
    let in_feed: Vec<_> = feed.into_iter().flat_map(|commit| commit.events).collect();
    assert_eq!(fixture.events("a").await, in_feed);
}

/// \[6, 11] Many tasks on many streams: commit numbers and global positions have no gap and no repeat, and the
/// acknowledgements tell the very numbers that readers see.
pub(super) async fn numbers_are_dense_under_concurrency<S: Subject>(fixture: Fixture<S>) {
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let journal = fixture.journal().clone();
        tasks.spawn(async move {
            let opened = journal.open(&name(&format!("s{task}"))).await.expect("a healthy journal");
            let (mut version, mut told) = (0, Vec::new());
            for round in 0..60 {
                // Barriers and failed commits of another stream take no numbers.
                let events = TestEvent::series(0..round % 4);
                let (append, pending) = prepare([part(&opened.session, version, &events)], &Metadata::default());
                submit(&journal, append).await;
                let appended = pending.await.expect("an append to a stream of one's own");
                version += events.len() as u64;
                if !events.is_empty() {
                    told.push((appended.commit.get(), appended.position.get()));
                }
                let loser = journal.open(&name(&format!("loser{task}"))).await.expect("a healthy journal");
                assert!(!stored(append_numbered(&journal, &loser.session, 9, 0).await));
            }
            told
        });
    }
    let mut told = tasks.join_all().await.concat();
    told.sort_unstable();
    let feed = fixture.feed().await;
    assert_eq!(feed.first().map(|commit| commit.number.get()), Some(1));
    let last_of = |events: &[crate::SeenEvent]| events.last().map_or(0, |seen| seen.position.get());
    let seen: Vec<_> = feed.iter().map(|commit| (commit.number.get(), last_of(&commit.events))).collect();
    assert_eq!(told, seen);
}

/// \[2, 3, 4] Commits over pairs of streams, racing for both: each lands in both streams or in neither.
pub(super) async fn racing_commits_over_several_streams_are_whole<S: Subject>(fixture: Fixture<S>) {
    let mut tasks = JoinSet::new();
    for task in 0..4_u64 {
        let journal = fixture.journal().clone();
        tasks.spawn(async move {
            let mut landed = Vec::new();
            for round in 0..50_u64 {
                let (left, right) = ((task + round) % 3, (task + round + 1) % 3);
                let left = journal.open(&name(&format!("s{left}"))).await.expect("a healthy journal");
                let right = journal.open(&name(&format!("s{right}"))).await.expect("a healthy journal");
                let events = [TestEvent::numbered(task * 1_000 + round)];
                let parts = [part(&left.session, left.head, &events), part(&right.session, right.head, &events)];
                let (append, pending) = prepare(parts, &Metadata::default());
                submit(&journal, append).await;
                if stored(pending.await) {
                    landed.push(events[0].number);
                }
            }
            landed
        });
    }
    let mut landed = tasks.join_all().await.concat();
    landed.sort_unstable();
    let mut copies: BTreeMap<u64, u64> = BTreeMap::new();
    for stream in ["s0", "s1", "s2"] {
        fixture.numbers(stream).await.into_iter().for_each(|number| *copies.entry(number).or_default() += 1);
    }
    assert!(copies.values().all(|copies| *copies == 2), "half a commit: {copies:?}");
    assert_eq!(copies.into_keys().collect::<Vec<_>>(), landed);
}

async fn append_numbered(journal: &Arc<dyn Journal>, session: &Session, expected: u64, number: u64) -> AppendOutcome {
    let (append, pending) = prepare([part(session, expected, &[TestEvent::numbered(number)])], &Metadata::default());
    submit(journal, append).await;
    pending.await
}

/// Whether it was stored; anything but losing the race is a failure of the case.
fn stored(outcome: AppendOutcome) -> bool {
    match outcome {
        Ok(_) => true,
        Err(AppendError::Conflict { .. } | AppendError::Superseded { .. }) => false,
        Err(error) => panic!("a healthy journal answered: {error}"),
    }
}

async fn check_winners<S: Subject>(fixture: &Fixture<S>, mut won: Vec<(u64, u64)>) {
    won.sort_unstable();
    let events = fixture.events("a").await;
    let stored: Vec<_> = events.iter().map(|seen| (seen.version.get(), seen.event.number)).collect();
    assert_eq!(won, stored, "the winners (version, number) against the stream");
}
