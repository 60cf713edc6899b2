//! Reads the enum and says what is wrong with it: every mistake of one enum in one go.

use std::collections::HashMap;

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, Type, Variant};

use crate::event_attributes::{self, EnumAttributes, VariantAttributes};
use crate::name;
use crate::serde_attributes::{self, FieldSerde};

/// An enum of events that is known to be fine.
pub(crate) struct EventEnum {
    pub(crate) ident: Ident,
    /// Where the runtime crate lies.
    pub(crate) runtime: Path,
    pub(crate) events: Vec<EventVariant>,
}

/// One kind of event.
pub(crate) struct EventVariant {
    pub(crate) ident: Ident,
    /// Its whole stored name.
    pub(crate) name: String,
    pub(crate) revision: u16,
    pub(crate) shape: Shape,
    pub(crate) fields: Vec<EventField>,
    /// serde's `rename_all` for the fields.
    pub(crate) rename_all: Option<LitStr>,
}

/// How the fields are written in Rust.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    Named,
    Tuple,
    Unit,
}

pub(crate) struct EventField {
    /// Only in [`Shape::Named`].
    pub(crate) ident: Option<Ident>,
    /// Its type; `Self` is spelled out.
    pub(crate) ty: TokenStream,
    pub(crate) ty_span: Span,
    pub(crate) serde: FieldSerde,
}

impl EventEnum {
    pub(crate) fn read(item: &DeriveInput) -> Result<Self> {
        let Data::Enum(data) = &item.data else {
            return Err(Error::new(
                item.ident.span(),
                "derive(Event) works on enums: one variant for each thing that can happen to the aggregate. For a single \
                 kind of event, make an enum of one variant",
            ));
        };
        let mut mistakes = Mistakes::default();
        mistakes.note(refuse_generics(item));
        if data.variants.is_empty() {
            mistakes.note::<()>(Err(Error::new(item.ident.span(), "an enum of events needs at least one variant")));
        }
        let rename_all_fields = mistakes.note(serde_attributes::read_enum(&item.attrs)).flatten();
        let attributes = mistakes.note(EnumAttributes::read(item));
        // Without a prefix the variants are still checked; their names then don't matter.
        let prefix = attributes.as_ref().map_or("unknown", |attributes| &attributes.prefix);
        let events: Vec<_> = (data.variants.iter())
            .filter_map(|variant| read_variant(&item.ident, prefix, &rename_all_fields, variant, &mut mistakes))
            .collect();
        mistakes.note(refuse_duplicates(&events));
        match (attributes, mistakes.0) {
            (Some(attributes), None) => {
                Ok(EventEnum { ident: item.ident.clone(), runtime: attributes.runtime, events })
            }
            (_, mistakes) => Err(mistakes.expect("no attributes without a mistake")),
        }
    }
}

fn refuse_generics(item: &DeriveInput) -> Result<()> {
    if item.generics.params.is_empty() && item.generics.where_clause.is_none() {
        return Ok(());
    }
    let at =
        if item.generics.params.is_empty() { item.ident.to_token_stream() } else { item.generics.to_token_stream() };
    Err(Error::new_spanned(
        at,
        "an enum of events has no generics and no lifetimes: what a stored name stands for must be one type, and what is \
         read back from disk is owned. Write the concrete, owned types",
    ))
}

fn read_variant(
    enum_ident: &Ident,
    prefix: &str,
    rename_all_fields: &Option<LitStr>,
    variant: &Variant,
    mistakes: &mut Mistakes,
) -> Option<EventVariant> {
    let attributes = mistakes.note(VariantAttributes::read(variant));
    let rename_all = mistakes.note(serde_attributes::read_variant(&variant.attrs));
    let fields: Vec<_> =
        variant.fields.iter().filter_map(|field| mistakes.note(read_field(enum_ident, field))).collect();
    let attributes = attributes?;
    let name = mistakes.note(stored_name(prefix, variant, attributes.name.as_ref()))?;
    Some(EventVariant {
        ident: variant.ident.clone(),
        name,
        revision: attributes.revision,
        shape: match variant.fields {
            Fields::Named(_) => Shape::Named,
            Fields::Unnamed(_) => Shape::Tuple,
            Fields::Unit => Shape::Unit,
        },
        fields,
        rename_all: rename_all?.or_else(|| rename_all_fields.clone()),
    })
}

fn stored_name(prefix: &str, variant: &Variant, given: Option<&LitStr>) -> Result<String> {
    let (name, at) = match given {
        Some(given) => (given.value(), given.span()),
        None => (format!("{prefix}.{}", name::snake_case(&variant.ident.unraw().to_string())), variant.ident.span()),
    };
    match name::check(&name) {
        Ok(()) => Ok(name),
        Err(why) => {
            Err(Error::new(at, format!("the event's name {name:?} {why}. Give another one: `#[event(name = \"…\")]`")))
        }
    }
}

fn read_field(enum_ident: &Ident, field: &syn::Field) -> Result<EventField> {
    event_attributes::refuse(&field.attrs)?;
    let serde = FieldSerde::read(&field.attrs)?;
    if matches!(field.ty, Type::Reference(_)) && serde.deserialize_with.is_none() {
        return Err(Error::new_spanned(
            &field.ty,
            "what is read back from disk is owned: take a `String`, a `Vec`, a `Box` or an `Arc` instead of a reference",
        ));
    }
    Ok(EventField {
        ident: field.ident.clone(),
        ty: without_self(field.ty.to_token_stream(), enum_ident),
        ty_span: field.ty.span(),
        serde,
    })
}

/// Spells out `Self`, which would mean another type inside the generated structs.
fn without_self(tokens: TokenStream, enum_ident: &Ident) -> TokenStream {
    let spelled_out = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) if ident == "Self" => {
            TokenTree::Ident(Ident::new(&enum_ident.to_string(), ident.span()))
        }
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), without_self(group.stream(), enum_ident));
            inner.set_span(group.span());
            TokenTree::Group(inner)
        }
        other => other,
    });
    spelled_out.collect()
}

fn refuse_duplicates(events: &[EventVariant]) -> Result<()> {
    let mut mistakes = Mistakes::default();
    let mut seen: HashMap<&str, &Ident> = HashMap::new();
    for event in events {
        if let Some(first) = seen.insert(&event.name, &event.ident) {
            mistakes.note::<()>(Err(Error::new(
                event.ident.span(),
                format!(
                    "the event's name {:?} is taken by the variant `{first}`: a stored name must lead to one variant, \
                     whatever the revision",
                    event.name
                ),
            )));
        }
    }
    mistakes.0.map_or(Ok(()), Err)
}

/// Collects what is wrong, so that one compilation shows all of it.
#[derive(Default)]
struct Mistakes(Option<Error>);

impl Mistakes {
    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        match (result, &mut self.0) {
            (Ok(value), _) => return Some(value),
            (Err(error), Some(mistakes)) => mistakes.combine(error),
            (Err(error), none) => *none = Some(error),
        }
        None
    }
}
