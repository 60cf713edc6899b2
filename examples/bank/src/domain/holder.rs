//! The account holder: who somebody is and where they live. Two clerks edit it at the same time.
//!
//! ```text
//!   RegisterHolder ─▶ ┌────────┐ ──▶ Registered
//!   ChangeName ─────▶ │ Holder │ ──▶ NameChanged
//!   ChangeAddress ──▶ │        │ ──▶ AddressChanged    nothing, if it is so already
//!   ChooseAlias ────▶ └────────┘ ──▶ AliasChosen       see alias.rs
//!   LookAtHolder ──▶   (no event)  ──▶ the holder
//! ```
//!
//! What the two edits miss of each other does not matter to them: see the two implementations of [`Merge`].

pub mod alias;
#[cfg(test)]
mod tests;

use onefold::{Aggregate, AggregateId, Context, Decision, Event, Handle, Merge};
use serde::{Deserialize, Serialize};

/// An account holder. Before they are registered they have no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    name: String,
    address: String,
    alias: Option<String>,
}

impl Holder {
    /// Who it is; empty when they are not registered.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where they live.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What they are paid under, as they write it.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    fn require_registered(&self, holder: &AggregateId) -> Result<(), HolderRejection> {
        match self.name.is_empty() {
            true => Err(HolderRejection::NotRegistered { holder: holder.clone() }),
            false => Ok(()),
        }
    }
}

/// A fact about a holder.
#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
#[event(prefix = "holder")]
pub enum HolderEvent {
    /// They became known to the bank.
    Registered {
        /// Who it is.
        name: String,
        /// Where they live.
        address: String,
    },
    /// They go by another name.
    NameChanged {
        /// The name from now on.
        name: String,
    },
    /// They moved.
    AddressChanged {
        /// The address from now on.
        address: String,
    },
    /// They are paid under another alias.
    AliasChosen {
        /// The alias from now on, as they write it.
        alias: String,
    },
}

/// The domain's reasons to refuse a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HolderRejection {
    /// Nobody registered them yet.
    #[error("holder {holder} is not registered")]
    NotRegistered {
        /// Whom.
        holder: AggregateId,
    },
    /// They can be registered only once.
    #[error("holder {holder} is already registered")]
    AlreadyRegistered {
        /// Whom.
        holder: AggregateId,
    },
    /// Another holder has the alias.
    #[error("holder {holder} cannot have the alias {alias}: somebody else has it")]
    AliasTaken {
        /// Who wants it.
        holder: AggregateId,
        /// As they write it.
        alias: String,
    },
    /// A blank name, address or alias.
    #[error("holder {holder} needs {what}")]
    Blank {
        /// Whom.
        holder: AggregateId,
        /// What is missing.
        what: &'static str,
    },
}

/// Makes a holder known to the bank.
#[derive(Clone, Debug)]
pub struct RegisterHolder {
    /// Who it is; not blank.
    pub name: String,
    /// Where they live; not blank.
    pub address: String,
}

/// They go by another name from now on.
#[derive(Clone, Debug)]
pub struct ChangeName {
    /// The whole name; not blank.
    pub name: String,
}

/// They live elsewhere from now on.
#[derive(Clone, Debug)]
pub struct ChangeAddress {
    /// The whole address; not blank.
    pub address: String,
}

/// Asks for the holder as they are. Changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct LookAtHolder;

impl Aggregate for Holder {
    const TYPE: &'static str = "holder";
    type Event = HolderEvent;
    type Rejection = HolderRejection;
    type Services = ();

    fn apply(&mut self, event: &HolderEvent) {
        match event.clone() {
            HolderEvent::Registered { name, address } => *self = Holder { name, address, alias: None },
            HolderEvent::NameChanged { name } => self.name = name,
            HolderEvent::AddressChanged { address } => self.address = address,
            HolderEvent::AliasChosen { alias } => self.alias = Some(alias),
        }
    }

    fn weight(&self) -> usize {
        self.name.capacity() + self.address.capacity() + self.alias.as_ref().map_or(0, String::capacity)
    }
}

fn require_text(text: &str, what: &'static str, holder: &AggregateId) -> Result<(), HolderRejection> {
    match text.trim().is_empty() {
        true => Err(HolderRejection::Blank { holder: holder.clone(), what }),
        false => Ok(()),
    }
}

impl Handle<RegisterHolder> for Holder {
    type Reply = Holder;

    async fn handle(
        &self,
        RegisterHolder { name, address }: RegisterHolder,
        cx: &Context<Self>,
    ) -> Result<Decision<Self, Holder>, HolderRejection> {
        if !self.name.is_empty() {
            return Err(HolderRejection::AlreadyRegistered { holder: cx.id().clone() });
        }
        require_text(&name, "a name", cx.id())?;
        require_text(&address, "an address", cx.id())?;
        Ok(self.emit(HolderEvent::Registered { name, address }).reply(Holder::clone))
    }
}

impl Handle<ChangeName> for Holder {
    type Reply = Holder;

    async fn handle(
        &self,
        ChangeName { name }: ChangeName,
        cx: &Context<Self>,
    ) -> Result<Decision<Self, Holder>, HolderRejection> {
        self.require_registered(cx.id())?;
        require_text(&name, "a name", cx.id())?;
        match name == self.name {
            true => Ok(self.reply(Holder::clone)),
            false => Ok(self.emit(HolderEvent::NameChanged { name }).reply(Holder::clone)),
        }
    }
}

impl Handle<ChangeAddress> for Holder {
    type Reply = Holder;

    async fn handle(
        &self,
        ChangeAddress { address }: ChangeAddress,
        cx: &Context<Self>,
    ) -> Result<Decision<Self, Holder>, HolderRejection> {
        self.require_registered(cx.id())?;
        require_text(&address, "an address", cx.id())?;
        match address == self.address {
            true => Ok(self.reply(Holder::clone)),
            false => Ok(self.emit(HolderEvent::AddressChanged { address }).reply(Holder::clone)),
        }
    }
}

/// A new name goes together with new addresses and aliases, however many; two new names do not, and being registered comes
/// before all. So it is with a new address.
impl Merge<ChangeName> for Holder {
    fn merges(_: &ChangeName, missed: &[HolderEvent]) -> bool {
        missed.iter().all(|event| matches!(event, HolderEvent::AddressChanged { .. } | HolderEvent::AliasChosen { .. }))
    }
}

impl Merge<ChangeAddress> for Holder {
    fn merges(_: &ChangeAddress, missed: &[HolderEvent]) -> bool {
        missed.iter().all(|event| matches!(event, HolderEvent::NameChanged { .. } | HolderEvent::AliasChosen { .. }))
    }
}

impl Handle<LookAtHolder> for Holder {
    type Reply = Holder;

    async fn handle(&self, _: LookAtHolder, _: &Context<Self>) -> Result<Decision<Self, Holder>, HolderRejection> {
        Ok(self.reply(Holder::clone))
    }
}
