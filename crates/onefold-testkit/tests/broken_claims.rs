//! The suite's cases about claims and commits without events can fail: each of these journals is wrong in one way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, future};
use onefold_core::journal::{
    Acknowledgement, Append, ClaimAction, ClaimPage, CloseError, DurablePosition, EncodedEvents, FeedItem, Journal,
    JournalHealth, KeyRecord, MemoryJournal, OpenError, OpenedSession, PinState, PinnedClaim, ReadError, StreamChunk,
    StreamPage,
};
use onefold_core::{Checkpoint, ClaimName, CommitNumber, ExpectedVersion, Holder, StreamId, StreamVersion, Timestamp};
use onefold_testkit::conformance::{self, How, Subject};
use parking_lot::Mutex;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    IgnoresClaims,
    CommitsClaimsApart,
    ReordersChanges,
    LetsTheClockEndHolds,
    TakesForGood,
    TakesWhatWasToBeConfirmed,
    ExpiresWhoeverHolds,
    PinsStand,
    AcceptsForeignPins,
    LooksNothingUp,
    ListsClaimsWithoutLimit,
    ForgetsClaimsAtAKill,
    LosesKeys,
    SwapsReplies,
    StreamsSkipCommitsWithoutEvents,
    StreamsBeginWithTheFirstEvent,
    StreamsRepeatCommitsWithoutEvents,
    FeedSkipsCommitsWithoutEvents,
    OpensWithoutALastCommit,
    ListsStreamsWithoutEvents,
}

use Defect as D;

struct Broken {
    inner: MemoryJournal,
    defect: Defect,
    killed: Mutex<bool>,
}

/// A pin around one of the journal behind.
struct Pin {
    inner: PinnedClaim,
    stands: Option<Option<Holder>>,
}

impl PinState for Pin {
    fn holder(&self) -> Option<Holder> {
        self.stands.clone().unwrap_or_else(|| self.inner.holder())
    }
}

impl Broken {
    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn pin(&self, name: ClaimName) -> PinnedClaim {
        let pins = self.inner.pin_claims(vec![name]).now_or_never().expect("memory answers at once");
        pins.expect("memory pins any claim").remove(0)
    }

    fn change(&self, change: &mut onefold_core::journal::ClaimChange) {
        let far = Timestamp::from_micros(u64::MAX);
        let inner = change.claim.state::<Pin>().map(|pin| pin.inner.clone());
        change.claim = match inner {
            Some(inner) if !self.is(D::AcceptsForeignPins) => inner,
            _ => self.pin(change.claim.name().clone()),
        };
        match &mut change.action {
            ClaimAction::Take { as_of, .. } if self.is(D::LetsTheClockEndHolds) => *as_of = Some(far),
            ClaimAction::Take { expires_at, .. } if self.is(D::TakesForGood) => *expires_at = None,
            ClaimAction::Confirm { expires_at } if self.is(D::TakesWhatWasToBeConfirmed) => {
                change.action = ClaimAction::Take { expires_at: *expires_at, as_of: Some(far) };
            }
            ClaimAction::Expire { since, as_of } if self.is(D::ExpiresWhoeverHolds) => {
                let holder = self.inner.claim(change.claim.name().clone()).now_or_never();
                let holder = holder.expect("memory answers at once").expect("memory looks up any claim");
                (*since, *as_of) = (holder.map_or(*since, |holder| holder.since), far);
            }
            _ => {}
        }
    }
}

fn with_another_reply(events: &EncodedEvents) -> EncodedEvents {
    let Some(record) = events.key() else { return events.clone() };
    let (key, fingerprint) = (record.key().to_string(), record.fingerprint());
    let other = KeyRecord::new(&key, fingerprint, record.outcome(), record.codec(), &[0; 8]);
    events.clone().with_key(&other.expect("a key that was one before"))
}

