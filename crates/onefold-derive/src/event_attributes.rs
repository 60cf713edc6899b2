//! `#[event(…)]`: the attributes of our own, on the enum and on its variants.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, DeriveInput, Error, LitInt, LitStr, Path, Result, Variant, parse_quote};

use crate::name;

/// What is said on the enum.
pub(crate) struct EnumAttributes {
    pub(crate) prefix: String,
    /// Where the runtime crate lies.
    pub(crate) runtime: Path,
}

impl EnumAttributes {
    pub(crate) fn read(item: &DeriveInput) -> Result<Self> {
        let mut prefix: Option<LitStr> = None;
        let mut runtime: Option<Path> = None;
        for_each_key(&item.attrs, |meta| match key(&meta).as_str() {
            "prefix" => once(&mut prefix, &meta, |meta| meta.value()?.parse()),
            "crate" => {
                once(&mut runtime, &meta, |meta| meta.value()?.parse::<LitStr>()?.parse_with(Path::parse_mod_style))
            }
            "name" | "revision" => Err(meta.error("this belongs on a variant: each has its own name and revision")),
            other => Err(meta.error(format!("unknown key `{other}`: on an enum there are `prefix` and `crate`"))),
        })?;
        let Some(prefix) = prefix else {
            return Err(Error::new(
                item.ident.span(),
                "derive(Event) needs a prefix: `#[event(prefix = \"account\")]`. Events are stored under the name \
                 `prefix.variant`, and the prefix is never taken from a Rust name, so that code can be moved and renamed",
            ));
        };
        let text = prefix.value();
        name::check(&text).map_err(|why| Error::new(prefix.span(), format!("the prefix {text:?} {why}")))?;
        Ok(EnumAttributes { prefix: text, runtime: runtime.unwrap_or_else(|| parse_quote!(::onefold)) })
    }
}

/// What is said on a variant.
pub(crate) struct VariantAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) revision: u16,
}

impl VariantAttributes {
    pub(crate) fn read(variant: &Variant) -> Result<Self> {
        let mut name: Option<LitStr> = None;
        let mut revision: Option<u16> = None;
        for_each_key(&variant.attrs, |meta| match key(&meta).as_str() {
            "name" => once(&mut name, &meta, |meta| meta.value()?.parse()),
            "revision" => once(&mut revision, &meta, |meta| revision_of(&meta.value()?.parse()?)),
            "prefix" | "crate" => Err(meta.error("this belongs on the enum, it holds for all variants")),
            other => Err(meta.error(format!("unknown key `{other}`: on a variant there are `name` and `revision`"))),
        })?;
        Ok(VariantAttributes { name, revision: revision.unwrap_or(1) })
    }
}

fn revision_of(number: &LitInt) -> Result<u16> {
    match number.base10_parse::<u16>() {
        Ok(0) => Err(Error::new(number.span(), "revisions count from 1: 0 is not one")),
        Ok(revision) => Ok(revision),
        Err(_) => Err(Error::new(number.span(), "a revision is a number from 1 to 65535")),
    }
}

/// Refuses `#[event(…)]` on a field, where it has no meaning.
pub(crate) fn refuse(attributes: &[Attribute]) -> Result<()> {
    match attributes.iter().find(|attribute| attribute.path().is_ident("event")) {
        Some(attribute) => Err(Error::new_spanned(
            attribute,
            "`#[event(…)]` belongs on the enum (`prefix`, `crate`) or on a variant (`name`, `revision`), not on a field",
        )),
        None => Ok(()),
    }
}

fn for_each_key(attributes: &[Attribute], mut each: impl FnMut(ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    let mut ours = attributes.iter().filter(|attribute| attribute.path().is_ident("event"));
    ours.try_for_each(|attribute| attribute.parse_nested_meta(&mut each))
}

fn key(meta: &ParseNestedMeta<'_>) -> String {
    let segments: Vec<String> = meta.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    segments.join("::")
}

fn once<T>(
    slot: &mut Option<T>,
    meta: &ParseNestedMeta<'_>,
    parse: impl FnOnce(&ParseNestedMeta<'_>) -> Result<T>,
) -> Result<()> {
    let value = parse(meta)?;
    match slot.replace(value) {
        Some(_) => Err(meta.error(format!("`{}` is given twice", key(meta)))),
        None => Ok(()),
    }
}
