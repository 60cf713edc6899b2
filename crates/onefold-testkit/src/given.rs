//! Given these events, when this command, then those events and that reply: tests of an aggregate, without a runtime.
//!
//! ```text
//!   Given ──when(command)──▶ When ──.await──▶ Outcome ──then_events─────▶ Decided ──then_reply──▶ Done
//!                             ▲                  ├───────then_no_events──────▲│                     │
//!                             │                  └───────then_rejected───▶ Refused                  │
//!                             └──when(next command)──────────────────────────┴┴─────────────────────┘
//! ```
//!
//! Each step is a type of its own: what is said in another order does not compile. What happened to the aggregate always
//! comes before what was answered.
//!
//! Beside what the test expects, each step is held to what any aggregate must hold to: events come back from their bytes as
//! they were, in each codec and within the limits; `handle` and `apply` do not panic; and, where the test says how states
//! are compared, the state that lived is the one that a replay of the stored events gives.
//!
//! `course` keeps what runs, `claims` who holds which claim, `round_trip` goes to bytes and back, `outcome` has the expectations, `failure` the message.

mod claims;
mod course;
mod failure;
mod outcome;
mod round_trip;
mod services;
mod when;

use std::fmt::{self, Debug};
use std::sync::Arc;

use onefold_core::{Aggregate, ClaimName, Clock, CodecId, Handle, Limits, StreamId, StreamVersion, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::claims::{Claims, GivenClaim};
use self::course::Course;
pub use self::outcome::{Decided, Done, Outcome, Refused};
pub use self::services::{DefaultServices, InjectedServices, ProvideServices};
pub use self::when::When;
use crate::ManualClock;

/// What happened before: the beginning of a test. See the [module](mod@crate::given) for the order of its steps.
///
/// Events must be `Debug` and `PartialEq`, to be shown and compared, and commands `Debug`. A handler may wait for anything
/// that the test's executor serves; `cx.durable()` is there at once.
///
/// ```
/// use onefold_core::{Aggregate, Context, Decision, Handle};
/// use onefold_testkit::Given;
///
/// #[derive(Default)]
/// struct Account { balance: u64 }
///
/// #[derive(Debug, PartialEq, onefold_derive::Event)]
/// #[event(prefix = "account", crate = "onefold_core")]
/// enum AccountEvent { Deposited { amount: u64 }, Withdrawn { amount: u64 } }
/// use AccountEvent::{Deposited, Withdrawn};
///
/// #[derive(Debug, PartialEq, thiserror::Error)]
/// #[error("only {0} left")]
/// struct InsufficientFunds(u64);
///
/// impl Aggregate for Account {
///     const TYPE: &'static str = "account";
///     type Event = AccountEvent;
///     type Rejection = InsufficientFunds;
///     type Services = ();
///     fn apply(&mut self, event: &AccountEvent) {
///         match event {
///             Deposited { amount } => self.balance += amount,
///             Withdrawn { amount } => self.balance -= amount,
///         }
///     }
/// }
///
/// #[derive(Debug)]
/// struct Withdraw { amount: u64 }
///
/// impl Handle<Withdraw> for Account {
///     type Reply = u64;
///     async fn handle(&self, command: Withdraw, _: &Context<Self>) -> Result<Decision<Self, u64>, InsufficientFunds> {
///         if command.amount > self.balance { return Err(InsufficientFunds(self.balance)) }
///         Ok(self.emit(Withdrawn { amount: command.amount }).reply(|account| account.balance))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// Given::<Account>::events([Deposited { amount: 100 }])
///     .when(Withdraw { amount: 30 }).await
///     .then_events([Withdrawn { amount: 30 }])
///     .then_reply(70)
///     .when(Withdraw { amount: 71 }).await
///     .then_rejected(InsufficientFunds(70));
/// # }
/// ```
#[must_use = "nothing is tested before .when(command).await and what is expected of it"]
pub struct Given<A: Aggregate, S = DefaultServices> {
    events: Vec<A::Event>,
    setting: Setting<A>,
    version: Option<StreamVersion>,
    claims: Vec<GivenClaim>,
    services: S,
}

/// What holds for a whole test.
struct Setting<A: Aggregate> {
    stream: StreamId,
    clock: Arc<dyn Clock>,
    codecs: Vec<CodecId>,
    limits: Limits,
    /// How two states are told apart.
    compare: Option<Compare<A>>,
    /// Takes a state to bytes and back.
    reload: Option<round_trip::Reload<A>>,
}

/// Both states as text, when they differ.
type Compare<A> = Box<dyn Fn(&A, &A) -> Option<(String, String)> + Send + Sync>;

impl<A: Aggregate<Event: Debug + PartialEq>> Given<A> {
    /// An aggregate to which these events happened.
    ///
    /// # Panics
    ///
    /// When [`Aggregate::TYPE`] is not a valid one.
    #[track_caller]
    pub fn events(events: impl IntoIterator<Item = A::Event>) -> Self {
        Given {
            events: events.into_iter().collect(),
            setting: Setting {
                stream: stream::<A>(&format!("{}-1", A::TYPE)),
                clock: Arc::new(ManualClock::default()),
                codecs: CodecId::built_in().to_vec(),
                limits: Limits::default(),
                compare: None,
                reload: None,
            },
            version: None,
            claims: Vec::new(),
            services: DefaultServices,
        }
    }

    /// An aggregate to which nothing happened yet.
    ///
    /// # Panics
    ///
    /// When [`Aggregate::TYPE`] is not a valid one.
    #[track_caller]
    pub fn nothing() -> Self {
        Self::events([])
    }
}

impl<A: Aggregate, S> Given<A, S> {
    /// What handlers find as [`Context::services`](onefold_core::Context::services), by value or in an `Arc` of which the
    /// test keeps a clone. Without it they find the default, and where the type has none, a test without does not compile.
    pub fn services(self, services: impl Into<Arc<A::Services>>) -> Given<A, InjectedServices<A>> {
        let Given { events, setting, version, claims, .. } = self;
        Given { events, setting, version, claims, services: InjectedServices(services.into()) }
    }

    /// Which instance it is. Without it the id is the aggregate's type with `-1` behind it.
    ///
    /// # Panics
    ///
    /// When the id is not a valid one.
    #[track_caller]
    pub fn id(mut self, id: impl AsRef<str>) -> Self {
        self.setting.stream = stream::<A>(id.as_ref());
        self
    }

    /// The version after the given events, as if others had come before them. Without it, their number.
    ///
    /// # Panics
    ///
    /// When it is less than their number.
    #[track_caller]
    pub fn version(mut self, version: impl Into<StreamVersion>) -> Self {
        let (version, count) = (version.into(), self.events.len());
        assert!(version.get() >= count as u64, "after {count} events a stream cannot be at version {version}");
        self.version = Some(version);
        self
    }

    /// The aggregate holds the claim `namespace/value`, for good.
    ///
    /// Claims are decided as a journal decides them: what a decision asks for is done, or it is rejected as
    /// [`or_reject`](onefold_core::Decision::or_reject) says. A decision that is refused without such words fails the test, and so does a
    /// claim with a bad name. [`then_claims`](Decided::then_claims) compares what the aggregate holds afterwards.
    ///
    /// ```
    /// # use onefold_core::{Aggregate, Context, Decision, Handle};
    /// # use onefold_testkit::Given;
    /// # #[derive(Debug, PartialEq, onefold_derive::Event)]
    /// # #[event(prefix = "user", crate = "onefold_core")]
    /// # enum UserEvent { Renamed { name: String } }
    /// # use UserEvent::Renamed;
    /// # #[derive(Debug, PartialEq, thiserror::Error)]
    /// # #[error("{0} is taken")]
    /// # struct NameTaken(String);
    /// # #[derive(Default)]
    /// # struct User { name: Option<String> }
    /// # impl Aggregate for User {
    /// #     const TYPE: &'static str = "user";
    /// #     type Event = UserEvent;
    /// #     type Rejection = NameTaken;
    /// #     type Services = ();
    /// #     fn apply(&mut self, Renamed { name }: &UserEvent) { self.name = Some(name.clone()) }
    /// # }
    /// #[derive(Debug)]
    /// struct Rename { name: &'static str }
    ///
    /// impl Handle<Rename> for User {
    ///     type Reply = ();
    ///     async fn handle(&self, Rename { name }: Rename, _: &Context<Self>) -> Result<Decision<Self, ()>, NameTaken> {
    ///         let renamed = self.emit(Renamed { name: name.into() });
    ///         let claimed = renamed.claim("username", name).or_reject(move |_| NameTaken(name.into()));
    ///         Ok(match &self.name {
    ///             Some(before) => claimed.release("username", before),
    ///             None => claimed,
    ///         })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// Given::<User>::events([Renamed { name: "bob".into() }])
    ///     .holds("username", "bob")
    ///     .taken("username", "rob")
    ///     .when(Rename { name: "rob" }).await
    ///     .then_rejected(NameTaken("rob".into()))
    ///     .when(Rename { name: "robert" }).await
    ///     .then_events([Renamed { name: "robert".into() }])
    ///     .then_claims([("username", "robert")]);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// When there can be no such claim.
    #[track_caller]
    pub fn holds(self, namespace: &str, value: impl AsRef<str>) -> Self {
        self.claim(true, namespace, value.as_ref(), None)
    }

    /// The aggregate holds the claim until `expires_at`: what it reserved and did not confirm. See [`holds`](Given::holds).
    ///
    /// # Panics
    ///
    /// When there can be no such claim.
    #[track_caller]
    pub fn holds_until(self, namespace: &str, value: impl AsRef<str>, expires_at: Timestamp) -> Self {
        self.claim(true, namespace, value.as_ref(), Some(expires_at))
    }

    /// Somebody else holds the claim `namespace/value`, for good: an aggregate of the same type, with the id
    /// `somebody-else`. See [`holds`](Given::holds).
    ///
    /// # Panics
    ///
    /// When there can be no such claim.
    #[track_caller]
    pub fn taken(self, namespace: &str, value: impl AsRef<str>) -> Self {
        self.claim(false, namespace, value.as_ref(), None)
    }

    /// Somebody else holds the claim until `expires_at`. Whether that is over tells the [`clock`](Given::clock). See
    /// [`taken`](Given::taken).
    ///
    /// # Panics
    ///
    /// When there can be no such claim.
    #[track_caller]
    pub fn taken_until(self, namespace: &str, value: impl AsRef<str>, expires_at: Timestamp) -> Self {
        self.claim(false, namespace, value.as_ref(), Some(expires_at))
    }

    #[track_caller]
    fn claim(mut self, is_own: bool, namespace: &str, value: &str, expires_at: Option<Timestamp>) -> Self {
        match ClaimName::new(namespace, value) {
            Ok(name) => self.claims.push(GivenClaim { name, is_own, expires_at }),
            Err(error) => panic!("{error}"),
        }
        self
    }

    /// What handlers read as [`Context::now`](onefold_core::Context::now). Without it, a [`ManualClock`] that stands at 0.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.setting.clock = Arc::new(clock);
        self
    }

    /// Which codecs events, states and replies must survive. Without it, all that are
    /// [built in](CodecId::built_in). (An event of your own making is spared those that it answers with
    /// [`NotBuiltIn`](onefold_core::CodecError::NotBuiltIn), unless there is no other.)
    pub fn codecs(mut self, codecs: impl IntoIterator<Item = CodecId>) -> Self {
        self.setting.codecs = codecs.into_iter().collect();
        self
    }

    /// The limits that events must keep, when your runtime has others than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.setting.limits = limits;
        self
    }

    /// Compares the state that lived with the one that the stored events give when they are replayed, after each step.
    /// What it finds: an `apply` that is not pure, and a part of the state that events do not carry.
    pub fn compare_states(mut self) -> Self
    where
        A: Debug + PartialEq,
    {
        self.setting.compare =
            Some(Box::new(|one, other| (one != other).then(|| (format!("{one:#?}"), format!("{other:#?}")))));
        self
    }

    /// As [`compare_states`](Given::compare_states), by what `view` makes of a state: for states that are not `PartialEq`,
    /// or of which some part may differ. `|account| format!("{account:#?}")` will do.
    pub fn compare_states_by(mut self, view: impl Fn(&A) -> String + Send + Sync + 'static) -> Self {
        self.setting.compare = Some(Box::new(move |one, other| {
            let (one, other) = (view(one), view(other));
            (one != other).then_some((one, other))
        }));
        self
    }

    /// Takes the state through each codec and back after each step, and goes on with what comes back, as after a restart
    /// from a snapshot. What comes back must be as it was: in the eyes of [`compare_states`](Given::compare_states), where
    /// the test says it, otherwise in its bytes when it is encoded once more. (So a state that holds a `HashMap`, whose order
    /// is never the same, needs the former.)
    pub fn round_trip_states(mut self) -> Self
    where
        A: Serialize + DeserializeOwned,
    {
        self.setting.reload = Some(round_trip::reload::<A>);
        self
    }

    /// The command.
    pub fn when<C>(self, command: C) -> When<A, C>
    where
        A: Handle<C>,
        C: Debug + Send + 'static,
        S: ProvideServices<A>,
    {
        let version = self.version.unwrap_or(StreamVersion::new(self.events.len() as u64));
        let claims = Claims::new(&self.setting.stream, self.claims);
        When::new(Course::new(self.setting, self.events, version, claims, self.services.provide()), command)
    }
}

#[track_caller]
fn stream<A: Aggregate>(id: &str) -> StreamId {
    match StreamId::new(A::TYPE, id) {
        Ok(stream) => stream,
        Err(error) => panic!("{error}"),
    }
}

impl<A: Aggregate<Event: Debug>, S> fmt::Debug for Given<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given")
            .field("stream", &self.setting.stream)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
