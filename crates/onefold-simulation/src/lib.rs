//! Deterministic simulation for onefold: your aggregates on the real runtime, in virtual time, with everything that can go
//! wrong going wrong.
//!
//! ```
//! use onefold::{Aggregate, Context, Decision, Handle};
//! use onefold_simulation::{Command, Simulation};
//! # #[derive(onefold::Event, serde::Serialize, serde::Deserialize)]
//! # #[event(prefix = "account")]
//! # enum AccountEvent { Deposited { amount: u64 }, Withdrawn { amount: u64 } }
//! # #[derive(Debug, thiserror::Error)]
//! # #[error("only {0} left")]
//! # struct InsufficientFunds(u64);
//! # #[derive(Debug, Default)]
//! # struct Account { balance: u64 }
//! # impl Aggregate for Account {
//! #     const TYPE: &'static str = "account";
//! #     type Event = AccountEvent;
//! #     type Rejection = InsufficientFunds;
//! #     type Services = ();
//! #     fn apply(&mut self, event: &AccountEvent) {
//! #         match event {
//! #             AccountEvent::Deposited { amount } => self.balance += amount,
//! #             AccountEvent::Withdrawn { amount } => self.balance -= amount,
//! #         }
//! #     }
//! # }
//! # struct Deposit(u64);
//! # struct Withdraw(u64);
//! # impl Handle<Deposit> for Account {
//! #     type Reply = u64;
//! #     async fn handle(&self, Deposit(amount): Deposit, _: &Context<Self>) -> Result<Decision<Self, u64>, InsufficientFunds> {
//! #         Ok(self.emit(AccountEvent::Deposited { amount }).reply(|account| account.balance))
//! #     }
//! # }
//! # impl Handle<Withdraw> for Account {
//! #     type Reply = u64;
//! #     async fn handle(&self, Withdraw(amount): Withdraw, _: &Context<Self>) -> Result<Decision<Self, u64>, InsufficientFunds> {
//! #         if amount > self.balance { return Err(InsufficientFunds(self.balance)) }
//! #         Ok(self.emit(AccountEvent::Withdrawn { amount }).reply(|account| account.balance))
//! #     }
//! # }
//!
//! let report = Simulation::new(42)
//!     .aggregate::<Account>(|| ()) // the services, anew for each life of the process
//!     .commands(|random| match random.below(2) {
//!         0 => Command::new(Deposit(random.between(1, 100))),
//!         _ => Command::new(Withdraw(random.between(1, 100))),
//!     })
//!     .view(|account| format!("{account:?}")) // must be the same in memory and after a replay
//!     .invariant(|account| match account.balance < 1_000_000 {
//!         true => Ok(()),
//!         false => Err(format!("{} is more than there is", account.balance)),
//!     })
//!     .run()
//!     .unwrap(); // a failure names the promise, the aggregate and the seed
//! assert!(report.commands() > 0);
//! ```
//!
//! A seed decides everything: how many clients there are and what they ask, how small the bounds of the runtime are, which
//! appends fail or are never answered, where handlers panic, when callers leave, and at which boundary of a commit the
//! process dies and the next one opens what is left. The same seed gives the same simulation, to the last event.
//!
//! What is checked, and how to use it in your tests: `docs/guide/simulation.md`. [`sweep`] runs onefold itself.
#![forbid(unsafe_code)]

mod client;
mod clock;
mod command;
mod journal;
mod leaving;
mod ledger;
mod plan;
mod random;
mod report;
mod run;
mod scenario;
mod simulated;
mod violation;
mod wanted;
mod witness;

pub use command::Command;
pub use journal::{Boundary, Faults, SimulatedDisk, SimulatedJournal, Weather};
pub use ledger::{simulate, sweep, sweep_with};
pub use random::Random;
pub use report::{FAILURES_MAX, Failure, Report, Summary};
pub use scenario::{Scenario, Simulation};
pub use violation::Violation;
pub use witness::OperationId;
