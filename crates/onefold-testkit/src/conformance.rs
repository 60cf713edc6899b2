//! The suite that every journal passes: the contract of [`Journal`] as named cases.
//!
//! A store's author writes a [`Subject`], that is how to make, open and reopen the store, and one line:
//!
//! ```
//! use std::sync::Arc;
//! use onefold_core::journal::{Journal, MemoryJournal};
//! use onefold_testkit::conformance::{How, Subject};
//!
//! struct Memory(MemoryJournal);
//!
//! impl Subject for Memory {
//!     async fn open(&self) -> Arc<dyn Journal> {
//!         Arc::new(self.0.clone())
//!     }
//!     async fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> Arc<dyn Journal> {
//!         if let How::CleanClose = how { journal.close().await.unwrap() }
//!         self.0.reopen();
//!         journal
//!     }
//! }
//!
//! // One #[test] per case, in the module it stands in:
//! onefold_testkit::conformance!(|| Memory(MemoryJournal::new()));
//! # fn main() { onefold_testkit::conformance::run("replays_all", || Memory(MemoryJournal::new())) }
//! ```
//!
//! Each case says in its documentation which of the contract's MUSTs it checks, in square brackets. The cases include
//! those of Akka's journal TCK; but for one: "deleting events does not reset the sequence number" has no counterpart,
//! because a journal deletes nothing yet. It comes with archiving; until then the feed answers no
//! [`Removed`](onefold_core::journal::FeedItem::Removed), which every read of the feed here checks. What needs a fault
//! inside the store (MUST 13 and 14: damage, poison) is for the store's own tests: the suite has no means to cause it.

mod appending;
mod atomicity;
mod claims;
mod closing;
mod feed;
mod fixture;
mod holds;
mod keyed;
mod listing;
mod numbering;
mod racing;
mod reading;
mod restarting;
mod sessions;

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use onefold_core::journal::Journal;

use self::fixture::Fixture;

/// A store under test. Each case makes one of its own, on a fresh directory or database, and drops it at its end.
pub trait Subject: Send + Sync + 'static {
    /// How long one case may take before it counts as hung.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// Whether it has claims and idempotency records. A journal without them is held to saying so, in place of the cases
    /// about them.
    const HAS_EXTRAS: bool = true;

    /// Opens the journal for the first time; empty.
    fn open(&self) -> impl Future<Output = Arc<dyn Journal>> + Send;

    /// Stops the journal, and opens what it left behind. `journal` is the suite's only handle.
    fn reopen(&self, journal: Arc<dyn Journal>, how: How) -> impl Future<Output = Arc<dyn Journal>> + Send;
}

/// How a journal stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By [`Journal::close`], awaited.
    CleanClose,
    /// As when the process is killed: without a word, and without the courtesies of a destructor. What comes closest is
    /// the subject's choice: opening a copy of the files as they lie at this moment is good.
    Kill,
}

/// Runs one case, by its name.
///
/// # Panics
///
/// When the journal breaks the contract, when it hangs, or when no case is called that.
pub fn run<S: Subject>(case: &str, factory: impl Fn() -> S + Send + Sync + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a tokio runtime");
    let name = case.to_owned();
    let task = runtime.spawn(async move { dispatch(&name, Fixture::new(Arc::new(factory)).await).await });
    let outcome = runtime.block_on(async { tokio::time::timeout(S::PATIENCE, task).await });
    // A journal that hangs must not hang the test as well.
    runtime.shutdown_background();
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(failed)) => resume_unwind(failed.into_panic()),
        Err(_) => panic!("{case}: the journal hangs, nothing after {:?}", S::PATIENCE),
    }
}

/// Runs every case, one after the other. [`conformance!`](crate::conformance!) names each failure by a test of its own;
/// this is for where tests cannot be generated.
///
/// # Panics
///
/// At the first case that fails.
pub fn run_all<S: Subject>(factory: impl Fn() -> S + Send + Sync + 'static) {
    let factory = Arc::new(factory);
    for case in CASES {
        let factory = factory.clone();
        run(case, move || factory());
    }
}

