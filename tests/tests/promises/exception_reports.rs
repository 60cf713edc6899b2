//! Exception reports: violations of the state as it is, told at least once, and nothing stored that was not dealt with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::pending;
use onefold::{Checkpoint, Config, ExceptionReport, ReportError, Runtime, Scan, ScanStop};
use onefold_testkit::faults::{ReadFault, When};
use parking_lot::Mutex;

use crate::support::{Add, Happened, Spend, Tally, World, poll_once};

/// No tally should hold more than ten.
#[derive(Clone, Debug, Default, PartialEq)]
struct AtMostTen(BTreeMap<String, u64>);

impl ExceptionReport for AtMostTen {
    type Violation = (String, u64);

    fn violations(&self) -> impl Iterator<Item = (String, u64)> + Send {
        self.0.iter().filter(|(_, sum)| **sum > 10).map(|(id, sum)| (id.clone(), *sum))
    }
}

fn scan(runtime: &Runtime, checkpoint: &Checkpoint, rule: AtMostTen) -> Scan<AtMostTen> {
    runtime.scan(checkpoint, rule).on::<Tally>(|AtMostTen(sums), id, recorded| {
        let sum = sums.entry(id.to_string()).or_default();
        match recorded.event {
            Happened::Added { amount } => *sum += amount,
            Happened::Spent { amount } => *sum -= amount,
            _ => {}
        }
    })
}

/// What was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(String, u64)>>>);

impl Told {
    async fn note(self, violation: (String, u64)) -> Result<(), String> {
        self.0.lock().push(violation);
        Ok(())
    }

    fn take(&self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.0.lock())
    }
}

fn told(rows: &[(&str, u64)]) -> Vec<(String, u64)> {
    rows.iter().map(|(id, sum)| ((*id).to_owned(), *sum)).collect()
}

/// What was violated for a while, and is not any more, is not told.
#[tokio::test(start_paused = true)]
async fn violations_are_those_of_the_end() {
    let world = World::start().await;
    for (id, amount) in [("a", 11), ("b", 12), ("c", 3)] {
        world.tallies.ask(id, Add(amount)).await.unwrap();
    }
    world.tallies.ask("a", Spend(5)).await.unwrap();
    let seen = Told::default();
    let report = scan(&world.runtime, &Checkpoint::START, AtMostTen::default());
    let scanned = report.report(|violation| seen.clone().note(violation)).await.unwrap();
    assert_eq!((seen.take(), scanned.is_complete), (told(&[("b", 12)]), true));
    world.end().await;
}

/// A crash between dealing with violations and storing the checkpoint tells them again: at least once. Stored, they are told as
/// long as they last, and no event counts twice.
#[tokio::test(start_paused = true)]
async fn violations_are_told_at_least_once() {
    let world = World::start().await;
    for (id, amount) in [("a", 11), ("b", 12)] {
        world.tallies.ask(id, Add(amount)).await.unwrap();
    }
    let seen = Told::default();
    let report = |stored: &(Checkpoint, AtMostTen)| {
        let seen = seen.clone();
        scan(&world.runtime, &stored.0, stored.1.clone()).report(move |violation| seen.clone().note(violation))
    };
    let mut stored = (Checkpoint::START, AtMostTen::default());
    // The process dies here, before it stores what came of it.
    drop(report(&stored).await.unwrap());
    assert_eq!(seen.take(), told(&[("a", 11), ("b", 12)]));

    let again = report(&stored).await.unwrap();
    assert_eq!(seen.take(), told(&[("a", 11), ("b", 12)]));
    stored = (again.checkpoint, again.state);

    world.tallies.ask("a", Spend(2)).await.unwrap();
    let next = report(&stored).await.unwrap();
    assert_eq!((seen.take(), next.observed), (told(&[("b", 12)]), 1));
    world.end().await;
}

