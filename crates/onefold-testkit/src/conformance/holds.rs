//! Holds: claims with a time limit. The clock proposes their end, a commit decides it.

use onefold_core::journal::{ClaimAction, ClaimChange, ClaimFact, PinnedClaim};
use onefold_core::{CommitNumber, Timestamp};

use super::claims::{hand_to, release, take};
use super::fixture::{Fixture, appended, claim, held, not_held, taken};
use super::{How, Subject};

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// Takes until a time, as of a time.
fn hold(claim: &PinnedClaim, until: u64, as_of: Option<u64>) -> ClaimChange {
    let action = ClaimAction::Take { expires_at: Some(at(until)), as_of: as_of.map(at) };
    ClaimChange { claim: claim.clone(), action }
}

fn take_as_of(claim: &PinnedClaim, as_of: u64) -> ClaimChange {
    ClaimChange { claim: claim.clone(), action: ClaimAction::Take { expires_at: None, as_of: Some(at(as_of)) } }
}

fn confirm(claim: &PinnedClaim, until: Option<u64>) -> ClaimChange {
    ClaimChange { claim: claim.clone(), action: ClaimAction::Confirm { expires_at: until.map(at) } }
}

fn expire(claim: &PinnedClaim, since: u64, as_of: u64) -> ClaimChange {
    let action = ClaimAction::Expire { since: CommitNumber::new(since), as_of: at(as_of) };
    ClaimChange { claim: claim.clone(), action }
}

/// \[17] However late it is, a hold lasts until a commit ends it; the commit that takes the claim may be the one, when the
/// limit has passed by the clock that it names.
pub(super) async fn a_hold_ends_only_by_a_commit<S: Subject>(fixture: Fixture<S>) {
    let bob = fixture.pin("bob").await;
    let a = fixture.session("a").await;
    assert_eq!(fixture.change(&a, 0, [hold(&bob, 100, None)]).await, Ok(appended(1, 0)));
    let hold_of_a = held("a", 1, 100);
    assert_eq!(fixture.holder("bob").await, Some(hold_of_a.clone()));
    for too_early in [take(&bob), take_as_of(&bob, 99), hold(&bob, 500, Some(0))] {
        let b = fixture.session("b").await;
        assert_eq!(fixture.change(&b, 1, [too_early]).await, taken("bob", hold_of_a.clone()));
    }
    let b = fixture.session("b").await;
    assert_eq!(fixture.change(&b, 1, [take_as_of(&bob, 100)]).await, Ok(appended(2, 1)));
    assert_eq!(fixture.holder("bob").await, Some(held("b", 2, None)));
    let facts = fixture.feed().await[1].extras[0].1.claims.clone();
    let ended = ClaimFact::Expired { claim: claim("bob"), since: CommitNumber::new(1) };
    assert_eq!(facts, [ended, ClaimFact::Taken { claim: claim("bob"), expires_at: None }]);
    // What is held for good has no limit that could pass.
    let c = fixture.session("c").await;
    assert_eq!(fixture.change(&c, 1, [take_as_of(&bob, u64::MAX)]).await, taken("bob", held("b", 2, None)));
    fixture.claims_agree_with_the_log().await;
}

/// \[17] A hold that was confirmed, by name or by taking it again, is held for good; a confirmation that comes too late says
/// so and takes nothing.
pub(super) async fn a_confirmed_hold_stays<S: Subject>(fixture: Fixture<S>) {
    let a = fixture.session("a").await;
    for (value, confirmation) in [("bob", true), ("al", false)] {
        let pin = fixture.pin(value).await;
        let since = fixture.change(&a, 0, [hold(&pin, 100, None)]).await.expect("free").commit.get();
        let confirming = if confirmation { confirm(&pin, None) } else { take(&pin) };
        let confirmed = fixture.change(&a, 1, [confirming]).await.expect("held").commit.get();
        let for_good = held("a", confirmed, None);
        assert_eq!(fixture.holder(value).await, Some(for_good.clone()));
        let b = fixture.session("b").await;
        assert!(fixture.change(&b, 0, [expire(&pin, since, 1_000)]).await.is_ok());
        assert_eq!(fixture.change(&b, 0, [take_as_of(&pin, 1_000)]).await, taken(value, for_good.clone()));
        // It does not become a hold again.
        assert!(fixture.change(&a, 0, [confirm(&pin, Some(5))]).await.is_ok());
        assert_eq!(fixture.holder(value).await.and_then(|holder| holder.expires_at), None);
    }
    let eve = fixture.pin("eve").await;
    assert!(fixture.change(&a, 0, [hold(&eve, 100, None)]).await.is_ok());
    let b = fixture.session("b").await;
    let number = fixture.change(&b, 0, [take_as_of(&eve, 100)]).await.expect("the limit has passed").commit.get();
    assert_eq!(fixture.change(&a, 0, [confirm(&eve, None)]).await, not_held("eve", "a", Some(held("b", number, None))));
    fixture.claims_agree_with_the_log().await;
}

