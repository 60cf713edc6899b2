//! P5, P10: a claim is checked and recorded in the same commit as the events, and has one holder at most.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, TryStreamExt};
use onefold::{
    ClaimName, Config, Decision, Error, ErrorKind, InvalidClaim, Limits, MemoryJournal, NotStoredReason, TooLarge,
};
use onefold_testkit::faults::{AppendFault, When};

use crate::support::{Add, Do, Happened, No, Seen, SlowJournal, Tally, World, reason, settle, stream};

type Asked = Result<Seen, Error<No>>;

/// What a rejection says that comes of a refused claim.
const REFUSED: No = No { sum: 404 };

/// Adds one, and does something to claims.
fn also(change: impl FnOnce(Decision<Tally, ()>) -> Decision<Tally, ()> + Send + 'static) -> Do<Seen> {
    Do::new(move |tally, _| {
        let decision = change(tally.emit_one()).reply(|tally| Seen::at(tally.count, tally.sum));
        async move { Ok(decision) }.boxed()
    })
}

fn register(name: &'static str) -> Do<Seen> {
    also(move |decision| decision.claim("username", name).or_reject(|_| REFUSED))
}

impl Tally {
    fn emit_one(&self) -> Decision<Self, ()> {
        use onefold::Aggregate as _;
        self.emit(Happened::Added { amount: 1 })
    }
}

/// Brings aggregates into memory: a slow journal opens no stream while anything is held.
async fn warm(world: &World, ids: &[&str]) {
    for id in ids {
        world.tallies.version(id).await.unwrap();
    }
}

async fn holder(world: &World, name: &str) -> Option<String> {
    let holder = world.runtime.claim("username", name).await.unwrap();
    holder.map(|holder| holder.stream.aggregate_id().to_owned())
}

/// Of two that ask for one name, one has it, and the other is told so in words of the domain. Nothing of it has happened.
#[tokio::test(start_paused = true)]
async fn one_name_has_one_holder() {
    let world = World::start().await;
    assert_eq!(holder(&world, "bob").await, None);
    assert_eq!(world.tallies.ask("a", register("bob")).await, Ok(Seen::at(1, 1)));
    assert_eq!(world.tallies.ask("b", register("bob")).await, Err(Error::Rejected(REFUSED)));
    assert_eq!(world.tallies.ask("b", register("rob")).await, Ok(Seen::at(1, 1)));
    assert_eq!(world.tallies.ask("a", register("bob")).await, Ok(Seen::at(2, 2)), "what one holds one may take again");
    assert_eq!((holder(&world, "bob").await, holder(&world, "rob").await), (Some("a".into()), Some("b".into())));
    assert_eq!(world.runtime.stats().activations, 2, "a refusal that can be foreseen costs nobody the instance");
    world.end().await;
}

/// Without words of its own the error names the claim and its holder.
#[tokio::test(start_paused = true)]
async fn error_names_the_claim_and_its_holder() {
    let world = World::start().await;
    let take = || also(|decision| decision.claim("username", "bob"));
    world.tallies.ask("a", take()).await.unwrap();
    let claim = ClaimName::new("username", "bob").unwrap();
    let held = world.runtime.claim("username", "bob").await.unwrap().unwrap();
    let taken = world.tallies.ask("b", take()).await.unwrap_err();
    let expected = Error::ClaimTaken { stream: stream("b"), claim: claim.clone(), holder: Box::new(held.clone()) };
    assert_eq!(taken, expected);
    assert_eq!(taken.to_string(), "tally/b cannot have the claim username/bob: tally/a holds it");
    assert!(!taken.is_retry_safe() && taken.is_surely_not_stored());
    for change in [
        (|decision: Decision<Tally, ()>| decision.release("username", "bob")) as fn(_) -> _,
        |decision| decision.confirm("username", "bob"),
        |decision| decision.move_claim("username", "bob", stream("c")),
    ] {
        let not_held = world.tallies.ask("b", also(change)).await.unwrap_err();
        let holder = Some(Box::new(held.clone()));
        assert_eq!(not_held, Error::ClaimNotHeld { stream: stream("b"), claim: claim.clone(), holder });
        assert_eq!(not_held.to_string(), "tally/b does not hold the claim username/bob: tally/a does");
    }
    let nobody = world.tallies.ask("b", also(|decision| decision.release("username", "rob"))).await.unwrap_err();
    assert_eq!(nobody.to_string(), "tally/b does not hold the claim username/rob");
    world.end().await;
}

