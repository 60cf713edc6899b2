//! Whatever is not as it was is either told by an error, beyond what is sure, or a violation.

use std::collections::BTreeMap;

use super::*;
use crate::crash::flip::content::{Sequence, StreamContent};
use onefold::{ClaimName, CommitNumber, Holder, StreamId};

fn id(name: &str) -> StreamId {
    StreamId::new("chronicle", name).unwrap()
}

fn part(commit: u64, version: u64) -> Part {
    let [body, extras] = [1, 2].map(|times| vec![u8::try_from(commit).unwrap(); times]);
    Part { commit, position: commit, version, events: 1, metadata: vec![1], body, extras, holders: Vec::new() }
}

fn seat(value: &str) -> ClaimName {
    ClaimName::new("seat", value).unwrap()
}

fn holder(name: &str, commit: u64) -> Holder {
    Holder { stream: id(name), since: CommitNumber::new(commit), expires_at: None }
}

/// Commits 1 and 3 of `a`, 2 and 4 of `b`. The first two take a claim each, the last gives that of `b` up and takes another.
fn content() -> Content {
    let items = [("a", 1, 1), ("b", 2, 1), ("a", 3, 2), ("b", 4, 2)];
    let mut feed = items.map(|(name, commit, version)| (id(name), part(commit, version)));
    feed[0].1.holders = vec![(seat("1"), Some(holder("a", 1)))];
    feed[1].1.holders = vec![(seat("2"), Some(holder("b", 2)))];
    feed[3].1.holders = vec![(seat("2"), None), (seat("3"), Some(holder("b", 4)))];
    let claims = Ok(vec![(seat("1"), holder("a", 1)), (seat("3"), holder("b", 4))]);
    let stream = |name| {
        let parts = feed.iter().filter(|(stream, _)| *stream == id(name)).map(|(_, part)| part.clone());
        (id(name), StreamContent { parts: Sequence { items: parts.collect(), error: None }, head: Ok(2) })
    };
    let streams = BTreeMap::from([stream("a"), stream("b")]);
    Content {
        feed: Sequence { items: feed.to_vec(), error: None },
        streams,
        listing: Ok(vec![id("a"), id("b")]),
        claims,
    }
}

/// The verdict when all commits up to `sure` are certain, as a word.
fn verdict(sure: u64, damage: impl FnOnce(&mut Content)) -> String {
    let mut after = content();
    damage(&mut after);
    match judge(&content(), &after, sure) {
        Outcome::Violation { kind, .. } => format!("{kind:?}"),
        Outcome::Undecidable { commits } => format!("undecidable {commits}"),
        Outcome::Detected { .. } => "detected".to_owned(),
        Outcome::Harmless => "harmless".to_owned(),
        Outcome::Refused { .. } => "refused".to_owned(),
    }
}

fn claims(content: &mut Content) -> &mut Vec<(ClaimName, Holder)> {
    content.claims.as_mut().unwrap()
}

fn error() -> Option<String> {
    Some("damaged".to_owned())
}

fn b(content: &mut Content) -> &mut StreamContent {
    content.streams.get_mut(&id("b")).unwrap()
}

/// The last commit, of `b`, is gone everywhere.
fn without_the_last(after: &mut Content) {
    after.feed.items.pop();
    b(after).parts.items.pop();
    b(after).head = Ok(1);
    *claims(after) = vec![(seat("1"), holder("a", 1)), (seat("2"), holder("b", 2))];
}

#[test]
fn what_is_as_it_was_is_harmless() {
    assert_eq!(verdict(4, |_| ()), "harmless");
}

#[test]
fn what_is_missing_without_a_word_is_lost() {
    assert_eq!(verdict(4, without_the_last), "Lost");
    assert_eq!(verdict(4, |after| drop(after.feed.items.pop())), "Lost");
    assert_eq!(verdict(4, |after| drop(b(after).parts.items.pop())), "Lost");
    assert_eq!(verdict(4, |after| b(after).head = Ok(1)), "Wrong");
    assert_eq!(verdict(4, |after| after.listing = Ok(vec![id("a")])), "Lost");
    assert_eq!(verdict(4, |after| b(after).parts.items.clear()), "Lost");
}

#[test]
fn what_is_missing_with_a_word_is_detected() {
    let cut_feed = |after: &mut Content| {
        after.feed.items.truncate(1);
        after.feed.error = error();
    };
    assert_eq!(verdict(4, cut_feed), "detected");
    let cut_stream = |after: &mut Content| {
        b(after).parts.items.clear();
        b(after).parts.error = error();
    };
    assert_eq!(verdict(4, cut_stream), "detected");
    assert_eq!(verdict(4, |after| b(after).head = Err("damaged".to_owned())), "detected");
}

#[test]
fn a_wrong_value_is_a_violation_also_beside_an_error() {
    let wrong = |after: &mut Content| after.feed.items[1].1.body = vec![9];
    assert_eq!(verdict(4, wrong), "Wrong");
    let beside = |after: &mut Content| {
        b(after).parts.items[0].body = vec![9];
        after.feed.error = error();
    };
    assert_eq!(verdict(4, beside), "Wrong");
    assert_eq!(verdict(4, |after| after.listing.as_mut().unwrap().push(id("c"))), "Wrong");
}

#[test]
fn a_claim_that_is_not_as_it_was_is_a_violation() {
    assert_eq!(verdict(4, |after| drop(claims(after).pop())), "Lost");
    assert_eq!(verdict(4, |after| claims(after)[1].1 = holder("a", 4)), "Wrong");
    assert_eq!(verdict(4, |after| claims(after)[1].1 = holder("b", 3)), "Wrong");
    assert_eq!(verdict(4, |after| claims(after)[1].0 = seat("4")), "Wrong");
    assert_eq!(verdict(4, |after| claims(after).insert(1, (seat("2"), holder("b", 2)))), "Doubled");
    assert_eq!(verdict(4, |after| claims(after).insert(1, (seat("1"), holder("a", 1)))), "Doubled");
    assert_eq!(verdict(4, |after| after.claims = Err("damaged".to_owned())), "detected");
    let beside = |after: &mut Content| {
        claims(after).pop();
        after.feed.error = error();
    };
    assert_eq!(verdict(4, beside), "Lost");
}

#[test]
fn a_key_that_is_not_as_it_was_is_a_violation() {
    assert_eq!(verdict(4, |after| after.feed.items[1].1.extras = vec![9]), "Wrong");
    assert_eq!(verdict(4, |after| after.feed.items[1].1.extras.clear()), "Wrong");
    assert_eq!(verdict(4, |after| b(after).parts.items[0].extras.clear()), "Wrong");
}

#[test]
fn the_claims_end_where_the_feed_ends() {
    let stale = |after: &mut Content| {
        without_the_last(after);
        after.claims = content().claims;
    };
    assert_eq!(verdict(3, stale), "Wrong");
    let cut = |after: &mut Content| {
        without_the_last(after);
        after.feed.error = error();
    };
    assert_eq!(verdict(3, cut), "detected");
}

#[test]
fn the_end_that_is_not_sure_may_be_missing_everywhere_or_nowhere() {
    assert_eq!(verdict(3, without_the_last), "undecidable 1");
    assert_eq!(verdict(3, |after| drop(after.feed.items.pop())), "Wrong");
    assert_eq!(verdict(3, |after| drop(b(after).parts.items.pop())), "Lost");
}
