//! Who has the alias already, and what becomes of the old one.

use onefold::AggregateId;
use onefold_testkit::Given;

use super::super::HolderEvent::{AliasChosen, Registered};
use super::super::HolderRejection::{AliasTaken, Blank, NotRegistered};
use super::super::{Holder, HolderEvent};
use super::{ALIASES, ChooseAlias};

fn given(events: impl IntoIterator<Item = HolderEvent>) -> Given<Holder> {
    Given::events(events).id("ada").compare_states()
}

fn ada() -> AggregateId {
    AggregateId::new("ada").unwrap()
}

fn registered() -> HolderEvent {
    Registered { name: "Ada".into(), address: "London".into() }
}

fn chosen(alias: &str) -> HolderEvent {
    AliasChosen { alias: alias.into() }
}

fn choose(alias: &str) -> ChooseAlias {
    ChooseAlias { alias: alias.into() }
}

#[tokio::test]
async fn alias_is_taken_once_whatever_its_case() {
    given([registered()])
        .taken(ALIASES, "countess")
        .when(choose("Countess"))
        .await
        .then_rejected(AliasTaken { holder: ada(), alias: "Countess".into() })
        .when(choose("Enchantress"))
        .await
        .then_events([chosen("Enchantress")])
        .then_claims([(ALIASES, "enchantress")])
        .then_reply_where(|holder| holder.alias() == Some("Enchantress"));
}

#[tokio::test]
async fn new_alias_frees_the_old_one() {
    given([registered(), chosen("Countess")])
        .holds(ALIASES, "countess")
        .when(choose("Enchantress"))
        .await
        .then_events([chosen("Enchantress")])
        .then_claims([(ALIASES, "enchantress")])
        .when(choose("ENCHANTRESS"))
        .await
        .then_events([chosen("ENCHANTRESS")])
        .then_claims([(ALIASES, "enchantress")])
        .when(choose("ENCHANTRESS"))
        .await
        .then_no_events();
}

#[tokio::test]
async fn refused_move_leaves_the_old_alias() {
    given([registered(), chosen("Countess")])
        .holds(ALIASES, "countess")
        .taken(ALIASES, "enchantress")
        .when(choose("Enchantress"))
        .await
        .then_rejected_where(|rejection| matches!(rejection, AliasTaken { .. }))
        .when(choose("Countess"))
        .await
        .then_no_events()
        .then_claims([(ALIASES, "countess")]);
}

#[tokio::test]
async fn nobody_and_nothing_have_no_alias() {
    given([]).when(choose("countess")).await.then_rejected(NotRegistered { holder: ada() });
    given([registered()]).when(choose(" ")).await.then_rejected(Blank { holder: ada(), what: "an alias" });
}
