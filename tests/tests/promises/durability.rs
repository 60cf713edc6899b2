//! P1, P3, P4, P5, P11 on the sled journal: what was acknowledged is there after a restart, however the end came.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use onefold::journal::Journal;
use onefold::{Aggregate, Config, OpenJournalError, SledJournal};
use onefold_testkit::history::{History, operation_in_metadata};
use onefold_testkit::seeds;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::storm::{Weather, call};
use crate::support::{Add, Random, Seen, Spend, Tally, World};

const AGGREGATES: u64 = 8;

/// A journal's directory in a temporary one.
fn directory() -> (TempDir, PathBuf) {
    let temporary = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = temporary.path().join("journal");
    (temporary, path)
}

/// Small segments, so that little data makes much happen.
fn open(path: &Path) -> Result<SledJournal, OpenJournalError> {
    SledJournal::builder(path).segment_bytes(64 << 10).checkpoint_bytes(256 << 10).free_space_reserve_bytes(0).open()
}

/// Opens what this process had open before. A child that another test starts in that moment shares all file locks until it
/// has become another program, so what was closed may be locked a little longer.
async fn reopen(path: &Path) -> SledJournal {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        match open(path) {
            Err(error) if is_locked(&error) && Instant::now() < patience => {
                sleep(Duration::from_millis(5)).await;
            }
            opened => return opened.unwrap_or_else(|error| panic!("{error}")),
        }
    }
}

/// The directory, or sled's own file in it.
fn is_locked(error: &OpenJournalError) -> bool {
    matches!(error, OpenJournalError::Locked { .. }) || error.to_string().contains("could not acquire lock")
}

async fn world(path: &Path) -> World {
    World::on(Arc::new(reopen(path).await), Config { resident_max: 3, ..Config::default() }).await
}

/// P1: each acknowledgement before a clean end is there after it, and numbering goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_events_are_there_after_every_clean_restart() {
    let (_temporary, path) = directory();
    for round in 0..4u64 {
        let world = world(&path).await;
        for id in 0..AGGREGATES {
            let version = round + 1;
            assert_eq!(world.tallies.ask(format!("t{id}"), Add(id)).await, Ok(Seen::at(version, version * id)));
        }
        let ids: Vec<_> = world.tallies.ids().try_collect().await.unwrap();
        assert_eq!(ids.len() as u64, AGGREGATES);
        world.end().await;
    }
}

/// P1: dropped without a shutdown, it is as safe as a kill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_events_are_there_after_a_drop() {
    let (_temporary, path) = directory();
    for round in 1..=3u64 {
        let World { runtime, tallies, journal } = world(&path).await;
        assert_eq!(tallies.ask("a", Add(1)).await, Ok(Seen::at(round, round)));
        drop(runtime);
        // The journal itself is closed, so that the directory is free for the next.
        journal.close().await.unwrap();
    }
}

/// P1, P2: rejections and reads work on what was recovered, before anything is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovered_state_decides_from_the_first_command_on() {
    let (_temporary, path) = directory();
    let first = world(&path).await;
    first.tallies.ask("a", Add(5)).await.unwrap();
    first.end().await;
    let second = world(&path).await;
    assert_eq!(second.tallies.ask("a", Spend(6)).await.unwrap_err().rejection().unwrap().sum, 5);
    assert_eq!(second.tallies.read("a", |tally| tally.sum).await, Ok(5));
    assert_eq!(second.tallies.ask("a", Spend(5)).await, Ok(Seen::at(2, 0)));
    second.end().await;
}

/// P4: while one journal has the directory no other gets it, and once it is closed the next does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_has_one_owner_at_a_time() {
    let (_temporary, path) = directory();
    let owner = world(&path).await;
    owner.tallies.ask("a", Add(1)).await.unwrap();
    let refused = open(&path).unwrap_err();
    assert!(matches!(refused, OpenJournalError::Locked { .. }), "{refused}");
    assert_eq!(owner.tallies.ask("a", Add(1)).await, Ok(Seen::at(2, 2)), "the refusal harmed nobody");
    owner.end().await;
    reopen(&path).await.close().await.unwrap();
}

