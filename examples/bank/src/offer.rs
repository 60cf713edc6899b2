//! `bank offer`: more customers than places. Each place is sold once, to whoever confirms a reservation in time.
//!
//! Every customer asks for one place after the other until one is free, for a while. Then a third of them confirm, a third
//! give up, and a third forget about it: their places go to the next who asks, when the time is up. Who has none goes on asking
//! until all places are sold.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use onefold::Error;

use crate::Bank;
use crate::domain::{Confirm, GiveUp, PLACES, Place, Reserve, SubscriptionRejection};

/// How long who found no place waits before they ask again.
const PAUSE: Duration = Duration::from_millis(10);

/// What is on offer.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// How many places it has.
    pub places: u32,
    /// How long a reservation lasts.
    pub time: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Sold {
    /// The customer of each place that was sold, by its number.
    pub winners: BTreeMap<u32, String>,
    /// Reservations in all; those that were not confirmed made room for others.
    pub reservations: usize,
}

/// How a customer's turn ended.
struct Turn {
    reserved: bool,
    /// The place that they were told is theirs.
    confirmed: Option<u32>,
}

/// Lets so many customers, called `customer-1` and so on, race for the places.
///
/// # Errors
///
/// When the journal fails; or when somebody holds a place who was not told so, or the other way round.
pub async fn sell(bank: &Bank, offer: &Offer, customers: u32) -> anyhow::Result<Sold> {
    let turns = try_join_all((1..=customers).map(|customer| take_turn(bank, offer, customer))).await?;
    let winners = winners(bank, offer).await?;
    for (customer, turn) in (1..=customers).zip(&turns) {
        let holds = winners.iter().find(|(_, winner)| **winner == name_of(customer)).map(|(place, _)| *place);
        let told = turn.confirmed;
        ensure!(
            told.is_none() || told == holds,
            "customer-{customer} was told {told:?} is theirs, and holds {holds:?}"
        );
    }
    Ok(Sold { winners, reservations: turns.iter().filter(|turn| turn.reserved).count() })
}

fn name_of(customer: u32) -> String {
    format!("customer-{customer}")
}

async fn take_turn(bank: &Bank, offer: &Offer, customer: u32) -> anyhow::Result<Turn> {
    let id = format!("{}/{}", offer.name, name_of(customer));
    let Some(place) = reserve(bank, offer, customer, &id).await? else {
        return Ok(Turn { reserved: false, confirmed: None });
    };
    let kept = match customer % 3 {
        0 => false,
        1 => bank.subscriptions().ask(&id, GiveUp).await.map(|()| false).or_else(unless_too_late)?,
        _ => bank.subscriptions().ask(&id, Confirm).await.map(|()| true).or_else(unless_too_late)?,
    };
    Ok(Turn { reserved: true, confirmed: kept.then_some(place) })
}

fn unless_too_late(error: Error<SubscriptionRejection>) -> anyhow::Result<bool> {
    match error {
        Error::Rejected(SubscriptionRejection::TooLate { .. }) => Ok(false),
        error => Err(error.into()),
    }
}

/// Asks for one place after the other until one can be had; `None` when all are sold.
async fn reserve(bank: &Bank, offer: &Offer, customer: u32, id: &str) -> anyhow::Result<Option<u32>> {
    loop {
        for turn in 0..offer.places {
            let number = (customer + turn) % offer.places + 1;
            let place = Place { offer: offer.name.clone(), number };
            match bank.subscriptions().ask(id, Reserve { place, time: offer.time }).await {
                Ok(()) => return Ok(Some(number)),
                Err(Error::Rejected(SubscriptionRejection::PlaceTaken { .. })) => {}
                // They took part before.
                Err(Error::Rejected(SubscriptionRejection::HasPlace { .. })) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        if winners(bank, offer).await?.len() >= offer.places as usize {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Who holds which place for good.
///
/// # Errors
///
/// When the journal cannot tell.
pub async fn winners(bank: &Bank, offer: &Offer) -> anyhow::Result<BTreeMap<u32, String>> {
    let prefix = format!("{}/", offer.name);
    let held = bank.runtime().claims(PLACES).map(|claim| {
        let (claim, holder) = claim?;
        let number = claim.value().strip_prefix(&prefix).and_then(|number| number.parse().ok());
        let sold = number.filter(|_| holder.expires_at.is_none());
        let customer = holder.stream.aggregate_id().strip_prefix(&prefix).unwrap_or_default().to_owned();
        anyhow::Ok(sold.map(|number| (number, customer)))
    });
    held.try_filter_map(async |sold| Ok(sold)).try_collect().await
}