/// Commands that make up for violations are events, too: the next report sees that they were dealt with, stored or not.
#[tokio::test(start_paused = true)]
async fn what_was_made_up_for_is_not_told_again() {
    let world = World::start().await;
    world.tallies.ask("a", Add(14)).await.unwrap();
    let tallies = world.tallies.clone();
    let make_up = move |(id, sum): (String, u64)| {
        let tallies = tallies.clone();
        async move { tallies.ask(id, Spend(sum - 10)).await.map(|_| ()) }
    };
    let lost = scan(&world.runtime, &Checkpoint::START, AtMostTen::default()).report(make_up.clone()).await.unwrap();
    assert_eq!(lost.state.0["a"], 14, "what it did comes with the next one");
    let kept = scan(&world.runtime, &Checkpoint::START, AtMostTen::default()).report(make_up).await.unwrap();
    assert_eq!((kept.state.0["a"], world.tallies.read("a", |tally| tally.count).await.unwrap()), (10, 2));
    world.end().await;
}

/// The first violation that is not dealt with ends a report: there is nothing to store, and the next one begins anew.
#[tokio::test(start_paused = true)]
async fn a_violation_that_is_not_dealt_with_ends_the_report() {
    let world = World::start().await;
    for (id, amount) in [("a", 11), ("b", 12), ("c", 13)] {
        world.tallies.ask(id, Add(amount)).await.unwrap();
    }
    let seen = Told::default();
    let report = scan(&world.runtime, &Checkpoint::START, AtMostTen::default()).report(|violation| {
        let seen = seen.clone();
        async move { if violation.0 == "b" { Err("not today".to_owned()) } else { seen.note(violation).await } }
    });
    let error = report.await.unwrap_err();
    assert_eq!(error, ReportError::Handle("not today".to_owned()));
    assert_eq!(error.to_string(), "a violation was not dealt with: not today");
    assert_eq!(seen.take(), told(&[("a", 11)]));
    world.end().await;
}

/// A report that cannot see all tells nothing: what it takes for a violation may be mended already.
#[tokio::test(start_paused = true)]
async fn half_a_scan_tells_no_violations() {
    let (world, faults) = World::faulty(Config::default()).await;
    world.tallies.ask("a", Add(11)).await.unwrap();
    world.tallies.ask("a", Spend(5)).await.unwrap();
    let seen = Told::default();
    let error = onefold::journal::ReadError::Storage { reason: "scripted".into() };
    faults.read(When::next(1), ReadFault::FailAfter { items: 1, error });
    let report = scan(&world.runtime, &Checkpoint::START, AtMostTen::default());
    let error = report.report(|violation| seen.clone().note(violation)).await.unwrap_err();
    assert!(matches!(&error, ReportError::Scan(error) if matches!(error.stop, ScanStop::Read(_))), "{error}");

    faults.bend_feed(|items| {
        let stuck =
            items.enumerate().then(|(index, item)| async move { if index == 0 { item } else { pending().await } });
        stuck.boxed()
    });
    let report = scan(&world.runtime, &Checkpoint::START, AtMostTen::default()).time_limit(Duration::from_secs(1));
    let scanned = report.report(|violation| seen.clone().note(violation)).await.unwrap();
    assert_eq!((scanned.is_complete, scanned.state.0["a"]), (false, 11));
    faults.clear();
    let report = scan(&world.runtime, &scanned.checkpoint, scanned.state);
    assert!(report.report(|violation| seen.clone().note(violation)).await.unwrap().is_complete);
    assert_eq!(seen.take(), []);
    world.end().await;
}

/// It can be dropped while a violation is being dealt with, and run as a task of its own.
#[tokio::test(start_paused = true)]
async fn a_report_is_a_future_like_any_other() {
    let world = World::start().await;
    world.tallies.ask("a", Add(11)).await.unwrap();
    let report = scan(&world.runtime, &Checkpoint::START, AtMostTen::default());
    let mut report = Box::pin(report.report(|_| pending::<Result<(), String>>()));
    assert!(poll_once(report.as_mut()).is_pending());
    drop(report);

    let tallies = world.tallies.clone();
    let report = scan(&world.runtime, &Checkpoint::START, AtMostTen::default()).report(move |(id, sum)| {
        let tallies = tallies.clone();
        async move { tallies.ask(id, Spend(sum)).await.map(|_| ()) }
    });
    assert_eq!(tokio::spawn(report).await.unwrap().unwrap().observed, 1);
    assert_eq!(world.tallies.read("a", |tally| tally.sum).await.unwrap(), 0);
    world.end().await;
}
