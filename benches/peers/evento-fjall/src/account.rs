//! The aggregate, its event, and the state that a command decides on.
//!
//! The state is a projection with an in-memory snapshot, so that a command
//! reads only the events since the last one.

use anyhow::Result;
use evento::metadata::Event;
use evento::{Executor, Projection, ProjectionAggregate, WriteBuilder};

/// The events of an account.
#[evento::aggregate(name = "bank/Account")]
pub(crate) enum AccountEvents {
    Deposited { payload: Vec<u8> },
}

/// The state of an account: how many events it has.
#[evento::projection(id = id)]
#[evento::snapshot(memory)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) events: u64,
}

#[evento::handler]
async fn on_deposited(event: Event<Deposited>, account: &mut Account) -> Result<()> {
    account.id.clone_from(&event.aggregate_id);
    account.events += 1;
    Ok(())
}

/// Loads the account `id` and prepares the append of one event to it.
pub(crate) async fn deposit<E: Executor>(store: &E, id: &str, payload: &str) -> Result<WriteBuilder> {
    let account = Projection::<E, Account>::new::<AccountEvents>()
        .handler(on_deposited())
        .strict()
        .load(id)
        .execute(store)
        .await?;
    let mut write = match account {
        Some(account) => account.write()?,
        None => evento::append(id),
    };
    write.event(&Deposited { payload: payload.as_bytes().to_vec() });
    Ok(write)
}
