//! What `docs/guide/claims.md` shows: user names, and seats that are reserved before they are paid for.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use onefold::{Aggregate, Context, Decision, Error, ErrorKind, Event, Handle, MemoryJournal, Runtime, StreamId};
use onefold_testkit::{Given, ManualClock};
use serde::{Deserialize, Serialize};

use self::UserEvent::{NameGiven, Paid, Registered, Renamed, Reserved, WalkedAway};

#[derive(Debug, Default)]
struct User {
    name: String,
    seat: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(prefix = "user")]
enum UserEvent {
    Registered { name: String },
    Renamed { name: String },
    NameGiven { to: String },
    Reserved { seat: String },
    Paid,
    WalkedAway,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum UserRejection {
    #[error("{name} is taken")]
    NameTaken { name: String },
    #[error("{seat} is taken")]
    SeatTaken { seat: String },
    #[error("the reservation is over")]
    TooLate,
}

impl Aggregate for User {
    const TYPE: &'static str = "user";
    type Event = UserEvent;
    type Rejection = UserRejection;
    type Services = ();

    fn apply(&mut self, event: &UserEvent) {
        match event {
            Registered { name } | Renamed { name } => self.name.clone_from(name),
            Reserved { seat } => self.seat.clone_from(seat),
            NameGiven { .. } => self.name.clear(),
            Paid => {}
            WalkedAway => self.seat.clear(),
        }
    }
}

struct Register {
    name: String,
}

#[derive(Debug)]
struct Rename {
    name: String,
}

struct GiveName {
    to: StreamId,
}

struct Reserve {
    seat: String,
}

struct Pay;

struct WalkAway;

/// How long a seat waits for its money.
const RESERVED: Duration = Duration::from_secs(600);

type Decided = Result<Decision<User, ()>, UserRejection>;

impl Handle<Register> for User {
    type Reply = ();

    async fn handle(&self, Register { name }: Register, _: &Context<Self>) -> Decided {
        let registered = self.emit(Registered { name: name.clone() });
        let claimed = registered.claim("username", name.to_lowercase());
        Ok(claimed.or_reject(|_| UserRejection::NameTaken { name }))
    }
}

impl Handle<Rename> for User {
    type Reply = ();

    async fn handle(&self, Rename { name }: Rename, _: &Context<Self>) -> Decided {
        let (old, new) = (self.name.to_lowercase(), name.to_lowercase());
        let renamed = self.emit(Renamed { name: name.clone() });
        let renamed = renamed.claim("username", &new).or_reject(|_| UserRejection::NameTaken { name });
        Ok(if old == new { renamed } else { renamed.release("username", old) })
    }
}

impl Handle<GiveName> for User {
    type Reply = ();

    async fn handle(&self, GiveName { to }: GiveName, _: &Context<Self>) -> Decided {
        let given = self.emit(NameGiven { to: to.to_string() });
        Ok(given.move_claim("username", self.name.to_lowercase(), to))
    }
}

impl Handle<Reserve> for User {
    type Reply = ();

    async fn handle(&self, Reserve { seat }: Reserve, cx: &Context<Self>) -> Decided {
        let reserved = self.emit(Reserved { seat: seat.clone() });
        let held = reserved.hold("seat", &seat, cx.now().plus(RESERVED));
        Ok(held.or_reject(|_| UserRejection::SeatTaken { seat }))
    }
}

impl Handle<Pay> for User {
    type Reply = ();

    async fn handle(&self, _: Pay, _: &Context<Self>) -> Decided {
        Ok(self.emit(Paid).confirm("seat", &self.seat).or_reject(|_| UserRejection::TooLate))
    }
}

impl Handle<WalkAway> for User {
    type Reply = ();

    async fn handle(&self, _: WalkAway, _: &Context<Self>) -> Decided {
        Ok(self.emit(WalkedAway).release("seat", &self.seat).or_reject(|_| UserRejection::TooLate))
    }
}

async fn start(clock: &ManualClock) -> Runtime {
    let builder = Runtime::builder(MemoryJournal::new()).clock(clock.clone());
    builder.aggregate::<User>(()).start().await.unwrap()
}

fn register(name: &str) -> Register {
    Register { name: name.into() }
}

fn rename(name: &str) -> Rename {
    Rename { name: name.into() }
}

fn reserve(seat: &str) -> Reserve {
    Reserve { seat: seat.into() }
}

#[tokio::test]
async fn refused_name_leaves_the_old_one() {
    Given::<User>::events([Registered { name: "Bob".into() }])
        .holds("username", "bob")
        .taken("username", "rob")
        .when(rename("Rob"))
        .await
        .then_rejected(UserRejection::NameTaken { name: "Rob".into() })
        .when(rename("Robert"))
        .await
        .then_events([Renamed { name: "Robert".into() }])
        .then_claims([("username", "robert")]);
}

#[tokio::test]
async fn two_users_register_one_name_at_the_same_moment() {
    let runtime = start(&ManualClock::default()).await;
    let users = runtime.aggregates::<User>().unwrap();
    let (one, other) = tokio::join!(users.ask("1", register("Bob")), users.ask("2", register("bob")));
    assert_eq!(one, Ok(()));
    assert_eq!(other, Err(Error::Rejected(UserRejection::NameTaken { name: "bob".into() })));
}

#[tokio::test]
async fn names_move_and_are_looked_up() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = start(&ManualClock::default()).await;
    let users = runtime.aggregates::<User>()?;
    users.ask("1", register("Bob")).await?;
    users.ask("1", rename("Robert")).await?;
    users.ask("2", register("bob")).await?;

    let holder = runtime.claim("username", "robert").await?;
    assert_eq!(holder.map(|holder| holder.stream.aggregate_id().to_owned()).as_deref(), Some("1"));

    let names = runtime.claims("username").map_ok(|(claim, _holder)| claim.value().to_owned());
    assert_eq!(names.try_collect::<Vec<_>>().await?, ["bob", "robert"]);

    users.ask("2", GiveName { to: StreamId::new("user", "3")? }).await?;
    assert_eq!(
        runtime.claim("username", "bob").await?.map(|holder| holder.stream.to_string()).as_deref(),
        Some("user/3")
    );
    let invalid = users.ask("4", register("")).await.map_err(|error| error.kind());
    assert_eq!(invalid, Err(ErrorKind::InvalidClaim));
    assert_eq!(runtime.claims("seat").count().await, 0);
    Ok(())
}

#[tokio::test]
async fn seat_is_paid_for_or_goes_to_the_next() {
    let clock = ManualClock::default();
    let runtime = start(&clock).await;
    let users = runtime.aggregates::<User>().unwrap();
    users.ask("1", reserve("A1")).await.unwrap();
    let taken = Error::Rejected(UserRejection::SeatTaken { seat: "A1".into() });
    assert_eq!(users.ask("2", reserve("A1")).await, Err(taken.clone()));

    clock.advance(RESERVED);
    users.ask("2", reserve("A1")).await.unwrap();
    assert_eq!(users.ask("1", Pay).await, Err(Error::Rejected(UserRejection::TooLate)));
    users.ask("2", Pay).await.unwrap();

    clock.advance(RESERVED);
    assert_eq!(users.ask("3", reserve("A1")).await, Err(taken), "what is paid for is for good");
    users.ask("3", reserve("A2")).await.unwrap();
    users.ask("3", WalkAway).await.unwrap();
    assert!(runtime.claim("seat", "A2").await.unwrap().is_none());
}