/// P3–P7 under the history checker, over several lives of one journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storm_over_several_lives_loses_and_doubles_nothing() {
    for seed in seeds::from_env_or(&[51]) {
        let _guard = seeds::announce(seed);
        let (_temporary, path) = directory();
        let (mut random, history) = (Random::new(seed), History::new());
        let weather = Weather { rounds: 15, faults: 0, wildness: 13 };
        for life in 0..3 {
            let World { runtime, tallies, journal } = world(&path).await;
            let mut callers = JoinSet::new();
            for _ in 0..32 {
                callers.spawn(call(tallies.clone(), history.clone(), random.fork(), weather));
            }
            if life == 1 {
                sleep(Duration::from_millis(20)).await;
                drop(runtime);
                callers.join_all().await;
                journal.close().await.unwrap();
            } else {
                callers.join_all().await;
                let report = runtime.shutdown(Duration::from_secs(10)).await;
                assert!(report.is_clean(), "{report:?}");
            }
        }
        let journal: Arc<dyn Journal> = Arc::new(reopen(&path).await);
        let report = history.check_journal(&journal, |part, _| operation_in_metadata(part)).await;
        let report = report.unwrap_or_else(|violation| panic!("{violation}"));
        assert!(report.stored > 0 && report.reads > 0, "{report:?}");
        journal.close().await.unwrap();
    }
}

/// Not a test: the process to be killed. It prints every acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test that kills it"]
async fn victim() {
    let Ok(path) = std::env::var("ONEFOLD_VICTIM") else { return };
    let world = world(Path::new(&path)).await;
    let mut callers = JoinSet::new();
    for id in 0..AGGREGATES {
        let tallies = world.tallies.clone();
        callers.spawn(async move {
            loop {
                let seen = tallies.ask(format!("t{id}"), Add(1)).await.unwrap();
                println!("acknowledged {id} {}", seen.version);
            }
        });
    }
    callers.join_all().await;
}

/// Starts the victim and kills it after so many acknowledgements; returns the last version told per aggregate.
fn kill_one(path: &Path, after: usize) -> Vec<u64> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["durability::victim", "--exact", "--ignored", "--nocapture"])
        .env("ONEFOLD_VICTIM", path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut told = vec![0; usize::try_from(AGGREGATES).unwrap()];
    let mut count = 0;
    for line in lines {
        // The harness's own words may stand before the first one.
        let Some((_, acknowledged)) = line.split_once("acknowledged ") else { continue };
        let mut numbers = acknowledged.split(' ').map_while(|number| number.parse::<u64>().ok());
        if let (Some(id), Some(version)) = (numbers.next(), numbers.next()) {
            let last = &mut told[usize::try_from(id).unwrap()];
            *last = version.max(*last);
            count += 1;
        }
        if count == after {
            // SIGKILL; what it printed before is still read.
            victim.kill().unwrap();
        }
    }
    victim.wait().unwrap();
    told
}

/// P1, P3, P5, P11: killed again and again in the middle of its work, the journal has everything that was acknowledged, in
/// order, without a gap, and the state is what its events make.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_command_survives_kill() {
    let (_temporary, path) = directory();
    for after in [1, 150, 700] {
        let told = kill_one(&path, after);
        assert!(told.iter().sum::<u64>() > 0, "the victim did nothing");
        let world = world(&path).await;
        for (id, told) in told.into_iter().enumerate() {
            let id = format!("t{id}");
            let events: Vec<_> = world.tallies.events(&id, 0).unwrap().try_collect().await.unwrap();
            assert!(events.len() as u64 >= told, "{id}: {} of {told} acknowledged are there", events.len());
            assert!(events.iter().zip(1..).all(|(event, version)| event.version.get() == version), "{id}");
            let mut replayed = Tally::default();
            events.iter().for_each(|event| replayed.apply(&event.event));
            assert_eq!(world.tallies.read(&id, Tally::clone).await, Ok(replayed), "{id}");
        }
        world.end().await;
    }
}
