//! Claims: one holder each, changed by commits alone, shown when durable.

use onefold_core::ExpectedVersion::Any;
use onefold_core::journal::{
    AppendError, ClaimAction, ClaimChange, ClaimPage, Journal, PinState, PinnedClaim, ReadError,
};
use onefold_core::{Holder, Limits, Metadata};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::fixture::{Fixture, appended, claim, conflict, held, name, not_held, superseded, taken};
use super::{How, Subject};
use crate::{TestEvent, part, prepare, submit, with_claims};

pub(super) fn take(claim: &PinnedClaim) -> ClaimChange {
    ClaimChange { claim: claim.clone(), action: ClaimAction::Take { expires_at: None, as_of: None } }
}

pub(super) fn release(claim: &PinnedClaim) -> ClaimChange {
    ClaimChange { claim: claim.clone(), action: ClaimAction::Release }
}

pub(super) fn hand_to(claim: &PinnedClaim, stream: &str) -> ClaimChange {
    ClaimChange { claim: claim.clone(), action: ClaimAction::Move { to: name(stream) } }
}

/// In place of all cases about extras: a journal without them says so, and stores nothing of what it does not know.
pub(super) async fn are_unsupported<S: Subject>(fixture: Fixture<S>) {
    struct Nobody;
    impl PinState for Nobody {
        fn holder(&self) -> Option<Holder> {
            None
        }
    }
    let journal = fixture.journal();
    assert!(matches!(journal.pin_claims(vec![claim("bob")]).await, Err(ReadError::Unsupported { .. })));
    assert!(matches!(journal.claim(claim("bob")).await, Err(ReadError::Unsupported { .. })));
    let page = ClaimPage { namespace: "name".to_owned(), after: None, limit: 1 };
    assert!(matches!(journal.claims(page).await, Err(ReadError::Unsupported { .. })));
    let (a, bob) = (fixture.session("a").await, PinnedClaim::new(claim("bob"), Nobody));
    let refused = fixture.change(&a, 1, [take(&bob)]).await;
    assert!(matches!(refused, Err(AppendError::Unsupported { .. })), "{refused:?}");
    assert!(!a.is_live());
    assert_eq!((fixture.feed().await, fixture.head("a").await), (vec![], 0));
}

/// \[17, 18] Who comes first holds the claim; nobody else gets it; the holder may take it again.
pub(super) async fn a_claim_has_one_holder<S: Subject>(fixture: Fixture<S>) {
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    let bob = fixture.pin("bob").await;
    assert_eq!((bob.holder(), fixture.holder("bob").await), (None, None));
    assert_eq!(fixture.change(&a, 1, [take(&bob)]).await, Ok(appended(1, 1)));
    assert_eq!(bob.holder(), Some(held("a", 1, None)));
    assert_eq!(fixture.change(&b, 1, [take(&bob)]).await, taken("bob", held("a", 1, None)));
    assert_eq!(fixture.change(&a, 0, [take(&bob)]).await, Ok(appended(2, 1)));
    assert_eq!(fixture.holder("bob").await, Some(held("a", 2, None)));
    assert_eq!(fixture.holder("al").await, None);
    fixture.claims_agree_with_the_log().await;
}