impl Journal for Broken {
    fn open(&self, stream: &StreamId) -> BoxFuture<'static, Result<OpenedSession, OpenError>> {
        let opened = self.inner.open(stream).now_or_never().expect("memory answers at once");
        let none = self.is(D::OpensWithoutALastCommit);
        let opened = opened.map(|o| if none { OpenedSession { last_commit: CommitNumber::NONE, ..o } } else { o });
        future::ready(opened).boxed()
    }

    fn append(&self, mut append: Append) -> Result<(), Append> {
        for part in &mut append.parts {
            part.claims.iter_mut().for_each(|change| self.change(change));
            match self.defect {
                D::IgnoresClaims => part.claims.clear(),
                D::ReordersChanges => part.claims.reverse(),
                D::LosesKeys => part.events = std::mem::take(&mut part.events).without_key(),
                D::SwapsReplies => part.events = with_another_reply(&part.events),
                _ => {}
            }
        }
        if self.is(D::CommitsClaimsApart) {
            for part in &mut append.parts {
                let claims = std::mem::take(&mut part.claims);
                let session = part.session.clone();
                let alone = onefold_testkit::part(&session, ExpectedVersion::Any, &[]);
                let alone = onefold_testkit::with_claims(alone, claims);
                self.inner.append(Append::new(alone, append.metadata.clone(), Acknowledgement::from_fn(drop)))?;
            }
        }
        self.inner.append(append)
    }

    fn capacity(&self) -> BoxFuture<'static, ()> {
        self.inner.capacity()
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        after: StreamVersion,
    ) -> BoxStream<'static, Result<StreamChunk, ReadError>> {
        let chunks = self.inner.read_stream(stream, after);
        let only = move |keep: fn(&onefold_core::journal::RecordedPart, StreamVersion) -> bool| {
            chunks.map(move |chunk| {
                let mut chunk = chunk?;
                chunk.parts.retain(|part| keep(part, after));
                Ok(chunk)
            })
        };
        match self.defect {
            D::StreamsSkipCommitsWithoutEvents => only(|part, _| part.event_count > 0).boxed(),
            D::StreamsBeginWithTheFirstEvent => {
                only(|part, after| part.event_count > 0 || part.last_version() > after).boxed()
            }
            D::StreamsRepeatCommitsWithoutEvents => {
                // Goes on from the last version, chunk by chunk.
                let read = (self.inner.clone(), stream.clone(), after, 0);
                futures_util::stream::unfold(read, |(inner, stream, after, round)| async move {
                    let chunk = inner.read_stream(&stream, after).next().await.filter(|_| round < 3)?;
                    let after = chunk.as_ref().ok()?.parts.last()?.last_version();
                    Some((chunk, (inner, stream, after, round + 1)))
                })
                .boxed()
            }
            _ => self.inner.read_stream(stream, after),
        }
    }

    fn read_all(&self, after: &Checkpoint) -> BoxStream<'static, Result<FeedItem, ReadError>> {
        let items = self.inner.read_all(after);
        match self.defect {
            D::FeedSkipsCommitsWithoutEvents => {
                let has_events = |item: &Result<FeedItem, ReadError>| match item {
                    Ok(FeedItem::Commit(commit)) => commit.parts.iter().any(|(_, part)| part.event_count > 0),
                    _ => true,
                };
                items.filter(move |item| future::ready(has_events(item))).boxed()
            }
            _ => items,
        }
    }

    fn streams(&self, page: StreamPage) -> BoxFuture<'static, Result<Vec<StreamId>, ReadError>> {
        match self.defect {
            D::ListsStreamsWithoutEvents => {
                let stream = StreamId::new(&page.aggregate_type, "a").expect("a valid name");
                future::ready(Ok(vec![stream])).boxed()
            }
            _ => self.inner.streams(page),
        }
    }

    fn pin_claims(&self, names: Vec<ClaimName>) -> BoxFuture<'static, Result<Vec<PinnedClaim>, ReadError>> {
        let pins = names.into_iter().map(|name| {
            let inner = self.pin(name.clone());
            let stands = self.is(D::PinsStand).then(|| inner.holder());
            PinnedClaim::new(name, Pin { inner, stands })
        });
        future::ready(Ok(pins.collect())).boxed()
    }

    fn claim(&self, name: ClaimName) -> BoxFuture<'static, Result<Option<Holder>, ReadError>> {
        match self.defect {
            D::LooksNothingUp => future::ready(Ok(None)).boxed(),
            _ => self.inner.claim(name),
        }
    }

    fn claims(&self, mut page: ClaimPage) -> BoxFuture<'static, Result<Vec<(ClaimName, Holder)>, ReadError>> {
        match self.defect {
            D::ListsClaimsWithoutLimit => page.limit = usize::MAX,
            D::ForgetsClaimsAtAKill if *self.killed.lock() => page.limit = 0,
            _ => {}
        }
        self.inner.claims(page)
    }

    fn durable(&self) -> watch::Receiver<DurablePosition> {
        self.inner.durable()
    }

    fn health(&self) -> JournalHealth {
        self.inner.health()
    }

    fn close(&self) -> BoxFuture<'static, Result<(), CloseError>> {
        self.inner.close()
    }
}

