//! `#[serde(…)]`: which attributes the stored form honours, and why the others are refused.
//!
//! The enum itself never goes through serde; the fields of one variant do. bincode writes fields by position, without
//! names, so whatever leaves a field out, adds one or looks at a name cannot be read back. An unknown attribute is
//! refused too: honouring none of it silently would be a guess.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::parse::ParseStream;
use syn::{Attribute, Error, ExprPath, LitStr, Result, Token, token};

/// What is carried over to one field of the stored form.
#[derive(Default)]
pub(crate) struct FieldSerde {
    pub(crate) rename: Option<LitStr>,
    /// The function that serde shall call to serialize this field.
    pub(crate) serialize_with: Option<TokenStream>,
    /// The function that serde shall call to deserialize this field, and where it was named.
    pub(crate) deserialize_with: Option<(TokenStream, Span)>,
}

impl FieldSerde {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut field = FieldSerde::default();
        for_each_key(attributes, |key, value| {
            match key {
                "rename" => field.rename = Some(value.string()?),
                "with" => {
                    let (module, at) = value.path()?;
                    field.serialize_with = Some(quote!(#module::serialize));
                    field.deserialize_with = Some((quote!(#module::deserialize), at));
                }
                "serialize_with" => field.serialize_with = Some(value.path()?.0.into_token_stream()),
                "deserialize_with" => {
                    let (function, at) = value.path()?;
                    field.deserialize_with = Some((function.into_token_stream(), at));
                }
                _ => return Err(value.refused(key)),
            }
            Ok(())
        })?;
        Ok(field)
    }
}

/// Reads the enum's attributes; gives its `rename_all_fields`.
pub(crate) fn read_enum(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut rename_all_fields = None;
    for_each_key(attributes, |key, value| {
        match key {
            "rename_all_fields" => rename_all_fields = Some(value.string()?),
            // These say what serde calls the variants, or how it reports errors: nothing of it is stored.
            "rename_all" | "deny_unknown_fields" | "expecting" | "crate" => {}
            _ => return Err(value.refused(key)),
        }
        Ok(())
    })?;
    Ok(rename_all_fields)
}

/// Reads a variant's attributes; gives its `rename_all`.
pub(crate) fn read_variant(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut rename_all = None;
    for_each_key(attributes, |key, value| {
        match key {
            "rename_all" => rename_all = Some(value.string()?),
            // What serde calls this variant is not stored.
            "rename" | "alias" => {}
            _ => return Err(value.refused(key)),
        }
        Ok(())
    })?;
    Ok(rename_all)
}

/// What stands behind a key.
struct Value {
    tokens: Option<TokenStream>,
    at: Span,
}

impl Value {
    fn string(self) -> Result<LitStr> {
        let one_value = "derive(Event) takes one string here: what is written must be readable under the same name";
        match self.tokens {
            Some(tokens) => syn::parse2(tokens).map_err(|_| Error::new(self.at, one_value)),
            None => Err(Error::new(self.at, one_value)),
        }
    }

    fn path(self) -> Result<(ExprPath, Span)> {
        let string = self.string()?;
        Ok((string.parse()?, string.span()))
    }

    fn refused(&self, key: &str) -> Error {
        Error::new(self.at, refusal(key))
    }
}

fn refusal(key: &str) -> String {
    let why = match key {
        "flatten" | "tag" | "content" | "untagged" => {
            "bincode writes fields by position, without names, and could not read this back. onefold stores an event as \
             name + revision + fields, never as an enum; for an API, convert the event to a type made for it"
        }
        "skip" | "skip_serializing" | "skip_deserializing" | "skip_serializing_if" => {
            "bincode reads fields by position, so leaving one out would shift all that follow. An event is stored whole: \
             take the field out of it, or store it as an `Option`"
        }
        "default" => {
            "bincode reads fields by position and cannot see that one is missing. When the fields change, count up: \
             `#[event(revision = 2)]`"
        }
        "alias" => "a field is stored under one name; keep the old one with `#[serde(rename = \"…\")]`",
        "from" | "try_from" | "into" | "remote" | "transparent" => {
            "onefold stores the fields of one variant, never the enum, so this would not take part"
        }
        _ => {
            "derive(Event) does not carry it over to the stored form. On fields it honours `rename`, `with`, \
             `serialize_with` and `deserialize_with`"
        }
    };
    format!("`#[serde({key})]` is not allowed in an event: {why}")
}

fn for_each_key(attributes: &[Attribute], mut each: impl FnMut(&str, Value) -> Result<()>) -> Result<()> {
    let mut serde = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
    serde.try_for_each(|attribute| attribute.parse_nested_meta(|meta| read_key(&meta, &mut each)))
}

fn read_key(meta: &ParseNestedMeta<'_>, each: &mut impl FnMut(&str, Value) -> Result<()>) -> Result<()> {
    let Some(key) = meta.path.get_ident() else { return Err(meta.error("serde has no such attribute")) };
    each(&key.to_string(), Value { tokens: value_tokens(meta.input)?, at: key.span() })
}

/// Consumes `= value` or `(…)`, whichever follows.
fn value_tokens(input: ParseStream<'_>) -> Result<Option<TokenStream>> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        return Ok(Some(input.parse::<syn::Expr>()?.into_token_stream()));
    }
    if input.peek(token::Paren) {
        return Ok(Some(input.parse::<proc_macro2::Group>()?.into_token_stream()));
    }
    Ok(None)
}
