//! Many writers on a failing journal: the history checker finds nothing wrong, and with a journal that lies it does.

use std::sync::Arc;

use onefold_core::journal::{AppendError, Journal, MemoryJournal};
use onefold_core::{Metadata, StreamId};
use onefold_testkit::faults::{AppendFault, FaultyJournal, Gate, When};
use onefold_testkit::history::{History, Invocation, Violation, operation_in_metadata};
use onefold_testkit::{TestEvent, part, prepare, seeds, submit};
use tokio::task::JoinSet;

const WRITERS: u64 = 8;
const STREAMS: u64 = 3;

/// A small generator of its own (splitmix64): the same numbers everywhere, for ever.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Opens, appends and records, as often as told.
async fn write(journal: Arc<dyn Journal>, history: History, mut seed: u64, rounds: u64) {
    for _ in 0..rounds {
        let stream = StreamId::new("test", format!("s{}", random(&mut seed) % STREAMS)).unwrap();
        let operation = history.begin(&stream);
        let opened = journal.open(&stream).await.unwrap();
        let count = random(&mut seed) % 4;
        let mut metadata = Metadata::default();
        operation.mark(&mut metadata.entries);
        let (append, outcome) = prepare([part(&opened.session, opened.head, &TestEvent::series(0..count))], &metadata);
        submit(&journal, append).await;
        record(operation, outcome.await.map(|_| opened.head.get() + count), count);
        tokio::task::yield_now().await;
    }
}

fn record(operation: Invocation, outcome: Result<u64, AppendError>, count: u64) {
    match outcome {
        Ok(version) => operation.stored(version.into(), count),
        Err(error) if error.surely_not_stored() => operation.not_stored(),
        Err(_) => operation.unknown(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_on_a_failing_journal_is_linearizable() {
    for seed in seeds::from_env_or(&[1, 2, 3, 4]) {
        let _guard = seeds::announce(seed);
        let mut state = seed;
        let faulty = FaultyJournal::new(Arc::new(MemoryJournal::new()));
        let (faults, never) = (faulty.faults(), Gate::closed());
        let journal: Arc<dyn Journal> = Arc::new(faulty);
        for _ in 0..60 {
            let fault = match random(&mut state) % 3 {
                0 => AppendFault::FailBeforeWrite,
                1 => AppendFault::FailAfterWrite,
                _ => AppendFault::LoseWrite,
            };
            faults.append(When::nth(1 + random(&mut state) % 5), fault);
        }
        let (history, mut writers) = (History::new(), JoinSet::new());
        for _ in 0..WRITERS {
            writers.spawn(write(journal.clone(), history.clone(), random(&mut state), 100));
        }
        writers.join_all().await;
        // The last answers never come.
        faults.append(When::always(), AppendFault::HoldAnswer(never));
        let mut hanging = JoinSet::new();
        for _ in 0..WRITERS {
            hanging.spawn(write(journal.clone(), history.clone(), random(&mut state), 1));
        }
        while faults.appends_under_way() == 0 {
            tokio::task::yield_now().await;
        }
        hanging.shutdown().await;
        let report = history.check_journal(&journal, |part, _| operation_in_metadata(part)).await;
        let report = report.unwrap_or_else(|violation| panic!("{violation}"));
        assert!(report.stored > 0 && report.not_stored > 0 && report.unknown > 0, "{report:?}");
        assert!(report.unknown_stored > 0, "{report:?}");
    }
}

/// A journal that stores what it says it did not.
#[tokio::test]
async fn lie_about_what_is_stored_is_caught() {
    let (journal, history) = (Arc::new(MemoryJournal::new()) as Arc<dyn Journal>, History::new());
    let stream = StreamId::new("test", "a").unwrap();
    let session = journal.open(&stream).await.unwrap().session;
    let operation = history.begin(&stream);
    let mut metadata = Metadata::default();
    operation.mark(&mut metadata.entries);
    let (append, outcome) = prepare([part(&session, 0, &TestEvent::series([1]))], &metadata);
    submit(&journal, append).await;
    assert!(outcome.await.is_ok());
    record(operation, Err(AppendError::ShuttingDown), 1);
    let violation = history.check_journal(&journal, |part, _| operation_in_metadata(part)).await;
    assert!(matches!(violation, Err(Violation::Resurrected { .. })), "{violation:?}");
}