/// \[2, 4, 17] A change that cannot be made fails its commit: no event, no other claim and no number of it are left, the
/// sessions of all parts end, and what was under way behind is superseded. Session and version are looked at first.
pub(super) async fn a_failed_claim_stores_nothing<S: Subject>(fixture: Fixture<S>) {
    let (a, b, c) = (fixture.session("a").await, fixture.session("b").await, fixture.session("c").await);
    let (bob, al) = (fixture.pin("bob").await, fixture.pin("al").await);
    assert_eq!(fixture.change(&c, 1, [take(&bob)]).await, Ok(appended(1, 1)));
    let first = with_claims(part(&a, 0, &TestEvent::series([1])), [take(&al)]);
    let second = with_claims(part(&b, 0, &TestEvent::series([2])), [take(&bob)]);
    let failed = fixture.submit([first, second]).await;
    let behind = fixture.submit([part(&a, Any, &TestEvent::series([3]))]).await;
    assert_eq!(failed.await, taken("bob", held("c", 1, None)));
    assert_eq!(behind.await, superseded("a"));
    assert!(!a.is_live() && !b.is_live() && c.is_live());
    assert_eq!((fixture.holder("al").await, fixture.feed().await.len()), (None, 1));
    assert_eq!((fixture.head("a").await, fixture.head("b").await), (0, 0));
    let b = fixture.session("b").await;
    let wrong_version = with_claims(part(&b, 4, &[]), [take(&bob)]);
    assert_eq!(fixture.commit([wrong_version]).await, conflict("b", 4, 0));
    assert_eq!(fixture.change(&b, 0, [take(&bob)]).await, superseded("b"));
}

/// \[17] Nobody but the holder gives a claim up or hands it on; after that it is no longer the holder.
pub(super) async fn only_the_holder_gives_up_or_hands_on<S: Subject>(fixture: Fixture<S>) {
    let bob = fixture.pin("bob").await;
    let by_a = Some(held("a", 1, None));
    assert!(fixture.change(&fixture.session("a").await, 0, [take(&bob)]).await.is_ok());
    for change in [release(&bob), hand_to(&bob, "b")] {
        let b = fixture.session("b").await;
        assert_eq!(fixture.change(&b, 1, [change]).await, not_held("bob", "b", by_a.clone()));
    }
    // Nobody needs to have heard of the stream that it is handed to.
    let a = fixture.session("a").await;
    assert_eq!(fixture.change(&a, 0, [hand_to(&bob, "b")]).await, Ok(appended(2, 0)));
    assert_eq!(fixture.holder("bob").await, Some(held("b", 2, None)));
    assert_eq!(fixture.change(&a, 0, [release(&bob)]).await, not_held("bob", "a", Some(held("b", 2, None))));
    let b = fixture.session("b").await;
    assert_eq!(fixture.change(&b, 2, [release(&bob)]).await, Ok(appended(3, 2)));
    assert_eq!(fixture.holder("bob").await, None);
    assert_eq!(fixture.change(&b, 0, [release(&bob)]).await, not_held("bob", "b", None));
    assert!(fixture.change(&fixture.session("a").await, 0, [take(&bob)]).await.is_ok());
    fixture.claims_agree_with_the_log().await;
}

/// \[17] A rename gives up the old name and takes the new one in one commit; when the new one is taken, the old one stays.
pub(super) async fn a_rename_is_one_commit<S: Subject>(fixture: Fixture<S>) {
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    let (bob, al, eve) = (fixture.pin("bob").await, fixture.pin("al").await, fixture.pin("eve").await);
    assert!(fixture.change(&a, 1, [take(&bob)]).await.is_ok());
    assert!(fixture.change(&b, 1, [take(&eve)]).await.is_ok());
    assert_eq!(fixture.change(&a, 1, [release(&bob), take(&al)]).await, Ok(appended(3, 3)));
    assert_eq!((fixture.holder("bob").await, fixture.holder("al").await), (None, Some(held("a", 3, None))));
    let refused = fixture.change(&a, 1, [release(&al), take(&eve)]).await;
    assert_eq!(refused, taken("eve", held("b", 2, None)));
    assert_eq!(fixture.holder("al").await, Some(held("a", 3, None)));
    fixture.claims_agree_with_the_log().await;
}

