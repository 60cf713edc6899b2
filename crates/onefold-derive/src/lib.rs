//! `derive(Event)`: a stable name and a revision for each variant of an event enum.
//!
//! Users reach it as `onefold::Event`. The way through this crate: `input` reads the enum and says what is wrong with
//! it, with the help of `event_attributes`, `serde_attributes` and `name`; `expand` writes the implementation.
//! Everything that can go wrong goes wrong in `input`, so `expand` cannot fail.
#![forbid(unsafe_code)]

mod event_attributes;
mod expand;
mod input;
mod name;
mod serde_attributes;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `Event` for an enum: what is stored of an event is a *name*, a *revision* and that one variant's *fields*.
///
/// ```
/// use onefold_core::{CodecId, DecodeError, Event, EventType, PayloadWriter};
/// use onefold_derive::Event;
///
/// #[derive(Event, Debug, PartialEq)]
/// # #[event(crate = "onefold_core")]
/// #[event(prefix = "account")]
/// enum AccountEvent {
///     Deposited { amount: u64 },                                   // account.deposited, revision 1
///     Renamed(String),                                             // account.renamed, revision 1
///     #[event(name = "account.frozen", revision = 2)]
///     Blocked { reason: String },                                  // account.frozen, revision 2
///     Closed,                                                      // account.closed, revision 1
/// }
///
/// let event = AccountEvent::Deposited { amount: 10 };
/// assert_eq!(event.event_type(), EventType { name: "account.deposited", revision: 1 });
///
/// let mut bytes = Vec::new();
/// event.encode(CodecId::Bincode, &mut PayloadWriter::new(&mut bytes, 1024))?;
/// assert_eq!(bytes, [10]); // neither the enum nor the variant's index is stored
/// assert_eq!(AccountEvent::decode("account.deposited", 1, CodecId::Bincode, &bytes)?, event);
///
/// // Never a guess:
/// let unknown = AccountEvent::decode("account.deposited", 2, CodecId::Bincode, &bytes);
/// assert!(matches!(unknown, Err(DecodeError::UnknownRevision { known: 1, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Attributes
///
/// On the enum:
///
/// * `#[event(prefix = "account")]`, required: what the names of its events begin with.
/// * `#[event(crate = "path")]`: where the runtime crate lies; `::onefold` if not given.
///
/// On a variant:
///
/// * `#[event(name = "account.frozen")]`: its whole stored name. If not given: the prefix, a dot, and the variant in
///   snake case (`MoneySent` is `account.money_sent`). So a variant can be renamed in Rust: give it its old name here.
/// * `#[event(revision = 2)]`: the revision of its fields; 1 if not given.
///
/// A name has at most 128 bytes of `a-z`, `0-9`, `_`, `-` and `.`, and is given to one variant only.
///
/// # What may change once there is data
///
/// Variants may be reordered, and renamed while the stored name stays. Adding, removing or retyping a field makes
/// another shape: it needs a new revision. A payload that is too short or too long for the declared fields is an error,
/// whatever the codec, also where serde would fill in a missing `Option`. What no decoder can see is fields whose bytes
/// fit both shapes, such as two `u64` that trade places: count the revision up.
///
/// # Serde
///
/// The fields' types need `Serialize` and `Deserialize`; the enum itself does not. On fields, serde's `rename`, `with`,
/// `serialize_with` and `deserialize_with` are honoured, and `rename_all` on a variant or `rename_all_fields` on the
/// enum. Names of fields matter to the JSON codec only. What serde calls the variants is never stored. Attributes that
/// leave fields out or mix them up (`default`, `skip…`, `flatten`, `tag`, `untagged`, …) are refused, because bincode
/// reads fields by their position.
#[proc_macro_derive(Event, attributes(event, serde))]
pub fn derive_event(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    match input::EventEnum::read(&item) {
        Ok(events) => expand::implementation(&events).into(),
        Err(errors) => errors.into_compile_error().into(),
    }
}