/// Two that decide at the same moment, before either is durable: the journal's order decides. Who comes second is refused
/// with nothing stored, and its aggregate goes on.
#[tokio::test(start_paused = true)]
async fn race_is_decided_by_the_journal() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    warm(&world, &["a", "b", "c"]).await;
    let first = tokio::spawn(world.tallies.ask("a", register("bob")));
    settle().await;
    let second = tokio::spawn(world.tallies.ask("b", register("bob")));
    let third = tokio::spawn(world.tallies.ask("c", also(|decision| decision.claim("username", "bob"))));
    settle().await;
    assert_eq!(valve.held(), 3, "nobody waits for the others to decide");
    valve.open();
    assert_eq!(first.await.unwrap(), Ok(Seen::at(1, 1)));
    assert_eq!(second.await.unwrap(), Err(Error::Rejected(REFUSED)));
    assert_eq!(third.await.unwrap().unwrap_err().kind(), ErrorKind::ClaimTaken);
    for id in ["b", "c"] {
        assert_eq!(world.tallies.ask(id, Add(5)).await, Ok(Seen::at(1, 5)));
    }
    world.end().await;
}

/// The fence: what follows a decision with claims is decided when that one's outcome is known, and does not fall with it.
#[tokio::test(start_paused = true)]
async fn nothing_is_decided_on_top_of_a_claim_that_may_be_refused() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    warm(&world, &["a", "b"]).await;
    let winner = tokio::spawn(world.tallies.ask("a", register("bob")));
    settle().await;
    let loser = tokio::spawn(world.tallies.ask("b", register("bob")));
    let followers: Vec<_> = (0..3).map(|_| tokio::spawn(world.tallies.ask("b", Add(5)))).collect();
    settle().await;
    assert_eq!(valve.held(), 2, "the followers are not decided yet");
    valve.open();
    winner.await.unwrap().unwrap();
    assert_eq!(loser.await.unwrap(), Err(Error::Rejected(REFUSED)));
    for (follower, count) in followers.into_iter().zip(1..) {
        assert_eq!(follower.await.unwrap(), Ok(Seen::at(count, 5 * count)));
    }
    world.end().await;
}

/// What was decided before the claim is not touched by its refusal.
#[tokio::test(start_paused = true)]
async fn refusal_leaves_what_was_before_it() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    warm(&world, &["a", "b"]).await;
    let winner = tokio::spawn(world.tallies.ask("a", register("bob")));
    settle().await;
    let earlier = tokio::spawn(world.tallies.ask("b", Add(5)));
    let loser = tokio::spawn(world.tallies.ask("b", register("bob")));
    settle().await;
    valve.open();
    winner.await.unwrap().unwrap();
    assert_eq!(earlier.await.unwrap(), Ok(Seen::at(1, 5)));
    assert_eq!(loser.await.unwrap(), Err(Error::Rejected(REFUSED)));
    assert_eq!(world.tallies.read("b", |tally| tally.sum).await, Ok(5));
    world.end().await;
}

/// P2: that a name is taken is not told before it durably is.
#[tokio::test(start_paused = true)]
async fn holder_is_shown_when_it_is_durable() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    warm(&world, &["a", "b"]).await;
    let first = tokio::spawn(world.tallies.ask("a", register("bob")));
    let second = tokio::spawn(world.tallies.ask("b", register("bob")));
    settle().await;
    assert_eq!(holder(&world, "bob").await, None);
    assert!(!first.is_finished() && !second.is_finished());
    valve.open();
    let answers: (Asked, Asked) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!(answers, (Ok(Seen::at(1, 1)), Err(Error::Rejected(REFUSED))));
    assert_eq!(holder(&world, "bob").await, Some("a".into()));
    world.end().await;
}

/// A claim given up, or handed on, is another's.
#[tokio::test(start_paused = true)]
async fn claim_is_released_and_moved() {
    let world = World::start().await;
    world.tallies.ask("a", register("bob")).await.unwrap();
    let rename = also(|decision| decision.release("username", "bob").claim("username", "rob"));
    assert_eq!(world.tallies.ask("a", rename).await, Ok(Seen::at(2, 2)));
    assert_eq!(world.tallies.ask("b", register("bob")).await, Ok(Seen::at(1, 1)));
    let hand_on = also(|decision| decision.move_claim("username", "rob", stream("c")));
    world.tallies.ask("a", hand_on).await.unwrap();
    assert_eq!((holder(&world, "bob").await, holder(&world, "rob").await), (Some("b".into()), Some("c".into())));
    world.tallies.ask("c", also(|decision| decision.release("username", "rob"))).await.unwrap();
    assert_eq!(holder(&world, "rob").await, None);
    world.end().await;
}

