//! What each command on holders and offers does.

use std::io::Write;
use std::time::Duration;

use anyhow::ensure;
use clap::Subcommand;

use crate::domain::{ChooseAlias, RegisterHolder};
use crate::offer::{self, Offer, Sold};
use crate::{Bank, alias};

const ALIAS_HELP: &str = "\
An alias is one holder's in the whole bank, whatever its case: two holders who choose one at the
same moment race for it, and one of them is rejected. The old alias is free in the same commit.";

const OFFER_HELP: &str = "\
Every customer reserves a place, if there is one; then a third of them confirm, a third give up,
and a third forget about it, so that their places go to the next when the time is up. Each place
is sold once.";

#[derive(Debug, Subcommand)]
pub(super) enum CustomerCommand {
    /// Make an account holder known to the bank
    Register {
        /// The holder's id
        holder: String,
        /// Who it is
        #[arg(long)]
        name: String,
        /// Where they live
        #[arg(long)]
        address: String,
    },
    /// Choose the alias that a holder is paid under
    #[command(after_long_help = ALIAS_HELP)]
    Alias {
        /// The holder's id
        holder: String,
        /// The alias, which nobody else has
        alias: String,
    },
    /// Tell whose alias it is
    WhoIs {
        /// The alias
        alias: String,
    },
    /// Sell an offer with few places to many customers
    #[command(after_long_help = OFFER_HELP)]
    Offer {
        /// The offer's name
        #[arg(default_value = "bonds")]
        name: String,
        /// How many places there are
        #[arg(long, default_value_t = 3, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        places: u32,
        /// How many customers want one
        #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        customers: u32,
        /// How long a reservation lasts, in milliseconds
        #[arg(long, default_value_t = 200, value_name = "MS")]
        reserved_ms: u64,
    },
}

pub(super) async fn obey(command: CustomerCommand, bank: &Bank, out: &mut dyn Write) -> anyhow::Result<()> {
    let holders = bank.holders();
    match command {
        CustomerCommand::Register { holder, name, address } => {
            let registered = holders.ask(&holder, RegisterHolder { name, address }).await?;
            writeln!(out, "{holder} is {}, of {}", registered.name(), registered.address())?;
        }
        CustomerCommand::Alias { holder, alias } => {
            holders.ask(&holder, ChooseAlias { alias: alias.clone() }).await?;
            writeln!(out, "{holder} has the alias {alias}")?;
        }
        CustomerCommand::WhoIs { alias } => match alias::holder_of(bank.runtime(), &alias).await? {
            Some(holder) => writeln!(out, "{alias} is {holder}")?,
            None => writeln!(out, "{alias} is nobody's alias")?,
        },
        CustomerCommand::Offer { name, places, customers, reserved_ms } => {
            let offer = Offer { name, places, time: Duration::from_millis(reserved_ms) };
            ensure!(!offer.name.contains('/'), "an offer's name has no slash");
            let Sold { winners, reservations } = offer::sell(bank, &offer, customers).await?;
            for (place, customer) in &winners {
                writeln!(out, "place {place} of {} is {customer}'s", offer.name)?;
            }
            let sold = winners.len();
            writeln!(
                out,
                "{sold} of {places} places sold to {customers} customers, after {reservations} reservations"
            )?;
        }
    }
    Ok(())
}
