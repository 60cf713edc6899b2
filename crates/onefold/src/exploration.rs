//! Every order in which callers, actors, the releaser, the journal and the sweeper take the runtime's locks, as far as chance
//! and `shuttle` find them: nothing is lost, nothing runs twice, nobody waits for ever, nothing is left behind.
//!
//! ```sh
//! .ci/explore                        # what CI explores
//! .ci/explore 20000                  # so many orders for each test
//! ONEFOLD_SEED=7 .ci/explore 20000   # others
//! ```
//!
//! What is explored is the runtime as it is, but for ractor, which runs an actor's life and decides nothing, and for `DashMap`
//! (`sync.rs`). `cargo crash mutations --by exploration` shows that these tests can fail.

mod calls;
mod count;
mod end;
mod failures;
mod journal;
mod line;
mod passivation;
mod together;
mod world;

use std::sync::Arc;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use self::world::{Setting, World};
use crate::sync::explored::forget_tasks;

/// How many orders each test tries, unless `ONEFOLD_ORDERS` says otherwise.
const ORDERS: usize = 500;

/// An order that takes longer than so many steps goes round in circles: the longest takes a few hundred.
const STEPS_MAX: usize = 20_000;

/// How often one of the orders that are made of few changes of thread changes where it need not.
const CHANGES: usize = 4;

/// Enough for the deepest recovery of a debug build.
const STACK_BYTES: usize = 256 * 1024;

/// Explores `body` in many orders, each in a world of its own, which must end with nothing left. Half of the orders choose
/// at every step who goes next, half change the thread a few times only: what one kind finds easily, the other hardly ever
/// does.
fn explore(setting: Setting, body: impl Fn(&Arc<World>) + Send + Sync + 'static) {
    let (orders, seed) = (number("ONEFOLD_ORDERS", ORDERS), number("ONEFOLD_SEED", 0));
    let body = Arc::new(body);
    run(RandomScheduler::new_from_seed(seed, orders / 2), setting, body.clone());
    run(PctScheduler::new_from_seed(seed, CHANGES, orders - orders / 2), setting, body);
}

fn run<B>(scheduler: impl Scheduler + 'static, setting: Setting, body: Arc<B>)
where
    B: Fn(&Arc<World>) + Send + Sync + 'static,
{
    // Nothing runs on it. It is there for its clock, which stands still but where a test lets time pass.
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let tokio = Arc::new(tokio.expect("a tokio runtime"));
    let within = tokio.clone();
    let _within = within.enter();
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    forget_tasks();
    let _forget = ForgetTasks;
    Runner::new(scheduler, config).run(move || {
        // The tasks that the last world left to tokio see that it is gone.
        tokio.block_on(tokio::task::yield_now());
        let world = World::new(tokio.handle(), setting);
        body(&world);
        world.end();
    });
}

fn number<N: std::str::FromStr>(variable: &str, otherwise: N) -> N {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number, {text:?} is none")),
        Err(_) => otherwise,
    }
}

/// An order that fails leaves tasks, which nobody must touch afterwards.
struct ForgetTasks;

impl Drop for ForgetTasks {
    fn drop(&mut self) {
        forget_tasks();
    }
}
