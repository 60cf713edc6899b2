//! The closed-loop load generator: each client sends one command, waits for
//! its acknowledgement, and sends the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::latencies::Latencies;
use crate::peer::Peer;
use crate::random::Random;

/// The warm-up sends one command to every aggregate, but takes no longer than
/// this; the report says how far it came. On a machine that is otherwise idle,
/// only stores that sync for each command are cut off, and those have nothing
/// to start.
const WARM_UP_MAX: Duration = Duration::from_secs(20);
/// After the measurement the commands in flight may take this long to end.
const DRAIN_MAX: Duration = Duration::from_secs(60);
/// A client whose command failed waits this long before the next.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);
const SEED: u64 = 42;

/// One peer and the commands to send to it.
pub(crate) struct Load<P> {
    peer: Arc<P>,
    ids: Arc<[String]>,
    in_flight: usize,
    duration: Duration,
    event_bytes: usize,
}

/// How the warm-up went.
#[derive(Debug, Default)]
pub(crate) struct WarmUp {
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) duration: Duration,
}

/// What the warm-up does to an aggregate.
#[derive(Clone, Copy)]
enum Touch {
    Activate,
    Append,
}

/// What the measurement found.
pub(crate) struct Measured {
    /// Acknowledged before the time was up: the throughput.
    pub(crate) in_time: u64,
    /// Acknowledged in all, with those in flight when the time was up.
    pub(crate) acknowledged: u64,
    pub(crate) failed: u64,
    pub(crate) first_failure: Option<String>,
    /// Nanoseconds, of all commands acknowledged.
    pub(crate) latencies: Histogram<u64>,
}

impl<P: Peer> Load<P> {
    pub(crate) fn new(peer: Arc<P>, arguments: &Arguments) -> Self {
        let ids = (1..=arguments.aggregates).map(|number| format!("acc-{number:07}")).collect();
        Self {
            peer,
            ids,
            in_flight: arguments.in_flight,
            duration: arguments.duration,
            event_bytes: arguments.event_bytes,
        }
    }

    pub(crate) fn peer(&self) -> &P {
        &self.peer
    }

    /// Starts every aggregate, then sends one command to each.
    pub(crate) async fn warm_up(&self) -> WarmUp {
        let started = Instant::now();
        let (_, failed_starts) = self.touch_all(Touch::Activate).await;
        let (acknowledged, failed) = self.touch_all(Touch::Append).await;
        WarmUp { acknowledged, failed: failed_starts + failed, duration: started.elapsed() }
    }

    /// How many aggregates were touched, and for how many that failed.
    async fn touch_all(&self, touch: Touch) -> (u64, u64) {
        let deadline = Instant::now() + WARM_UP_MAX;
        let next = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for client in 0..self.in_flight.min(self.ids.len()) {
            let (peer, ids, next) = (self.peer.clone(), self.ids.clone(), next.clone());
            let event_bytes = self.event_bytes;
            clients.spawn(async move {
                let mut random = Random::new(client as u64);
                let (mut touched, mut failed) = (0, 0);
                while Instant::now() < deadline {
                    let Some(id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        break;
                    };
                    let outcome = match touch {
                        Touch::Activate => peer.activate(id).await,
                        Touch::Append => peer.append(id, random.payload(event_bytes)).await,
                    };
                    match outcome {
                        Ok(()) => touched += 1,
                        Err(_) => failed += 1,
                    }
                }
                (touched, failed)
            });
        }

        let (mut touched, mut failed) = (0, 0);
        while let Some(outcome) = clients.join_next().await {
            let outcome = outcome.unwrap_or((0, 1));
            touched += outcome.0;
            failed += outcome.1;
        }
        (touched, failed)
    }

    /// Keeps `in_flight` commands on their way until the time is up, then
    /// waits for the last ones.
    pub(crate) async fn measure(&self) -> Result<Measured> {
        let latencies = Arc::new(Latencies::new()?);
        let first_failure = Arc::new(Mutex::new(None));
        let deadline = Instant::now() + self.duration;
        let mut clients = JoinSet::new();
        for number in 0..self.in_flight {
            let client = Client {
                number,
                peer: self.peer.clone(),
                ids: self.ids.clone(),
                event_bytes: self.event_bytes,
                deadline,
                latencies: latencies.clone(),
                first_failure: first_failure.clone(),
            };
            clients.spawn(client.run());
        }

        let mut total = Tally::default();
        let drained = tokio::time::timeout(self.duration + DRAIN_MAX, async {
            while let Some(outcome) = clients.join_next().await {
                total.add(outcome.ok());
            }
        });
        if drained.await.is_err() {
            clients.abort_all();
            while let Some(outcome) = clients.join_next().await {
                total.add(outcome.ok());
            }
        }
        let first_failure = first_failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Measured {
            in_time: total.in_time,
            acknowledged: total.acknowledged,
            failed: total.failed,
            first_failure,
            latencies: latencies.merged()?,
        })
    }

    /// Hands the peer back to close it; by now all clients are gone.
    pub(crate) async fn close(self) -> Result<()> {
        Arc::into_inner(self.peer).context("a client still holds the peer")?.close().await
    }
}

struct Client<P> {
    number: usize,
    peer: Arc<P>,
    ids: Arc<[String]>,
    event_bytes: usize,
    deadline: Instant,
    latencies: Arc<Latencies>,
    first_failure: Arc<Mutex<Option<String>>>,
}

#[derive(Default)]
struct Tally {
    in_time: u64,
    acknowledged: u64,
    failed: u64,
}

impl Tally {
    /// `None` is a client that panicked or never got its last answer. What it
    /// had acknowledged before is lost, which errs on the peer's bad side.
    fn add(&mut self, tally: Option<Tally>) {
        let Some(tally) = tally else {
            self.failed += 1;
            return;
        };
        self.in_time += tally.in_time;
        self.acknowledged += tally.acknowledged;
        self.failed += tally.failed;
    }
}

impl<P: Peer> Client<P> {
    async fn run(self) -> Tally {
        let mut random = Random::new(SEED.wrapping_add(self.number as u64));
        let mut tally = Tally::default();
        let mut sent = Instant::now();
        while sent < self.deadline {
            let id = &self.ids[random.below(self.ids.len())];
            let outcome = self.peer.append(id, random.payload(self.event_bytes)).await;
            let answered = Instant::now();
            match outcome {
                Ok(()) => {
                    tally.acknowledged += 1;
                    tally.in_time += u64::from(answered <= self.deadline);
                    self.latencies.record(self.number, answered - sent);
                    sent = answered;
                }
                Err(problem) => {
                    tally.failed += 1;
                    self.first_failure
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .get_or_insert_with(|| format!("{id}: {problem:#}"));
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    sent = Instant::now();
                }
            }
        }
        tally
    }
}
