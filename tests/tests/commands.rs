//! What `docs/guide/commands.md` shows: its excerpts stand here, and run. The domain is the bank's.

use std::error::Error as StdError;

use futures_util::TryStreamExt;
use onefold::{Aggregates, Error, ExpectedVersion, MemoryJournal, Runtime};
use onefold_bank::Money;
use onefold_bank::domain::{Account, Deposit, Holder, Open};

type Outcome = Result<(), Box<dyn StdError + Send + Sync>>;

/// A bank in memory: Ada has an account, version 1.
async fn bank() -> Result<(Runtime, Aggregates<Account>, Aggregates<Holder>), Box<dyn StdError + Send + Sync>> {
    let runtime =
        Runtime::builder(MemoryJournal::new()).aggregate::<Account>(()).aggregate::<Holder>(()).start().await?;
    let (accounts, holders) = (runtime.aggregates::<Account>()?, runtime.aggregates::<Holder>()?);
    accounts.ask("ada", Open { owner: "Ada".to_owned() }).await?;
    Ok((runtime, accounts, holders))
}

fn money(cents: u64) -> Money {
    Money::from_cents(cents)
}

#[tokio::test]
async fn receipts() -> Outcome {
    let (_runtime, accounts, _) = bank().await?;
    let amount = money(100);
    let receipt = accounts.ask("ada", Deposit { amount }).with_receipt().await?;
    println!("{} holds {} at version {}", "ada", receipt.reply.balance, receipt.version);
    println!("a read model that got to {} shows it", receipt.position);
    assert_eq!((receipt.version.get(), receipt.position.get(), receipt.commit.get()), (2, 2, 2));

    let looked = accounts.read("ada", Account::balance).with_receipt().await?;
    assert!(looked.position >= receipt.position);
    Ok(())
}

#[tokio::test]
async fn expected_versions() -> Outcome {
    let (_runtime, accounts, _) = bank().await?;
    let amount = money(100);
    let (balance, version) = accounts.read_with_version("ada", |account, version| (account.balance(), version)).await?;
    // Somebody else is quicker.
    accounts.ask("ada", Deposit { amount }).await?;

    match accounts.ask("ada", Deposit { amount }).expect_version(version).await {
        Ok(deposited) => println!("{balance} became {}", deposited.balance),
        Err(Error::Conflict { expected, actual, .. }) => {
            // Surely not stored. What came in between:
            let missed: Vec<_> = accounts.events("ada", expected)?.try_collect().await?;
            println!("{} events later it is at version {actual}: {missed:?}", missed.len());
            assert_eq!(missed.len(), 1);
        }
        Err(other) => return Err(other.into()),
    }

    let fresh = accounts.ask("bob", Open { owner: "Bob".to_owned() }).expect_version(ExpectedVersion::NoStream);
    fresh.await?;
    Ok(())
}