/// \[17] The changes of a commit are made one after the other, part after part: a name can pass from hand to hand in one
/// commit, and not before it was given up.
pub(super) async fn changes_of_a_commit_are_made_in_order<S: Subject>(fixture: Fixture<S>) {
    let bob = fixture.pin("bob").await;
    assert!(fixture.change(&fixture.session("a").await, 0, [take(&bob)]).await.is_ok());
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    let early = [with_claims(part(&b, Any, &[]), [take(&bob)]), with_claims(part(&a, Any, &[]), [release(&bob)])];
    assert_eq!(fixture.commit(early).await, taken("bob", held("a", 1, None)));
    let (a, b, c) = (fixture.session("a").await, fixture.session("b").await, fixture.session("c").await);
    let passing = [
        with_claims(part(&a, Any, &[]), [release(&bob)]),
        with_claims(part(&b, Any, &[]), [take(&bob), hand_to(&bob, "c")]),
        with_claims(part(&c, Any, &TestEvent::series([1])), [release(&bob), take(&bob)]),
    ];
    assert_eq!(fixture.commit(passing).await, Ok(appended(2, 1)));
    assert_eq!(fixture.holder("bob").await, Some(held("c", 2, None)));
    assert_eq!(fixture.feed().await[1].extras.iter().map(|(_, extras)| extras.claims.len()).sum::<usize>(), 5);
    fixture.claims_agree_with_the_log().await;
}

/// \[17, 19] Appends that are under way together are decided in the order of submission, each on what those before it left.
pub(super) async fn claims_are_decided_in_order_of_submission<S: Subject>(fixture: Fixture<S>) {
    for round in 0..20 {
        let value = format!("n{round}");
        let pin = fixture.pin(&value).await;
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|stream| fixture.session(stream));
        let (a, b, c, d) = (a.await, b.await, c.await, d.await);
        let commit = |session, change| fixture.submit([with_claims(part(session, Any, &[]), [change])]);
        let first = commit(&a, take(&pin)).await;
        let refused = commit(&b, take(&pin)).await;
        let handed_on = commit(&a, hand_to(&pin, "c")).await;
        let given_up = commit(&c, release(&pin)).await;
        let last = commit(&d, take(&pin)).await;
        let number = first.await.expect("nobody was before").commit.get();
        assert_eq!(refused.await, taken(&value, held("a", number, None)));
        assert_eq!(handed_on.await.map(|appended| appended.commit.get()), Ok(number + 1));
        assert_eq!(given_up.await.map(|appended| appended.commit.get()), Ok(number + 2));
        assert_eq!(last.await.map(|appended| appended.commit.get()), Ok(number + 3));
        assert_eq!(fixture.holder(&value).await, Some(held("d", number + 3, None)));
    }
    fixture.claims_agree_with_the_log().await;
}