/// Makes a `#[test]` of each case. Takes what makes a fresh [`Subject`](crate::conformance::Subject): a function or a
/// closure that captures nothing. The tests stand in a module `conformance`, so write it at most once per module.
#[macro_export]
macro_rules! conformance {
    ($factory:expr) => {
        $crate::__conformance_cases! { [$crate::__conformance_tests] { $factory } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ({ $factory:expr } $($module:ident { $($case:ident)* })*) => {
        mod conformance {
            #[expect(unused_imports, reason = "the factory may name things of the module around")]
            use super::*;
            $(mod $module {
                use super::*;
                $(#[test]
                fn $case() {
                    $crate::conformance::run(stringify!($case), $factory);
                })*
            })*
        }
    };
}

/// The list of all cases, by the file they are in: the one place to add a case to.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ([$($callback:tt)*] $argument:tt) => {
        $($callback)*! { $argument
            appending {
                numbers_begin_at_one
                any_version_is_always_accepted
                no_stream_is_accepted_once
                wrong_version_is_a_conflict
                rejected_append_stores_nothing
                acknowledged_in_order_of_submission
                acknowledged_exactly_once
                acknowledged_is_visible_at_once
                barrier_takes_no_number
                barrier_is_acknowledged_after_what_came_before
                full_queue_hands_the_append_back
            }
            sessions {
                conflict_ends_the_session
                failed_barrier_ends_the_session
                newer_open_ends_the_older_session
                open_waits_for_older_appends
                sessions_of_other_streams_go_on
                foreign_session_is_superseded
                session_does_not_survive_a_restart
                dropped_open_leaves_nothing_behind
            }
            racing {
                one_winner_per_version_with_many_sessions
                one_winner_per_version_with_one_session
                commits_never_interleave
                numbers_are_dense_under_concurrency
                racing_commits_over_several_streams_are_whole
            }
            atomicity {
                several_events_are_one_commit
                several_streams_are_one_commit
                part_without_events_is_only_checked
                one_conflicting_part_fails_all
                one_superseded_part_fails_all
                failed_commit_ends_all_its_sessions
                largest_events_and_commits_fit
            }
            numbering {
                failures_leave_no_gap
                streams_number_apart
                durable_position_follows_the_acknowledgements
                durable_position_is_never_behind_the_acknowledgements
                durable_position_is_never_ahead_of_reads
            }
            reading {
                replays_all
                replays_from_a_lower_bound
                unknown_stream_is_empty
                after_beyond_the_head_is_empty
                reads_can_be_dropped_early
                reading_while_appending
                payloads_and_metadata_come_back
                long_stream_comes_in_bounded_chunks
                large_events_come_in_bounded_chunks
            }
            feed {
                feed_from_the_start
                feed_from_every_checkpoint
                feed_beyond_the_end_is_empty
                feed_while_appending
                feed_can_be_dropped_early
            }
            listing {
                lists_by_type_in_order
                lists_in_pages
                lists_only_streams_with_events
                names_of_every_kind_are_kept_apart
            }
            restarting {
                empty_journal_reopens
                numbers_go_on_after_every_restart
                acknowledged_survives_a_clean_close
                acknowledged_survives_a_kill
                in_flight_at_a_kill_is_whole_or_not
                barriers_and_failures_survive_as_nothing
                large_commits_survive
            }
            claims {
                a_claim_has_one_holder
                a_failed_claim_stores_nothing
                only_the_holder_gives_up_or_hands_on
                a_rename_is_one_commit
                changes_of_a_commit_are_made_in_order
                claims_are_decided_in_order_of_submission
                racing_takes_have_one_winner
                claims_are_visible_when_acknowledged
                claims_are_listed_in_pages
                claims_of_every_kind_are_kept_apart
                the_most_claims_of_a_commit_fit
                a_foreign_pin_is_superseded
                claims_survive_restarts
                claims_in_flight_at_a_kill_agree_with_the_log
            }
            holds {
                a_hold_ends_only_by_a_commit
                a_confirmed_hold_stays
                a_hold_can_be_prolonged
                expiry_means_one_hold
                holds_survive_restarts
            }
            keyed {
                a_commit_without_events_has_a_number
                a_commit_without_events_is_checked
                idempotency_records_come_back
                commits_without_events_belong_to_their_streams
                a_stream_may_have_commits_and_no_events
                the_feed_shows_commits_without_events
                many_commits_without_events_come_in_bounded_chunks
                commits_without_events_survive_restarts
            }
            closing {
                close_decides_what_was_accepted
                closed_journal_refuses_appends
                closing_twice_is_closing_once
                close_in_the_middle_of_appends
            }
        }
    };
}

/// Finds a case by its name.
macro_rules! dispatch_by_name {
    ({ $name:ident } $($module:ident { $($case:ident)* })*) => {
        /// The names of all cases.
        pub const CASES: &[&str] = &[$($(stringify!($case)),*),*];

        async fn $name<S: Subject>(case: &str, fixture: Fixture<S>) {
            match case {
                $($(stringify!($case) => match stringify!($module) {
                    "claims" | "holds" | "keyed" if !S::HAS_EXTRAS => Box::pin(claims::are_unsupported(fixture)).await,
                    _ => Box::pin($module::$case(fixture)).await,
                },)*)*
                _ => panic!("no case is called {case:?}"),
            }
        }
    };
}
__conformance_cases! { [dispatch_by_name] { dispatch } }
