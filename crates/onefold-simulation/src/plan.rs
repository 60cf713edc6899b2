//! What a seed decides before anything runs: how many of everything, the bounds of the runtime, the habits of the clients,
//! and how each life of the process ends.

use std::time::Duration;

use onefold::Config;

use crate::Random;
use crate::journal::{Boundary, Weather};

/// One life of the process: from opening the journal to its end.
#[derive(Clone, Debug)]
pub(crate) struct LifePlan {
    pub(crate) config: Config,
    pub(crate) weather: Weather,
    pub(crate) runtimes: usize,
    pub(crate) clients: u64,
    pub(crate) habits: Habits,
    pub(crate) end: End,
}

/// How clients behave. Rates are per 1,000.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    pub(crate) rounds: u64,
    pub(crate) reads: u32,
    /// Clients who go away.
    pub(crate) leaving: u32,
    /// Commands with a deadline of their own.
    pub(crate) hasty: u32,
    pub(crate) haste: Duration,
    pub(crate) panics: u32,
    /// Commands with an idempotency key.
    pub(crate) keyed: u32,
    /// Transacts.
    pub(crate) together: u32,
    /// Handlers that wait for something.
    pub(crate) slow: u32,
    pub(crate) slowness: Duration,
    pub(crate) think: Duration,
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The process is killed at the boundary of a group.
    Struck(u64, Boundary),
    /// The process is killed at some time.
    Killed(Duration),
    /// The runtime is dropped at some time; the process goes on until everybody is answered.
    Dropped(Duration),
    /// The runtime is shut down at some time, with so much time to end.
    ShutDown(Duration, Duration),
    /// When everything is done.
    Done,
}

impl LifePlan {
    pub(crate) fn random(random: &mut Random, commands: u64) -> Self {
        let clients = random.pick(&[1, 2, 3, 6, 12, 24]);
        let rounds = (random.between(commands / 2, commands) / clients).max(2);
        let millis = |random: &mut Random, most: u64| Duration::from_micros(random.below(most * 1_000));
        let end = match random.below(8) {
            0..3 => {
                let boundaries = [Boundary::BeforeWrite, Boundary::Written, Boundary::Synced, Boundary::Acknowledged];
                End::Struck(random.between(1, random.clone().between(2, commands)), random.pick(&boundaries))
            }
            3 => End::Killed(millis(random, 500)),
            4 => End::Dropped(millis(random, 500)),
            5 => {
                let time = random.pick(&[0, 0, 3, 50, 60_000]);
                End::ShutDown(millis(random, 500), Duration::from_millis(time))
            }
            _ => End::Done,
        };
        let mut plan = LifePlan {
            config: config(random),
            weather: Weather::random(random),
            runtimes: if random.one_in(8) { 2 } else { 1 },
            clients,
            habits: Habits::random(random, rounds),
            end,
        };
        if random.one_in(5) {
            plan.make_brisk();
        }
        plan
    }

    /// Nothing fails, and nothing takes long.
    fn make_brisk(&mut self) {
        let Weather { direct, queue_max, group_max, chunk_commits_max, sync, acknowledgement, open, read, .. } =
            self.weather.clone();
        self.weather = Weather {
            direct,
            queue_max,
            group_max,
            chunk_commits_max,
            sync: sync.min(BRISK),
            acknowledgement: acknowledgement.min(BRISK),
            open: open.min(BRISK),
            read: read.min(BRISK),
            ..Weather::calm()
        };
        self.config.deadline = LONGEST;
        self.config.transact_hold_max = self.config.transact_hold_max.min(BRISK_HOLD);
        self.habits.slowness = self.habits.slowness.min(BRISK);
    }

    pub(crate) fn is_brisk(&self) -> bool {
        let Weather { sync, acknowledgement, open, read, .. } = self.weather;
        let longest = [sync, acknowledgement, open, read, self.habits.slowness].into_iter().max();
        let is_patient = self.config.deadline == LONGEST && self.config.transact_hold_max <= BRISK_HOLD;
        is_patient && longest <= Some(BRISK) && self.weather.is_fair()
    }

    /// The last life: nothing fails, and everybody has time.
    pub(crate) fn calm() -> Self {
        LifePlan {
            config: Config { idempotency_keys_min: usize::MAX, ..Config::default() },
            weather: Weather::calm(),
            runtimes: 1,
            clients: 0,
            habits: Habits::random(&mut Random::new(0), 0),
            end: End::Done,
        }
    }
}

impl Habits {
    fn random(random: &mut Random, rounds: u64) -> Self {
        let mut time = |choices: &[u64]| Duration::from_micros(random.pick(choices));
        let (haste, slowness) = (time(&[200, 5_000, 100_000]), time(&[100, 3_000, 60_000]));
        let think = time(&[0, 100, 5_000, 40_000]);
        Habits {
            rounds,
            reads: random.pick(&[0, 100, 250, 500]),
            leaving: random.pick(&[0, 0, 50, 200]),
            hasty: random.pick(&[0, 0, 50, 200]),
            haste,
            panics: random.pick(&[0, 0, 10, 50]),
            keyed: random.pick(&[0, 330, 330, 800]),
            slow: random.pick(&[0, 100, 400]),
            slowness,
            think,
            together: random.pick(&[0, 0, 60, 200]),
        }
    }
}

/// The longest deadline of a plan.
const LONGEST: Duration = Duration::from_secs(30);

/// All commands of a life one after the other, each with all of its waits, take far less than the longest deadline.
const BRISK: Duration = Duration::from_millis(2);

/// Where there is room for one aggregate, each transact holds it as long as it may. So do they all, one after the other.
const BRISK_HOLD: Duration = Duration::from_millis(50);

/// Small bounds: what is rare in a service is common here.
fn config(random: &mut Random) -> Config {
    let mut millis = |choices: &[u64]| Duration::from_millis(random.pick(choices));
    let deadline = millis(&[20, 500, 30_000]);
    let (handler_timeout, recovery_timeout) = (millis(&[5, 100, 10_000]), millis(&[20, 1_000, 60_000]));
    let (idle_timeout, quarantine_min) = (millis(&[1, 20, 1_000, 60_000]), millis(&[1, 50, 1_000]));
    let crash_window = millis(&[10, 60_000]);
    let transact_hold_max = millis(&[1, 50, 2_000, 2_000]);
    let admitted_per_aggregate_max = random.pick(&[2, 8, 64, 4_096]);
    Config {
        deadline,
        handler_timeout,
        recovery_timeout,
        idle_timeout,
        quarantine_min,
        quarantine_max: quarantine_min * 8,
        crash_window,
        transact_hold_max,
        crashes_max: random.pick(&[1, 3, u32::MAX]),
        recoveries_max: random.pick(&[1, 2, 32]),
        resident_max: random.pick(&[1, 2, 3, 100]),
        residency_line_max: random.pick(&[1, 2, 64]),
        admitted_per_aggregate_max,
        admitted_max: admitted_per_aggregate_max * 16,
        turn_commands_max: random.pick(&[1, 2, 64]),
        // Nothing is forgotten, so that everything can be checked; and now and then there is room for a few keys only.
        idempotency_keys_min: usize::MAX,
        idempotency_bytes_max: if random.one_in(8) { 8 * 1024 } else { 64 * 1024 * 1024 },
        ..Config::default()
    }
}
