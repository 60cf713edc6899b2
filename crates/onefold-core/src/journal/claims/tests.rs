//! Each change, against each thing that it may meet.

use smallvec::SmallVec;

use super::*;
use crate::journal::{Acknowledgement, AppendPart, EncodedEvents, Session, WriterEpoch};
use crate::{ExpectedVersion, Timestamp};

impl PinState for Option<Holder> {
    fn holder(&self) -> Option<Holder> {
        self.clone()
    }
}

fn stream(id: &str) -> StreamId {
    StreamId::new("user", id).unwrap()
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn held(by: &str, since: u64, expires_at: Option<u64>) -> Option<Holder> {
    let expires_at = expires_at.map(at);
    Some(Holder { stream: stream(by), since: CommitNumber::new(since), expires_at })
}

fn change(claim: &PinnedClaim, action: ClaimAction) -> ClaimChange {
    ClaimChange { claim: claim.clone(), action }
}

fn pinned(value: &str, holder: Option<Holder>) -> PinnedClaim {
    PinnedClaim::new(ClaimName::new("username", value).unwrap(), holder)
}

fn append(parts: &[(&str, Vec<ClaimChange>)]) -> Append {
    let parts: SmallVec<[AppendPart; 1]> = parts
        .iter()
        .map(|(id, claims)| AppendPart {
            session: Session::new(stream(id), WriterEpoch::default(), ()),
            expected: ExpectedVersion::Any,
            events: EncodedEvents::NONE,
            claims: claims.clone(),
        })
        .collect();
    Append { parts, metadata: Vec::new(), acknowledgement: Acknowledgement::from_fn(|_| ()) }
}

/// Commit 9 of these changes: the last holder of each claim that changed.
fn decide(parts: &[(&str, Vec<ClaimChange>)]) -> Result<Vec<(String, Option<Holder>)>, AppendError> {
    let append = append(parts);
    let decided = DecidedClaims::decide(&append, CommitNumber::new(9), |claim| Some(claim.holder()))?;
    let mut last = std::collections::BTreeMap::new();
    for (claim, holder) in &decided.holders {
        last.insert(claim.name().value().to_owned(), holder.clone());
    }
    // What readers of the log make of it is the same.
    let mut told = std::collections::BTreeMap::new();
    for (index, fact) in &decided.facts {
        told.insert(fact.claim().value().to_owned(), fact.holder(append.parts[*index].stream(), CommitNumber::new(9)));
    }
    assert_eq!(told, last);
    Ok(last.into_iter().collect())
}

/// One change by "me" of a claim that `before` holds.
fn one(before: Option<Holder>, action: ClaimAction) -> Result<Option<Holder>, AppendError> {
    let claim = pinned("bob", before.clone());
    let decided = decide(&[("me", vec![change(&claim, action)])])?;
    // No entry: nothing changed.
    Ok(decided.into_iter().next().map_or(before, |(_, holder)| holder))
}

fn take(expires_at: Option<u64>, as_of: Option<u64>) -> ClaimAction {
    ClaimAction::Take { expires_at: expires_at.map(at), as_of: as_of.map(at) }
}

fn confirm(expires_at: Option<u64>) -> ClaimAction {
    ClaimAction::Confirm { expires_at: expires_at.map(at) }
}

fn expire(since: u64, as_of: u64) -> ClaimAction {
    ClaimAction::Expire { since: CommitNumber::new(since), as_of: at(as_of) }
}

fn taken(holder: Option<Holder>) -> AppendError {
    let claim = ClaimName::new("username", "bob").unwrap();
    AppendError::ClaimTaken { claim, holder: Box::new(holder.unwrap()) }
}

fn not_held(holder: Option<Holder>) -> AppendError {
    let claim = ClaimName::new("username", "bob").unwrap();
    AppendError::ClaimNotHeld { claim, stream: stream("me"), holder: holder.map(Box::new) }
}

#[test]
fn each_change_meets_each_state() {
    let (free, mine, other) = (None, held("me", 3, None), held("other", 3, None));
    let (my_hold, hold) = (held("me", 3, Some(50)), held("other", 3, Some(50)));
    let moved = || ClaimAction::Move { to: stream("heir") };
    let cases = [
        // Take.
        (&free, take(None, None), Ok(held("me", 9, None))),
        (&free, take(Some(70), None), Ok(held("me", 9, Some(70)))),
        (&mine, take(None, None), Ok(held("me", 9, None))),
        (&mine, take(Some(70), Some(99)), Ok(held("me", 9, None))),
        (&my_hold, take(Some(70), Some(99)), Ok(held("me", 9, Some(70)))),
        (&my_hold, take(None, None), Ok(held("me", 9, None))),
        (&other, take(None, Some(99)), Err(taken(other.clone()))),
        (&hold, take(None, None), Err(taken(hold.clone()))),
        (&hold, take(None, Some(49)), Err(taken(hold.clone()))),
        (&hold, take(Some(70), Some(50)), Ok(held("me", 9, Some(70)))),
        // Confirm.
        (&free, confirm(None), Err(not_held(None))),
        (&my_hold, confirm(None), Ok(held("me", 9, None))),
        (&my_hold, confirm(Some(60)), Ok(held("me", 9, Some(60)))),
        (&mine, confirm(Some(60)), Ok(held("me", 9, None))),
        (&hold, confirm(None), Err(not_held(hold.clone()))),
        // Release.
        (&free, ClaimAction::Release, Err(not_held(None))),
        (&mine, ClaimAction::Release, Ok(None)),
        (&my_hold, ClaimAction::Release, Ok(None)),
        (&other, ClaimAction::Release, Err(not_held(other.clone()))),
        // Move.
        (&free, moved(), Err(not_held(None))),
        (&mine, moved(), Ok(held("heir", 9, None))),
        (&my_hold, moved(), Ok(held("heir", 9, Some(50)))),
        (&hold, moved(), Err(not_held(hold.clone()))),
        // Expire.
        (&free, expire(3, 99), Ok(None)),
        (&mine, expire(3, 99), Ok(mine.clone())),
        (&my_hold, expire(3, 50), Ok(None)),
        (&hold, expire(3, 50), Ok(None)),
        (&hold, expire(3, 49), Ok(hold.clone())),
        (&hold, expire(2, 99), Ok(hold.clone())),
    ];
    for (before, action, expected) in cases {
        assert_eq!(one(before.clone(), action.clone()), expected, "{before:?} meets {action:?}");
    }
}

#[test]
fn changes_are_made_one_after_the_other_and_across_parts() {
    let (bob, al) = (pinned("bob", held("me", 3, None)), pinned("al", None));
    // A rename, and somebody who takes what became free in the same commit.
    let parts = [
        ("me", vec![change(&bob, ClaimAction::Release), change(&al, take(None, None))]),
        ("you", vec![change(&bob, take(None, None))]),
    ];
    let both = vec![("al".to_owned(), held("me", 9, None)), ("bob".to_owned(), held("you", 9, None))];
    assert_eq!(decide(&parts), Ok(both));
    // In another order it can't be.
    let parts = [("you", vec![change(&bob, take(None, None))]), ("me", vec![change(&bob, ClaimAction::Release)])];
    assert_eq!(decide(&parts), Err(taken(held("me", 3, None))));
    // Two pins of one claim are one claim.
    let (one, two) = (pinned("bob", None), pinned("bob", None));
    let parts = [("me", vec![change(&one, take(None, None))]), ("you", vec![change(&two, take(None, None))])];
    assert_eq!(decide(&parts), Err(taken(held("me", 9, None))));
}

#[test]
fn a_pin_of_another_journal_is_superseded() {
    let append = append(&[("me", vec![change(&pinned("bob", None), take(None, None))])]);
    let decided = DecidedClaims::decide(&append, CommitNumber::new(9), |_| None);
    assert_eq!(decided.unwrap_err(), AppendError::Superseded { stream: stream("me") });
}

/// What would become of the claims: the same facts and holders as when the journal decides, but for the commit's number.
#[test]
fn what_is_foreseen_is_what_is_decided() {
    let (bob, rob) = (pinned("bob", held("me", 3, None)), pinned("rob", held("other", 3, Some(50))));
    let changes = [
        change(&bob, ClaimAction::Release),
        change(&rob, take(Some(70), Some(60))),
        change(&bob, ClaimAction::Take { expires_at: None, as_of: None }),
        change(&rob, ClaimAction::Move { to: stream("heir") }),
    ];
    let foreseen = DecidedClaims::foreseen(&stream("me"), &changes).unwrap();
    let append = append(&[("me", changes.to_vec())]);
    let decided = DecidedClaims::decide(&append, CommitNumber::NONE, |claim| Some(claim.holder())).unwrap();
    assert_eq!((foreseen.facts, foreseen.holders.len()), (decided.facts, 5));
    let holders = |decided: Vec<(&PinnedClaim, Option<Holder>)>| -> Vec<_> {
        decided.into_iter().map(|(claim, holder)| (claim.name().clone(), holder)).collect()
    };
    assert_eq!(holders(foreseen.holders), holders(decided.holders));

    let lost = [change(&bob, ClaimAction::Release), change(&rob, take(None, Some(49)))];
    let refused = DecidedClaims::foreseen(&stream("me"), &lost).map(|_| ());
    assert!(matches!(&refused, Err(AppendError::ClaimTaken { claim, .. }) if claim == rob.name()), "{refused:?}");
    assert_eq!(DecidedClaims::foresee(&stream("me"), &lost), refused);
}
