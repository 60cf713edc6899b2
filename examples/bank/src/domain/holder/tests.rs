//! Given these events, when this command, then those events or this rejection.

use std::sync::Arc;

use futures_util::FutureExt as _;
use onefold::{Aggregate as _, AggregateId, Context, DecisionParts, Handle, Merge as _, SystemClock};

use super::HolderEvent::{AddressChanged, AliasChosen, NameChanged, Registered};
use super::HolderRejection::{AlreadyRegistered, Blank, NotRegistered};
use super::alias::ChooseAlias;
use super::{ChangeAddress, ChangeName, Holder, HolderEvent, HolderRejection, RegisterHolder};

/// The events, and the holder after them.
type Outcome = Result<(Vec<HolderEvent>, Holder), HolderRejection>;

fn when<C: Send + 'static>(history: &[HolderEvent], command: C) -> Outcome
where
    Holder: Handle<C, Reply = Holder>,
{
    let mut holder = Holder::default();
    history.iter().for_each(|event| holder.apply(event));
    let cx = Context::new(Arc::new(()), ada(), Arc::new(SystemClock), Arc::new(()));
    let decision = holder.handle(command, &cx).now_or_never().expect("a holder decides without waiting")?;
    let DecisionParts { events, reply, .. } = decision.into_parts();
    events.iter().for_each(|event| holder.apply(event));
    Ok((events.to_vec(), reply(&holder)))
}

fn ada() -> AggregateId {
    AggregateId::new("ada").unwrap()
}

fn holder(name: &str, address: &str) -> Holder {
    Holder { name: name.into(), address: address.into(), ..Holder::default() }
}

fn registered() -> HolderEvent {
    Registered { name: "Ada".into(), address: "London".into() }
}

#[test]
fn registers_once() {
    let register = |name: &str, address: &str| RegisterHolder { name: name.into(), address: address.into() };
    let rows = [
        (vec![], register("Ada", "London"), Ok((vec![registered()], holder("Ada", "London")))),
        (vec![], register(" ", "London"), Err(Blank { holder: ada(), what: "a name" })),
        (vec![], register("Ada", ""), Err(Blank { holder: ada(), what: "an address" })),
        (vec![registered()], register("Ada", "London"), Err(AlreadyRegistered { holder: ada() })),
    ];
    for (given, command, then) in rows {
        assert_eq!(when(&given, command.clone()), then, "{command:?}");
    }
}

#[test]
fn changes_what_changes() {
    let name = |name: &str| ChangeName { name: name.into() };
    let named = NameChanged { name: "Ada King".into() };
    assert_eq!(when(&[], name("Ada King")), Err(NotRegistered { holder: ada() }));
    assert_eq!(when(&[registered()], name("")), Err(Blank { holder: ada(), what: "a name" }));
    assert_eq!(when(&[registered()], name("Ada King")), Ok((vec![named.clone()], holder("Ada King", "London"))));
    assert_eq!(when(&[registered(), named], name("Ada King")), Ok((vec![], holder("Ada King", "London"))));

    let address = |address: &str| ChangeAddress { address: address.into() };
    let moved = AddressChanged { address: "Surrey".into() };
    assert_eq!(when(&[], address("Surrey")), Err(NotRegistered { holder: ada() }));
    assert_eq!(when(&[registered()], address(" ")), Err(Blank { holder: ada(), what: "an address" }));
    assert_eq!(when(&[registered()], address("Surrey")), Ok((vec![moved.clone()], holder("Ada", "Surrey"))));
    assert_eq!(when(&[registered(), moved], address("Surrey")), Ok((vec![], holder("Ada", "Surrey"))));
}

/// Every edit against every history of up to three missed events.
#[test]
fn edits_merge_with_what_has_nothing_to_do_with_them() {
    let one = |number: u8| match number {
        0 => registered(),
        1 => NameChanged { name: "Ada King".into() },
        2 => AddressChanged { address: "Surrey".into() },
        _ => AliasChosen { alias: "Countess".into() },
    };
    let (name, address) = (ChangeName { name: "Ada Byron".into() }, ChangeAddress { address: "Paris".into() });
    let alias = ChooseAlias { alias: "Enchantress".into() };
    for length in 1..=3u32 {
        for code in 0..4u8.pow(length) {
            let missed: Vec<_> = (0..length).map(|place| one(code / 4u8.pow(place) % 4)).collect();
            let without = |unwanted: fn(&HolderEvent) -> bool| {
                !missed.iter().any(|event| matches!(event, Registered { .. }) || unwanted(event))
            };
            let names = without(|event| matches!(event, NameChanged { .. }));
            let addresses = without(|event| matches!(event, AddressChanged { .. }));
            let aliases = without(|event| matches!(event, AliasChosen { .. }));
            assert_eq!(Holder::merges(&name, &missed), names, "a new name after {missed:?}");
            assert_eq!(Holder::merges(&address, &missed), addresses, "a new address after {missed:?}");
            assert_eq!(Holder::merges(&alias, &missed), aliases, "a new alias after {missed:?}");
        }
    }
}