/// \[17] The holder may set another limit, also after the old one has passed, as long as no commit has ended the hold; and a
/// hold that is handed on keeps its limit.
pub(super) async fn a_hold_can_be_prolonged<S: Subject>(fixture: Fixture<S>) {
    let (a, bob) = (fixture.session("a").await, fixture.pin("bob").await);
    assert!(fixture.change(&a, 0, [hold(&bob, 100, None)]).await.is_ok());
    assert!(fixture.change(&a, 0, [hold(&bob, 200, Some(150))]).await.is_ok());
    assert_eq!(fixture.holder("bob").await, Some(held("a", 2, 200)));
    assert!(fixture.change(&a, 0, [confirm(&bob, Some(300))]).await.is_ok());
    assert_eq!(fixture.holder("bob").await, Some(held("a", 3, 300)));
    assert!(fixture.change(&a, 0, [hand_to(&bob, "b")]).await.is_ok());
    assert_eq!(fixture.holder("bob").await, Some(held("b", 4, 300)));
    let b = fixture.session("b").await;
    assert!(fixture.change(&b, 0, [release(&bob)]).await.is_ok());
    assert_eq!(fixture.holder("bob").await, None);
    fixture.claims_agree_with_the_log().await;
}

/// \[17, edge case] Ending a hold means the hold of one commit, whose limit has passed. If it is not that any more, nothing
/// happens, and it is a commit all the same.
pub(super) async fn expiry_means_one_hold<S: Subject>(fixture: Fixture<S>) {
    let (a, janitor) = (fixture.session("a").await, fixture.session("janitor").await);
    let bob = fixture.pin("bob").await;
    assert_eq!(fixture.change(&janitor, 0, [expire(&bob, 1, 1_000)]).await, Ok(appended(1, 0)));
    assert_eq!(fixture.change(&a, 0, [hold(&bob, 100, None)]).await, Ok(appended(2, 0)));
    assert_eq!(fixture.change(&a, 0, [hold(&bob, 100, None)]).await, Ok(appended(3, 0)));
    for (number, without_effect) in [(4, expire(&bob, 3, 99)), (5, expire(&bob, 2, 1_000)), (6, expire(&bob, 9, 100))] {
        assert_eq!(fixture.change(&janitor, 0, [without_effect]).await, Ok(appended(number, 0)));
        assert_eq!(fixture.holder("bob").await, Some(held("a", 3, 100)));
    }
    assert_eq!(fixture.change(&janitor, 0, [expire(&bob, 3, 100)]).await, Ok(appended(7, 0)));
    assert_eq!(fixture.holder("bob").await, None);
    assert_eq!(fixture.change(&a, 0, [confirm(&bob, None)]).await, not_held("bob", "a", None));
    let facts: Vec<_> = fixture.feed().await.into_iter().flat_map(|commit| commit.extras).collect();
    assert_eq!(facts.iter().filter(|(_, extras)| extras.claims.is_empty()).count(), 4);
    fixture.claims_agree_with_the_log().await;
}

/// \[17, 18] Holds, their limits and their commits are after a restart what they were before.
pub(super) async fn holds_survive_restarts<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    for (round, how) in (1_u64..).zip([How::Kill, How::CleanClose]) {
        let a = fixture.session("a").await;
        let values = ["held", "confirmed", "ended"].map(|value| format!("{value}-{round}"));
        let mut since = 0;
        for value in &values {
            let pin = fixture.pin(value).await;
            since = fixture.change(&a, 1, [hold(&pin, 100 * round, None)]).await.expect("free").commit.get();
        }
        let [held_one, confirmed, ended] = [&values[0], &values[1], &values[2]];
        assert!(fixture.change(&a, 0, [confirm(&fixture.pin(confirmed).await, None)]).await.is_ok());
        assert!(fixture.change(&a, 0, [expire(&fixture.pin(ended).await, since, 100 * round)]).await.is_ok());
        drop(a);
        fixture = fixture.reopen(how).await;
        assert_eq!(fixture.holder(held_one).await, Some(held("a", since - 2, 100 * round)));
        assert_eq!(fixture.holder(confirmed).await, Some(held("a", since + 1, None)));
        assert_eq!(fixture.holder(ended).await, None);
        let b = fixture.session("b").await;
        let changes = [take_as_of(&fixture.pin(held_one).await, 100 * round), take(&fixture.pin(ended).await)];
        assert!(fixture.change(&b, 0, changes).await.is_ok());
        fixture.claims_agree_with_the_log().await;
    }
}