/// \[17, 18] Many that want the same names at the same time: each name has one winner, and the losers are told so.
pub(super) async fn racing_takes_have_one_winner<S: Subject>(fixture: Fixture<S>) {
    const NAMES: usize = 40;
    const TASKS: usize = 8;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let journal = fixture.journal().clone();
        tasks.spawn(async move {
            let mut won = 0;
            for index in 0..NAMES {
                let pins = journal.pin_claims(vec![claim(&format!("n{index}"))]).await.expect("a pin");
                let stream = name(&format!("s{task}-{index}"));
                let session = journal.open(&stream).await.expect("a healthy journal").session;
                let taking = with_claims(part(&session, 0, &TestEvent::series([1])), [take(&pins[0])]);
                let (append, pending) = prepare([taking], &Metadata::default());
                submit(&journal, append).await;
                match pending.await {
                    Ok(_) => won += 1,
                    Err(AppendError::ClaimTaken { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            won
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<usize>(), NAMES);
    assert_eq!((fixture.feed().await.len(), fixture.claims().await.len()), (NAMES, NAMES));
    fixture.claims_agree_with_the_log().await;
}

/// \[19] While an acknowledgement is told, its claim has its new holder: for pins, and for look-ups that begin then.
pub(super) async fn claims_are_visible_when_acknowledged<S: Subject>(fixture: Fixture<S>) {
    let a = fixture.session("a").await;
    let bob = fixture.pin("bob").await;
    for number in 1..=50 {
        let change = if number % 2 == 1 { take(&bob) } else { release(&bob) };
        let (append, _) = prepare([with_claims(part(&a, Any, &[]), [change])], &Metadata::default());
        let (tell, mut told) = mpsc::unbounded_channel();
        let (journal, pin) = (std::sync::Arc::downgrade(fixture.journal()), bob.clone());
        let acknowledgement = onefold_core::journal::Acknowledgement::from_fn(move |outcome| {
            let look_up = journal.upgrade().map(|journal| journal.claim(claim("bob")));
            let _ = tell.send((outcome, pin.holder(), look_up));
        });
        let append = onefold_core::journal::Append { acknowledgement, ..append };
        submit(fixture.journal(), append).await;
        let (outcome, pinned, look_up) = told.recv().await.expect("an acknowledgement");
        assert_eq!(outcome, Ok(appended(number, 0)));
        let expected = (number % 2 == 1).then(|| held("a", number, None));
        assert_eq!(pinned, expected);
        assert_eq!(look_up.expect("the journal is there").await, Ok(expected));
    }
}

/// \[19] Claims are listed by value, in pages, those that somebody holds.
pub(super) async fn claims_are_listed_in_pages<S: Subject>(fixture: Fixture<S>) {
    let a = fixture.session("a").await;
    for index in 0..200 {
        let pin = fixture.pin(&format!("n{:03}", index * 7 % 200)).await;
        assert!(fixture.change(&a, 0, [take(&pin)]).await.is_ok());
        if index % 5 == 0 {
            assert!(fixture.change(&a, 0, [release(&pin)]).await.is_ok());
        }
    }
    let mut listed = Vec::new();
    loop {
        let after = listed.last().cloned();
        let page = ClaimPage { namespace: "name".to_owned(), after, limit: 33 };
        let page = fixture.journal().claims(page).await.expect("a page");
        assert!(page.len() <= 33);
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|(name, _)| name.value().to_owned()));
    }
    assert!(listed.is_sorted());
    assert_eq!(listed.len(), 160);
    let none = ClaimPage { namespace: "name".to_owned(), after: None, limit: 0 };
    assert_eq!(fixture.journal().claims(none).await, Ok(vec![]));
    let other = ClaimPage { namespace: "nam".to_owned(), after: None, limit: 10 };
    assert_eq!(fixture.journal().claims(other).await, Ok(vec![]));
}

/// \[18] Names that look alike are claims of their own.
pub(super) async fn claims_of_every_kind_are_kept_apart<S: Subject>(fixture: Fixture<S>) {
    let names = ["name/a", "name/A", "name/a/b", "name/a ", "nam/ea", "names/a", "name/ä", "name/a\u{308}", "n/ame/a"];
    let longest = format!("name/{}", "x".repeat(255));
    for (index, value) in names.into_iter().chain([&*longest]).enumerate() {
        let session = fixture.session(&format!("s{index}")).await;
        let pin = fixture.pin(value).await;
        assert!(fixture.change(&session, 0, [take(&pin)]).await.is_ok(), "{value}");
    }
    for (index, value) in names.into_iter().chain([&*longest]).enumerate() {
        let holder = fixture.journal().claim(claim(value)).await.expect("a look-up");
        assert_eq!(holder, Some(held(&format!("s{index}"), index as u64 + 1, None)), "{value}");
    }
    assert_eq!(fixture.claims().await.len(), 7);
}

/// \[17, 20] As many claims as a commit may change, and two parts that share them.
pub(super) async fn the_most_claims_of_a_commit_fit<S: Subject>(fixture: Fixture<S>) {
    let most = Limits::CEILING.claims_per_commit_max;
    let names = (0..most).map(|index| claim(&format!("{index:0>200}"))).collect();
    let pins = fixture.journal().pin_claims(names).await.expect("pins");
    let (a, b) = (fixture.session("a").await, fixture.session("b").await);
    let (first, second) = pins.split_at(most / 3);
    let parts = [
        with_claims(part(&a, 0, &TestEvent::series([1])), first.iter().map(take)),
        with_claims(part(&b, 0, &[]), second.iter().map(take)),
    ];
    assert_eq!(fixture.commit(parts).await, Ok(appended(1, 1)));
    assert!(pins.iter().all(|pin| pin.holder().is_some()));
    assert_eq!(fixture.claims().await.len(), most);
    fixture.claims_agree_with_the_log().await;
}

/// \[edge case] A claim that another journal pinned is not ours to change.
pub(super) async fn a_foreign_pin_is_superseded<S: Subject>(fixture: Fixture<S>) {
    let other = fixture.another().await;
    let foreign = other.pin("bob").await;
    let a = fixture.session("a").await;
    assert_eq!(fixture.change(&a, 1, [take(&foreign)]).await, superseded("a"));
    assert!(!a.is_live());
    assert_eq!((fixture.holder("bob").await, other.holder("bob").await), (None, None));
}

/// \[2, 18] Claims are after a restart what they were before, of either kind, and go on from there.
pub(super) async fn claims_survive_restarts<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    for (round, how) in [How::Kill, How::CleanClose, How::Kill, How::Kill].into_iter().enumerate() {
        let (a, b) = (fixture.session("a").await, fixture.session("b").await);
        for index in 0..30 {
            let (own, shared) = (fixture.pin(&format!("r{round}-{index}")).await, fixture.pin("shared").await);
            let taking = fixture.change(&a, index % 2, [take(&own), take(&shared)]).await;
            assert!(taking.is_ok(), "{taking:?}");
            let changes = match index % 3 {
                0 => vec![release(&own), hand_to(&shared, "b")],
                1 => vec![hand_to(&own, "b"), hand_to(&shared, "b")],
                _ => vec![hand_to(&shared, "b")],
            };
            assert!(fixture.change(&a, 0, changes).await.is_ok());
            assert!(fixture.change(&b, 0, [release(&shared)]).await.is_ok());
        }
        let before = fixture.claims().await;
        assert_eq!(before.len(), (round + 1) * 20);
        let (pin, value) = (fixture.pin("r0-1").await, "r0-1");
        fixture = fixture.reopen(how).await;
        assert_eq!(fixture.claims().await, before, "after {how:?}");
        fixture.claims_agree_with_the_log().await;
        let refused = fixture.change(&fixture.session("c").await, 0, [take(&fixture.pin(value).await)]).await;
        assert!(matches!(refused, Err(AppendError::ClaimTaken { .. })), "{refused:?}");
        drop(pin);
    }
}

/// \[2, 18] Whatever of it is there after a kill, claims and log agree.
pub(super) async fn claims_in_flight_at_a_kill_agree_with_the_log<S: Subject>(fixture: Fixture<S>) {
    let mut fixture = fixture;
    for round in 0..5 {
        let mut pins = Vec::new();
        for index in 0..10 {
            pins.push(fixture.pin(&format!("n{index}")).await);
        }
        let session = fixture.session(&format!("s{round}")).await;
        let before = fixture.claims().await.len();
        let mut pending = Vec::new();
        for index in 0..200 {
            let pin = &pins[(before + index) % 10];
            let changes = match (before + index) / 10 % 2 {
                0 => vec![take(pin)],
                _ => vec![take(pin), release(pin)],
            };
            pending.push(fixture.submit([with_claims(part(&session, Any, &[]), changes)]).await);
            if index == 120 {
                tokio::task::yield_now().await;
            }
        }
        drop((session, pins));
        fixture = fixture.reopen(How::Kill).await;
        fixture.claims_agree_with_the_log().await;
        drop(pending);
        // The next round begins with nothing held.
        let session = fixture.session(&format!("s{round}")).await;
        for (name, _) in fixture.claims().await {
            let pin = fixture.pin(name.value()).await;
            assert!(fixture.change(&session, 0, [release(&pin)]).await.is_ok());
        }
        assert_eq!(fixture.claims().await, []);
    }
}
