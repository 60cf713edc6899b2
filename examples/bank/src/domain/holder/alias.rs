//! A holder's payment alias: a name to pay to, which only one holder of the bank has.
//!
//! No holder can see the others, so it is a claim that makes the alias unique: `alias/countess`, with the case folded, because
//! `Countess` is to be the same alias. A new alias releases the old one in the same commit.

#[cfg(test)]
mod tests;

use onefold::{Aggregate as _, Context, Decision, Handle, Merge};

use super::{Holder, HolderEvent, HolderRejection, require_text};

/// The namespace of the claims on aliases.
pub const ALIASES: &str = "alias";

/// They want to be paid under this name; one that they had before is free again.
#[derive(Clone, Debug)]
pub struct ChooseAlias {
    /// As they write it; not blank.
    pub alias: String,
}

/// What makes two aliases the same.
pub fn folded(alias: &str) -> String {
    alias.trim().to_lowercase()
}

impl Handle<ChooseAlias> for Holder {
    type Reply = Holder;

    async fn handle(
        &self,
        ChooseAlias { alias }: ChooseAlias,
        cx: &Context<Self>,
    ) -> Result<Decision<Self, Holder>, HolderRejection> {
        self.require_registered(cx.id())?;
        require_text(&alias, "an alias", cx.id())?;
        if self.alias() == Some(alias.as_str()) {
            return Ok(self.reply(Holder::clone));
        }
        let (claimed, before) = (folded(&alias), self.alias().map(folded));
        let taken = HolderRejection::AliasTaken { holder: cx.id().clone(), alias: alias.clone() };
        let chosen = self.emit(HolderEvent::AliasChosen { alias }).claim(ALIASES, &claimed).or_reject(|_| taken);
        let chosen = match before {
            Some(before) if before != claimed => chosen.release(ALIASES, before),
            _ => chosen,
        };
        Ok(chosen.reply(Holder::clone))
    }
}

/// It has nothing to do with who they are and where they live.
impl Merge<ChooseAlias> for Holder {
    fn merges(_: &ChooseAlias, missed: &[HolderEvent]) -> bool {
        missed.iter().all(|event| matches!(event, HolderEvent::NameChanged { .. } | HolderEvent::AddressChanged { .. }))
    }
}
