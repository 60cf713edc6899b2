//! An article in a warehouse: how many pieces are in stock.

use onefold::{Aggregate, Context, Decision, Event, Handle};

#[derive(Default)]
pub(crate) struct Article {
    in_stock: u64,
    /// The supplier numbers its deliveries of an article; this is the last one that was received.
    last_delivery: u64,
}

#[derive(Event)]
#[event(prefix = "article")]
pub(crate) enum ArticleEvent {
    Received { delivery: u64, pieces: u64 },
    Taken { pieces: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("{wanted} pieces are wanted, {in_stock} are in stock")]
pub(crate) struct OutOfStock {
    wanted: u64,
    in_stock: u64,
}

impl Aggregate for Article {
    const TYPE: &'static str = "article";
    type Event = ArticleEvent;
    type Rejection = OutOfStock;
    type Services = ();

    fn apply(&mut self, event: &ArticleEvent) {
        match event {
            ArticleEvent::Received { delivery, pieces } => {
                self.last_delivery = *delivery;
                self.in_stock = self.in_stock.saturating_add(*pieces);
            }
            ArticleEvent::Taken { pieces } => self.in_stock -= pieces,
        }
    }
}

impl Article {
    pub(crate) fn in_stock(&self) -> u64 {
        self.in_stock
    }
}

/// Answered with the pieces in stock. Safe to repeat: a delivery that was received already changes nothing.
pub(crate) struct Receive {
    pub(crate) delivery: u64,
    pub(crate) pieces: u64,
}

impl Handle<Receive> for Article {
    type Reply = u64;

    async fn handle(&self, command: Receive, _: &Context<Self>) -> Result<Decision<Self, u64>, OutOfStock> {
        let Receive { delivery, pieces } = command;
        if delivery <= self.last_delivery {
            return Ok(self.reply(Article::in_stock));
        }
        Ok(self.emit(ArticleEvent::Received { delivery, pieces }).reply(Article::in_stock))
    }
}

/// Answered with the pieces that are left.
pub(crate) struct Take {
    pub(crate) pieces: u64,
}

impl Handle<Take> for Article {
    type Reply = u64;

    async fn handle(&self, Take { pieces }: Take, _: &Context<Self>) -> Result<Decision<Self, u64>, OutOfStock> {
        if pieces > self.in_stock {
            return Err(OutOfStock { wanted: pieces, in_stock: self.in_stock });
        }
        Ok(self.emit(ArticleEvent::Taken { pieces }).reply(Article::in_stock))
    }
}
