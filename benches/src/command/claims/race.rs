//! The clients: each registers the next user, until all are registered; those who race for a name follow one another.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use onefold::{Aggregates, Error};

use crate::user::{Register, User, id_of};

/// One round's registrations.
#[derive(Debug)]
pub(super) struct Race {
    next: AtomicU32,
    first_user: u32,
    registrations: u32,
    first_name: u32,
    names: u32,
}

/// What a client was told.
enum Answer {
    Won,
    Rejected,
    Failed(String),
    Unknown(String),
}

struct Registration {
    user: u32,
    name: u32,
    answer: Answer,
    took: Duration,
}

/// What all clients of all rounds were told.
#[derive(Debug)]
pub(super) struct Told {
    /// By name: the users who were told that it is theirs.
    pub(super) winners: Vec<Vec<u32>>,
    /// Users who were told nothing certain.
    pub(super) undecided: HashSet<u32>,
    pub(super) won: u64,
    pub(super) rejected: u64,
    pub(super) failed: u64,
    pub(super) unknown: u64,
    pub(super) first_failure: Option<String>,
    latencies: Histogram<u64>,
}

impl Race {
    /// Round number `round`: users and names of its own.
    pub(super) fn new(round: u32, registrations: u32, names: u32) -> Self {
        let (first_user, first_name) = (round * registrations, round * names);
        Race { next: AtomicU32::new(0), first_user, registrations, first_name, names }
    }

    /// Registers all of them; returns how many won, and how many were rejected.
    pub(super) async fn run(self, users: &Aggregates<User>, clients: u32, told: &mut Told) -> (u64, u64) {
        let race = Arc::new(self);
        let (won, rejected) = (told.won, told.rejected);
        let clients: Vec<_> = (0..clients).map(|_| tokio::spawn(client(users.clone(), Arc::clone(&race)))).collect();
        for client in clients {
            let answers = client.await.expect("clients don't panic");
            answers.into_iter().for_each(|answer| told.add(answer));
        }
        (told.won - won, told.rejected - rejected)
    }

    /// The next user and the name to register.
    #[expect(clippy::cast_possible_truncation, reason = "below the number of names")]
    fn next(&self) -> Option<(u32, u32)> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.registrations).then(|| {
            let name = u64::from(index) * u64::from(self.names) / u64::from(self.registrations);
            (self.first_user + index, self.first_name + name as u32)
        })
    }
}

async fn client(users: Aggregates<User>, race: Arc<Race>) -> Vec<Registration> {
    let mut all = Vec::new();
    while let Some((user, name)) = race.next() {
        let started = Instant::now();
        let answer = match users.ask(id_of(user), Register { name }).await {
            Ok(()) => Answer::Won,
            Err(Error::Rejected(_)) => Answer::Rejected,
            Err(error @ Error::OutcomeUnknown(_)) => Answer::Unknown(error.to_string()),
            Err(error) => Answer::Failed(error.to_string()),
        };
        all.push(Registration { user, name, answer, took: started.elapsed() });
    }
    all
}

impl Told {
    /// Nothing yet, of so many names.
    pub(super) fn new(names: u32) -> Self {
        Told {
            winners: vec![Vec::new(); names as usize],
            undecided: HashSet::new(),
            won: 0,
            rejected: 0,
            failed: 0,
            unknown: 0,
            first_failure: None,
            latencies: Histogram::new_with_bounds(1, 1 << 40, 3).expect("constant bounds"),
        }
    }

    fn add(&mut self, Registration { user, name, answer, took }: Registration) {
        self.latencies.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        match answer {
            Answer::Won => {
                self.won += 1;
                self.winners[name as usize].push(user);
            }
            Answer::Rejected => self.rejected += 1,
            Answer::Failed(failure) => {
                self.failed += 1;
                self.first_failure.get_or_insert(failure);
            }
            Answer::Unknown(failure) => {
                self.unknown += 1;
                self.undecided.insert(user);
                self.first_failure.get_or_insert(failure);
            }
        }
    }

    /// Forgets what was counted, and not who has which name.
    pub(super) fn forget_figures(&mut self) {
        (self.won, self.rejected) = (0, 0);
        self.latencies.reset();
    }

    /// How long the answers took, in nanoseconds.
    pub(super) fn latencies(&self) -> &Histogram<u64> {
        &self.latencies
    }
}
