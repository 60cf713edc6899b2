//! The aggregate: an account that counts its events.

use std::convert::Infallible;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Account {
    events: u64,
}

/// The only command: append this event.
pub(crate) struct Deposit {
    pub(crate) event: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum AccountEvent {
    Deposited { payload: String },
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Deposit;
    type Event = AccountEvent;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, deposit: Deposit, _services: &(), sink: &EventSink<Self>) -> Result<(), Infallible> {
        let event = AccountEvent::Deposited { payload: deposit.event };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, _event: AccountEvent) {
        self.events += 1;
    }
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        "Deposited".to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}
