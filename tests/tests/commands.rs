//! What `docs/guide/commands.md` shows: its excerpts stand here, and run. The domain is the bank's.

use std::error::Error as StdError;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use onefold::{
    Aggregate, Aggregates, BulkError, Context, Decision, Error, Event, ExpectedVersion, Handle, MemoryJournal, Merge,
    RetryPolicy, Runtime,
};
use onefold_bank::domain::{Account, Deposit, Holder, Open, Withdraw};
use onefold_bank::{AccountError, Money};

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
    println!("ada holds {} at version {}", receipt.reply.balance, receipt.version);
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
    let after = accounts.read_with_version("ada", |account, version| (account.balance(), version.get())).await?;
    assert_eq!(after, (amount, 2), "the conflicting deposit is not stored");

    let fresh = accounts.ask("bob", Open { owner: "Bob".to_owned() }).expect_version(ExpectedVersion::NoStream);
    fresh.await?;
    Ok(())
}

/// Somebody's phone and e-mail.
#[derive(Default)]
struct Contact {
    phone: String,
    email: String,
}

#[derive(Event)]
#[event(prefix = "contact")]
enum ContactEvent {
    PhoneChanged { phone: String },
    EmailChanged { email: String },
}

struct ChangePhone(String);
struct ChangeEmail(String);

impl Aggregate for Contact {
    const TYPE: &'static str = "contact";
    type Event = ContactEvent;
    type Rejection = std::convert::Infallible;
    type Services = ();

    fn apply(&mut self, event: &ContactEvent) {
        match event {
            ContactEvent::PhoneChanged { phone } => self.phone.clone_from(phone),
            ContactEvent::EmailChanged { email } => self.email.clone_from(email),
        }
    }
}

impl Handle<ChangePhone> for Contact {
    type Reply = String;

    async fn handle(&self, change: ChangePhone, _: &Context<Self>) -> Result<Decision<Self, String>, Self::Rejection> {
        let event = ContactEvent::PhoneChanged { phone: change.0 };
        Ok(self.emit(event).reply(|contact| format!("{}, {}", contact.phone, contact.email)))
    }
}

impl Handle<ChangeEmail> for Contact {
    type Reply = ();

    async fn handle(&self, change: ChangeEmail, _: &Context<Self>) -> Result<Decision<Self, ()>, Self::Rejection> {
        Ok(self.emit(ContactEvent::EmailChanged { email: change.0 }))
    }
}

impl Merge<ChangePhone> for Contact {
    fn merges(_: &ChangePhone, missed: &[ContactEvent]) -> bool {
        missed.iter().all(|event| matches!(event, ContactEvent::EmailChanged { .. }))
    }
}

#[tokio::test]
async fn merging() -> Outcome {
    let runtime = Runtime::builder(MemoryJournal::new()).aggregate::<Contact>(()).start().await?;
    let contacts = runtime.aggregates::<Contact>()?;
    contacts.ask("ada", ChangePhone("1".into())).await?;
    contacts.ask("ada", ChangeEmail("ada@example.org".into())).await?;
    let merged = contacts.ask("ada", ChangePhone("2".into())).expect_version(1u64).or_merge().with_receipt().await?;
    assert_eq!((merged.reply.as_str(), merged.version.get()), ("2, ada@example.org", 3));
    let conflict = contacts.ask("ada", ChangePhone("3".into())).expect_version(1u64).or_merge().await;
    assert!(matches!(conflict, Err(Error::Conflict { .. })));
    Ok(())
}

#[tokio::test]
async fn retries() -> Outcome {
    let (_runtime, accounts, _) = bank().await?;
    let amount = money(100);
    let policy = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
    let ask = accounts.ask("ada", Deposit { amount }).retry(policy).deadline(Duration::from_secs(5));
    let deposited = ask.await?;
    assert_eq!(deposited.balance, amount);
    Ok(())
}

async fn deposit_once(
    accounts: &Aggregates<Account>,
    id: &str,
    order: &str,
    amount: Money,
) -> Result<Money, AccountError> {
    let deposited = accounts.ask(id, Deposit { amount }).idempotency_key(order).await?;
    Ok(deposited.balance)
}

#[tokio::test]
async fn idempotency() -> Outcome {
    let (_runtime, accounts, _) = bank().await?;
    for _ in 0..3 {
        assert_eq!(deposit_once(&accounts, "ada", "order-17", money(100)).await?, money(100));
    }
    assert_eq!(deposit_once(&accounts, "ada", "order-18", money(100)).await?, money(200));
    assert!(matches!(deposit_once(&accounts, "ada", "order-17", money(5)).await, Err(Error::KeyReused { .. })));
    Ok(())
}

#[tokio::test]
async fn bulk() -> Outcome {
    let (_runtime, accounts, _) = bank().await?;
    let amount = money(10);
    let (paid, drawn) =
        accounts.ask_all("ada", (Deposit { amount: money(100) }, Withdraw { amount: money(40) })).await?;
    let receipts = accounts.ask_all("ada", vec![Deposit { amount }; 3]).await?;
    assert_eq!((paid.balance, drawn.balance, receipts[2].balance), (money(100), money(60), money(90)));

    let too_much = accounts.ask_all("ada", (Deposit { amount }, Withdraw { amount: money(1_000_000) })).await;
    let BulkError { index, error } = too_much.unwrap_err();
    println!("command {index:?} of the two: {error}");
    assert_eq!((index, accounts.read("ada", Account::balance).await?), (Some(1), money(90)));
    Ok(())
}

#[tokio::test]
async fn many_aggregates() -> Outcome {
    let (_runtime, accounts, _) = bank().await?;
    let amount = money(10);
    let ids = ["ada", "bob", "eve"];
    let answers = accounts.ask_many(ids.map(|id| (id, Deposit { amount })), 64).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "bob and eve have no account");

    let hurried = accounts.ask_many(ids.map(|id| (id, Deposit { amount })), 2);
    let hurried = hurried.each(|ask| ask.deadline(Duration::from_secs(1)).with_receipt());
    let mut coming = std::pin::pin!(hurried.as_they_come());
    while let Some((index, answer)) = coming.next().await {
        println!("{}: {answer:?}", ids[index]);
    }

    let again = accounts.ask_many(ids.map(|id| (id, Deposit { amount })), 2);
    let again = again.each(|ask| ask.deadline(Duration::from_secs(1)).with_receipt());
    let mut answers: Vec<_> = again.as_they_come().collect().await;
    answers.sort_by_key(|(index, _)| *index);
    let [(0, Ok(ada)), (1, Err(bob)), (2, Err(eve))] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((ada.reply.balance, ada.version.get()), (money(30), 4), "each of the three has deposited");
    assert!([bob, eve].iter().all(|error| error.rejection().is_some()), "they have no account");
    Ok(())
}
