//! onefold in background workers: one that takes deliveries from a queue, one that does something every second.
//!
//! The queue stands for any that delivers in order and at least once: a message leaves it when it was handled, and comes
//! again after a crash. The aggregate makes that safe: a delivery that it has seen changes nothing.
//!
//! ```sh
//! cargo run --package onefold-tests --example embedding_worker
//! ```

mod warehouse;

use std::time::Duration;

use futures_util::TryStreamExt as _;
use onefold::{Aggregates, Error};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use warehouse::{Article, Failure, OutOfStock, Receive, Take};

/// How often a message is tried before the worker gives up, and the pauses between.
const ATTEMPTS_MAX: u32 = 8;
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let stop = warehouse::stop_signal()?;
    let runtime = warehouse::start("warehouse-worker-data").await?;
    let articles: Aggregates<Article> = runtime.aggregates()?;

    let (stopping, stopped) = watch::channel(false);
    let mut workers = JoinSet::new();
    for partition in ["boots", "hats", "shoes"] {
        workers.spawn(receive(articles.clone(), Queue { partition, handled: 0 }, stopped.clone()));
    }
    workers.spawn(pick(articles, stopped));

    // Until the signal, or until a worker gives up: then all end, and the supervisor starts a new process.
    let mut outcome = tokio::select! {
        () = stop => Ok(()),
        Some(ended) = workers.join_next() => ended?,
    };
    // 1. No new work; what is in hand is finished.
    stopping.send_replace(true);
    while let Some(ended) = workers.join_next().await {
        outcome = outcome.and(ended?);
    }
    // 2. Nobody asks any more.
    warehouse::stop(&runtime).await?;
    outcome
}

/// Handles one message after the other: at least once.
async fn receive(
    articles: Aggregates<Article>,
    mut queue: Queue,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Failure> {
    loop {
        let message = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            message = queue.next() => message,
        };
        let in_stock = handle(&articles, &message).await?;
        println!("delivery {} of {}: {in_stock} in stock", message.delivery, message.article);
        // IMPORTANT: only now. The reply says that the delivery is durable.
        queue.remove(&message);
    }
}

async fn handle(articles: &Aggregates<Article>, message: &Message) -> Result<u64, Error<OutOfStock>> {
    let Message { article, delivery, pieces } = *message;
    let mut pause = PAUSE_MIN;
    let mut attempt = 1;
    loop {
        match articles.ask(article, Receive { delivery, pieces }).await {
            // Surely not stored; or perhaps, and then the repetition changes nothing.
            Err(error) if attempt < ATTEMPTS_MAX && (error.is_retry_safe() || !error.is_surely_not_stored()) => {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Takes a piece of each article every second: at most once. To take one is not safe to repeat, so what may have happened
/// is not tried again.
async fn pick(articles: Aggregates<Article>, mut stopped: watch::Receiver<bool>) -> Result<(), Failure> {
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            _ = ticks.tick() => {}
        }
        let mut ids = articles.ids();
        while let Some(article) = ids.try_next().await? {
            match articles.ask(&article, Take { pieces: 1 }).deadline(Duration::from_secs(2)).await {
                Ok(left) => println!("took one of {article}: {left} left"),
                Err(error) => eprintln!("took none of {article}: {error}"),
            }
        }
    }
}

struct Message {
    article: &'static str,
    delivery: u64,
    pieces: u64,
}

/// One partition of the queue. It begins anew with each process, as if nothing had been removed before a crash.
struct Queue {
    partition: &'static str,
    handled: u64,
}

impl Queue {
    /// The oldest message.
    async fn next(&mut self) -> Message {
        sleep(Duration::from_millis(300)).await;
        Message { article: self.partition, delivery: self.handled + 1, pieces: 2 }
    }

    fn remove(&mut self, message: &Message) {
        self.handled = message.delivery;
    }
}