/// Words belong to the change before them: of two changes of one claim, the one that failed.
#[tokio::test(start_paused = true)]
async fn words_belong_to_their_change() {
    let world = World::start().await;
    world.tallies.ask("z", register("bob")).await.unwrap();
    let words = |sum| move |_| No { sum };
    let both = also(move |decision| {
        let decision = decision.claim("username", "rob").or_reject(words(1)).move_claim("username", "rob", stream("c"));
        decision.or_reject(words(2)).claim("username", "rob").or_reject(words(3))
    });
    assert_eq!(
        world.tallies.ask("a", both).await,
        Err(Error::Rejected(No { sum: 1 })),
        "the first taking has the words"
    );
    let release = also(move |decision| {
        decision.claim("username", "rob").or_reject(words(1)).release("username", "bob").or_reject(words(2))
    });
    assert_eq!(world.tallies.ask("a", release).await, Err(Error::Rejected(No { sum: 2 })));
    let taken = also(move |decision| {
        decision.release("username", "bob").or_reject(words(1)).claim("username", "bob").or_reject(words(2))
    });
    assert_eq!(world.tallies.ask("a", taken).await, Err(Error::Rejected(No { sum: 1 })));
    world.end().await;
}

/// A claim without an event is a commit, too.
#[tokio::test(start_paused = true)]
async fn claim_needs_no_event() {
    let world = World::start().await;
    let take = Do::new(|tally: &Tally, _: &_| {
        use onefold::Aggregate as _;
        let decision = tally.reply(|tally| Seen::at(tally.count, tally.sum)).claim("username", "bob");
        async move { Ok(decision) }.boxed()
    });
    let receipt = world.tallies.ask("a", take).with_receipt().await.unwrap();
    assert_eq!((receipt.reply, receipt.version.get(), receipt.commit.get()), (Seen::at(0, 0), 0, 1));
    assert_eq!(holder(&world, "bob").await, Some("a".into()));
    world.end().await;
}

/// Claims are part of the log: they are there after a restart, and all of a namespace can be listed.
#[tokio::test(start_paused = true)]
async fn claims_survive_a_restart_and_are_listed() {
    let journal = MemoryJournal::new();
    let world = World::on(Arc::new(journal.clone()), Config::default()).await;
    for (id, name) in [("a", "bob"), ("b", "ada"), ("c", "eve")] {
        world.tallies.ask(id, register(name)).await.unwrap();
    }
    world.tallies.ask("d", also(|decision| decision.claim("seat", "1"))).await.unwrap();
    world.end().await;
    journal.reopen();
    let world = World::on(Arc::new(journal), Config::default()).await;
    assert_eq!(world.tallies.ask("z", register("ada")).await, Err(Error::Rejected(REFUSED)));
    let claims: Vec<_> = world.runtime.claims("username").try_collect().await.unwrap();
    let claims: Vec<_> = claims.iter().map(|(name, holder)| (name.value(), holder.stream.aggregate_id())).collect();
    assert_eq!(claims, [("ada", "b"), ("bob", "a"), ("eve", "c")]);
    assert_eq!(world.runtime.claims("nobody's").try_collect::<Vec<_>>().await, Ok(Vec::new()));
    world.end().await;
}

/// A claim that breaks the rules, or too many: a typed error, and nothing happened.
#[tokio::test(start_paused = true)]
async fn claims_are_checked() {
    let config = Config { limits: Limits { claims_per_commit_max: 2, ..Limits::default() }, ..Config::default() };
    let world = World::with(config).await;
    let empty = world.tallies.ask("a", also(|decision| decision.claim("username", ""))).await.unwrap_err();
    let error = InvalidClaim::EmptyValue;
    assert_eq!(empty, Error::InvalidClaim { stream: stream("a"), version: 0.into(), error });
    let said = world.runtime.claim("User", "bob").await.unwrap_err().to_string();
    assert_eq!(said, "a claim's namespace is 1 to 64 of a-z, 0-9, '_', '-' and '.': \"User\" is not");
    let three = also(|decision| decision.claim("n", "1").claim("n", "2").claim("n", "3"));
    let what = TooLarge::ClaimsPerCommit { actual: 3, limit: 2 };
    let too_many = Error::TooLarge { stream: stream("a"), version: 0.into(), what };
    assert_eq!(world.tallies.ask("a", three).await, Err(too_many));
    let bulk = ["1", "2", "3"].map(|value| also(move |decision| decision.claim("n", value)));
    let refused = world.tallies.ask_all("a", bulk).await.unwrap_err();
    assert_eq!((refused.index, refused.error.kind()), (Some(2), ErrorKind::TooLarge));
    assert_eq!(world.tallies.read("a", |tally| tally.count).await, Ok(0));
    world.end().await;
}

