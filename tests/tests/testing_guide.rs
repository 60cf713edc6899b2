//! The tests that `docs/guide/testing.md` shows, of an order that has a price, a deadline and a snapshot.

use std::sync::Arc;
use std::time::Duration;

use onefold::{Aggregate, Context, Decision, Event, Handle, Metadata, Timestamp};
use onefold_testkit::given::ProvideServices;
use onefold_testkit::{Given, ManualClock};
use serde::{Deserialize, Serialize};

use self::OrderEvent::{Cancelled, Placed};

/// How long an order can be cancelled.
const CANCELLABLE: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Order {
    placed: Option<Timestamp>,
    total_cents: u64,
    is_cancelled: bool,
}

#[derive(Debug, PartialEq, Event)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed { pieces: u64, price_cents: u64, at: Timestamp, by: Option<String> },
    Cancelled,
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum OrderRejection {
    #[error("there is no such order")]
    NotPlaced,
    #[error("the order was placed already")]
    AlreadyPlaced,
    #[error("an order can be cancelled for a day")]
    TooLate,
}

/// Looks prices up: over the network in the service, in the hand in a test.
trait Prices: Send + Sync {
    fn price_cents(&self, article: &str) -> u64;
}

impl Aggregate for Order {
    const TYPE: &'static str = "order";
    type Event = OrderEvent;
    type Rejection = OrderRejection;
    type Services = Box<dyn Prices>;

    fn apply(&mut self, event: &OrderEvent) {
        match event {
            Placed { pieces, price_cents, at, by: _ } => {
                (self.placed, self.total_cents) = (Some(*at), pieces * price_cents);
            }
            Cancelled => self.is_cancelled = true,
        }
    }
}

#[derive(Debug)]
struct Place {
    article: &'static str,
    pieces: u64,
}

#[derive(Debug)]
struct Cancel;

impl Handle<Place> for Order {
    /// The total, in cents.
    type Reply = u64;

    async fn handle(&self, command: Place, cx: &Context<Self>) -> Result<Decision<Self, u64>, OrderRejection> {
        if self.placed.is_some() {
            return Err(OrderRejection::AlreadyPlaced);
        }
        let price_cents = cx.services().price_cents(command.article);
        let by = cx.metadata().entries.get("user").map(str::to_owned);
        let placed = Placed { pieces: command.pieces, price_cents, at: cx.now(), by };
        Ok(self.emit(placed).reply(|order| order.total_cents))
    }
}

impl Handle<Cancel> for Order {
    type Reply = ();

    async fn handle(&self, _: Cancel, cx: &Context<Self>) -> Result<Decision<Self, ()>, OrderRejection> {
        let placed = self.placed.ok_or(OrderRejection::NotPlaced)?;
        if self.is_cancelled {
            return Ok(Decision::nothing());
        }
        match cx.now().to_system_time() > placed.to_system_time() + CANCELLABLE {
            true => Err(OrderRejection::TooLate),
            false => Ok(self.emit(Cancelled)),
        }
    }
}

fn placed() -> OrderEvent {
    Placed { pieces: 2, price_cents: 350, at: Timestamp::default(), by: None }
}

/// Three for a piece, whatever it is.
struct Three;

impl Prices for Three {
    fn price_cents(&self, _: &str) -> u64 {
        300
    }
}

fn services() -> Box<dyn Prices> {
    Box::new(Three)
}

/// An order to which these events happened. What it says holds for every test in this file.
fn order(events: impl IntoIterator<Item = OrderEvent>) -> Given<Order, impl ProvideServices<Order>> {
    Given::events(events).services(services()).compare_states().round_trip_states()
}

#[tokio::test]
async fn an_order_is_cancelled_once() {
    Given::<Order>::events([placed()])
        .services(services())
        .when(Cancel)
        .await
        .then_events([Cancelled])
        .then_reply(())
        .when(Cancel)
        .await
        .then_no_events();
}

#[tokio::test]
async fn an_order_is_placed_once() {
    order([placed()]).when(Place { article: "cup", pieces: 1 }).await.then_rejected(OrderRejection::AlreadyPlaced);
}

#[tokio::test]
async fn the_price_is_the_one_of_today() {
    let expected = Placed { pieces: 3, price_cents: 300, at: Timestamp::from_micros(7), by: Some("ada".to_owned()) };
    let mut metadata = Metadata::default();
    metadata.entries.set("user", "ada");
    order([])
        .clock(ManualClock::at(Timestamp::from_micros(7)))
        .when(Place { article: "cup", pieces: 3 })
        .metadata(metadata)
        .await
        .then_events([expected])
        .round_trip_reply()
        .then_reply(900);
}

#[tokio::test]
async fn an_order_is_cancellable_for_a_day() {
    let clock = ManualClock::default();
    let given = order([placed()]).clock(clock.clone());
    clock.advance(CANCELLABLE + Duration::from_secs(1));
    let refused = given.when(Cancel).await.then_rejected(OrderRejection::TooLate);
    clock.set(Timestamp::default());
    refused.when(Cancel).await.then_events([Cancelled]);
}

#[tokio::test]
async fn the_services_were_asked_for_this_article() {
    struct Asked(parking_lot::Mutex<Vec<String>>);
    impl Prices for Arc<Asked> {
        fn price_cents(&self, article: &str) -> u64 {
            self.0.lock().push(article.to_owned());
            1
        }
    }
    let asked = Arc::new(Asked(parking_lot::Mutex::default()));
    let prices: Box<dyn Prices> = Box::new(asked.clone());
    let given = Given::<Order>::nothing().services(prices);
    given.when(Place { article: "cup", pieces: 1 }).await.then_events([Placed {
        pieces: 1,
        price_cents: 1,
        at: Timestamp::default(),
        by: None,
    }]);
    assert_eq!(*asked.0.lock(), ["cup"]);
}
