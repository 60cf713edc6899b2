//! How often a command allocates memory, and how much: of one that uses nothing but `ask`, and of those that use more.
//!
//! `cargo bench -p onefold-benches --bench allocations`
//!
//! Counts, not times: so they are the same on every machine. One caller on one thread, a journal in memory, aggregates that are
//! in memory already. What the journal keeps and what the caller makes is counted, too.
#![forbid(unsafe_code)]

use std::convert::Infallible;

use onefold::{
    Aggregate, Aggregates, Config, Context, Decision, Event, Handle, MemoryJournal, RetryPolicy, Runtime, transact,
};
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Commands that are counted together.
const COMMANDS: u64 = 2_000;

#[derive(Default)]
struct Sum(u64);

#[derive(Event, Serialize, Deserialize)]
#[event(prefix = "sum")]
enum Summed {
    Added { amount: u64 },
}

#[derive(Clone, Copy, Serialize)]
struct Add(u64);

/// Takes and releases a claim in turn.
struct Seat(u64);

impl Aggregate for Sum {
    const TYPE: &'static str = "sum";
    type Event = Summed;
    type Rejection = Infallible;
    type Services = ();

    fn apply(&mut self, Summed::Added { amount }: &Summed) {
        self.0 += amount;
    }
}

impl Handle<Add> for Sum {
    type Reply = u64;

    async fn handle(&self, Add(amount): Add, _: &Context<Self>) -> Result<Decision<Self, u64>, Infallible> {
        Ok(self.emit(Summed::Added { amount }).reply(|sum| sum.0))
    }
}

impl Handle<Seat> for Sum {
    type Reply = ();

    async fn handle(&self, Seat(turn): Seat, _: &Context<Self>) -> Result<Decision<Self, ()>, Infallible> {
        let decision = self.emit(Summed::Added { amount: 1 });
        Ok(if turn.is_multiple_of(2) { decision.claim("seat", "one") } else { decision.release("seat", "one") })
    }
}

fn main() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("| | allocations | bytes |\n|---|--:|--:|");
    tokio.block_on(count_all());
}

/// Counts, and tells, one after the other.
async fn count_all() {
    let config = Config { idempotency_keys_min: 100, ..Config::default() };
    let starting = Runtime::builder(MemoryJournal::new()).config(config).aggregate::<Sum>(()).start();
    let runtime = starting.await.expect("a valid configuration");
    let sums = runtime.aggregates::<Sum>().expect("registered");
    let keys: Vec<String> = (0..COMMANDS).map(|number| format!("{number:016x}")).collect();

    let add = |name: &str, counted: Counted| println!("| {name} | {:.2} | {:.0} |", counted.blocks, counted.bytes);
    add(
        "`read`",
        counted(&sums, async |sums, _| {
            sums.read("a", |sum| sum.0).await.expect("answered");
        })
        .await,
    );
    add(
        "`ask`",
        counted(&sums, async |sums, _| {
            sums.ask("a", Add(1)).await.expect("answered");
        })
        .await,
    );
    add(
        "… `.with_receipt()`",
        counted(&sums, async |sums, _| {
            sums.ask("b", Add(1)).with_receipt().await.expect("answered");
        })
        .await,
    );
    add(
        "… `.expect_version(..)`",
        counted(&sums, async |sums, number| {
            sums.ask("c", Add(1)).expect_version(number).await.expect("nobody else writes");
        })
        .await,
    );
    add(
        "… `.retry(..)`",
        counted(&sums, async |sums, _| {
            sums.ask("d", Add(1)).retry(RetryPolicy::default()).await.expect("answered");
        })
        .await,
    );
    add(
        "… `.idempotency_key(..)`, as a new one",
        counted(&sums, async |sums, number| {
            let key = &keys[usize::try_from(number).expect("it is small")];
            sums.ask("e", Add(1)).idempotency_key(key).await.expect("answered");
        })
        .await,
    );
    add(
        "… `.idempotency_key(..)`, as a repeat",
        counted(&sums, async |sums, _| {
            sums.ask("f", Add(1)).idempotency_key("once").await.expect("answered");
        })
        .await,
    );
    add(
        "… with a claim taken or released",
        counted(&sums, async |sums, number| {
            sums.ask("g", Seat(number)).await.expect("nobody else wants it");
        })
        .await,
    );
    add(
        "`ask_all` of ten",
        counted(&sums, async |sums, _| {
            sums.ask_all("h", [Add(1); 10]).await.expect("answered");
        })
        .await,
    );
    add(
        "`transact` of two aggregates",
        counted(&sums, async |sums, _| {
            transact((sums.ask("i", Add(1)), sums.ask("j", Add(1)))).await.expect("answered");
        })
        .await,
    );
}

/// Of one command.
struct Counted {
    blocks: f64,
    bytes: f64,
}

/// Asks once, so that the aggregate is there, then counts.
async fn counted(sums: &Aggregates<Sum>, ask: impl AsyncFn(&Aggregates<Sum>, u64)) -> Counted {
    ask(sums, 0).await;
    let before = dhat::HeapStats::get();
    for number in 1..COMMANDS {
        ask(sums, number).await;
    }
    let after = dhat::HeapStats::get();
    let each = |before: u64, after: u64| (after - before) as f64 / (COMMANDS - 1) as f64;
    Counted {
        blocks: each(before.total_blocks, after.total_blocks),
        bytes: each(before.total_bytes, after.total_bytes),
    }
}