/// P5: the claims of a bulk land with all of it, or with nothing.
#[tokio::test(start_paused = true)]
async fn bulk_lands_with_its_claims_or_not_at_all() {
    let world = World::start().await;
    world.tallies.ask("z", register("eve")).await.unwrap();
    let refused = world.tallies.ask_all("a", ["ada", "bob", "eve"].map(register)).await.unwrap_err();
    assert_eq!((refused.index, refused.error), (Some(2), Error::Rejected(REFUSED)));
    assert_eq!((holder(&world, "ada").await, holder(&world, "bob").await), (None, None));
    let replies = world.tallies.ask_all("a", ["ada", "bob"].map(register)).await;
    assert_eq!(replies, Ok([Seen::at(1, 1), Seen::at(2, 2)]));
    // Each is decided with the claims of those before it in mind.
    let (release, take) = (also(|decision| decision.release("username", "ada")), register("ada"));
    assert_eq!(world.tallies.ask_all("a", [release, take]).await, Ok([Seen::at(3, 3), Seen::at(4, 4)]));
    assert_eq!((holder(&world, "ada").await, holder(&world, "bob").await), (Some("a".into()), Some("a".into())));
    world.end().await;
}

/// P6: should the words themselves panic, the caller is told, wherever that happens, and the aggregate goes on.
#[tokio::test(start_paused = true)]
async fn panic_in_the_words_is_told() {
    let (journal, valve) = SlowJournal::new();
    let world = World::on(Arc::new(journal), Config::default()).await;
    warm(&world, &["a", "b"]).await;
    let speechless = || also(|decision| decision.claim("username", "bob").or_reject(|_| panic!("no words")));
    let first = tokio::spawn(world.tallies.ask("a", register("bob")));
    settle().await;
    let raced = tokio::spawn(world.tallies.ask("b", speechless()));
    settle().await;
    valve.open();
    first.await.unwrap().unwrap();
    let panicked = || NotStoredReason::Panicked { stage: "or_reject", message: "no words".into() };
    assert_eq!(reason(raced.await.unwrap()), panicked());
    assert_eq!(reason(world.tallies.ask("b", speechless()).await), panicked());
    assert_eq!(world.tallies.ask("b", Add(5)).await, Ok(Seen::at(1, 5)));
    world.end().await;
}

/// P13: a journal that fails while claims are brought into memory, or stored, leaves nobody without an answer.
#[tokio::test(start_paused = true)]
async fn failing_journal_is_told() {
    let (world, faults) = World::faulty(Config::default()).await;
    faults.append(When::nth(1), AppendFault::FailBeforeWrite);
    let failed = reason(world.tallies.ask("a", register("bob")).await);
    assert!(matches!(failed, NotStoredReason::Unavailable { .. }), "{failed:?}");
    assert_eq!(holder(&world, "bob").await, None);
    faults.append(When::nth(1), AppendFault::FailAfterWrite);
    let unknown = world.tallies.ask("a", register("bob")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(holder(&world, "bob").await, Some("a".into()));
    world.end().await;
}

/// Many callers and few names: each name ends with exactly one holder, which is the one that was told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_registrations_leave_one_holder_each() {
    let world = World::start().await;
    let names: Vec<&'static str> = (0..50).map(|name| &*format!("name-{name}").leak()).collect();
    let asked = (0..1000).map(|user| {
        let (name, tallies) = (names[user % names.len()], world.tallies.clone());
        tokio::spawn(async move { (user, name, tallies.ask(format!("user-{user}"), register(name)).await) })
    });
    let mut winners = std::collections::BTreeMap::new();
    for answered in join_all(asked).await {
        let (user, name, answer) = answered.unwrap();
        match answer {
            Ok(_) => assert_eq!(winners.insert(name, format!("user-{user}")), None, "{name} was given twice"),
            Err(error) => assert_eq!(error, Error::Rejected(REFUSED)),
        }
    }
    assert_eq!(winners.len(), names.len());
    for (name, winner) in winners {
        assert_eq!(holder(&world, name).await, Some(winner));
    }
    world.end().await;
}

/// P17, P3: a command that its deadline took back claims nothing.
#[tokio::test(start_paused = true)]
async fn late_command_claims_nothing() {
    let world = World::start().await;
    let late = Do::new(|tally: &Tally, _: &_| {
        let decision = tally.emit_one().claim("username", "bob").reply(|tally| Seen::at(tally.count, tally.sum));
        async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(decision)
        }
        .boxed()
    });
    let answer = world.tallies.ask("a", late).deadline(Duration::from_secs(1)).await;
    assert_eq!(reason(answer), NotStoredReason::DeadlinePassed);
    assert_eq!(holder(&world, "bob").await, None);
    world.end().await;
}