struct BrokenSubject(Arc<Broken>);

impl Subject for BrokenSubject {
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn open(&self) -> Arc<dyn Journal> {
        self.0.clone()
    }

    async fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> Arc<dyn Journal> {
        if how == How::CleanClose {
            journal.close().await.expect("memory closes cleanly");
        }
        *self.0.killed.lock() |= how == How::Kill;
        self.0.inner.reopen();
        journal
    }
}

macro_rules! caught {
    ($($defect:ident by $case:ident)*) => {
        $(#[test]
        #[expect(non_snake_case, reason = "a test is called as its defect")]
        fn $defect() {
            let broken = || Broken { inner: MemoryJournal::new(), defect: Defect::$defect, killed: Mutex::default() };
            let factory = move || BrokenSubject(Arc::new(broken()));
            let run = catch_unwind(AssertUnwindSafe(|| conformance::run(stringify!($case), factory)));
            assert!(run.is_err(), "{:?} was not caught", Defect::$defect);
        })*
    };
}

caught! {
    IgnoresClaims by a_claim_has_one_holder
    CommitsClaimsApart by a_failed_claim_stores_nothing
    ReordersChanges by changes_of_a_commit_are_made_in_order
    LetsTheClockEndHolds by a_hold_ends_only_by_a_commit
    TakesForGood by a_hold_can_be_prolonged
    TakesWhatWasToBeConfirmed by a_confirmed_hold_stays
    ExpiresWhoeverHolds by expiry_means_one_hold
    PinsStand by claims_are_visible_when_acknowledged
    AcceptsForeignPins by a_foreign_pin_is_superseded
    LooksNothingUp by claims_of_every_kind_are_kept_apart
    ListsClaimsWithoutLimit by claims_are_listed_in_pages
    ForgetsClaimsAtAKill by claims_survive_restarts
    LosesKeys by a_commit_without_events_has_a_number
    SwapsReplies by idempotency_records_come_back
    StreamsSkipCommitsWithoutEvents by commits_without_events_belong_to_their_streams
    StreamsBeginWithTheFirstEvent by a_stream_may_have_commits_and_no_events
    StreamsRepeatCommitsWithoutEvents by many_commits_without_events_come_in_bounded_chunks
    FeedSkipsCommitsWithoutEvents by the_feed_shows_commits_without_events
    OpensWithoutALastCommit by commits_without_events_survive_restarts
    ListsStreamsWithoutEvents by a_stream_may_have_commits_and_no_events
}

/// The wrapper itself is none of the defects: a pin around a pin passes.
#[test]
fn the_wrapper_is_content_where_nothing_is_wrong() {
    for case in ["claims_survive_restarts", "claims_are_decided_in_order_of_submission", "a_hold_can_be_prolonged"] {
        let inner = MemoryJournal::new;
        let broken = move || Broken { inner: inner(), defect: Defect::LosesKeys, killed: Mutex::default() };
        conformance::run(case, move || BrokenSubject(Arc::new(broken())));
    }
}
