//! Writes `impl Event` for an enum that is known to be fine.
//!
//! Each variant gets two private structs with its fields, one that borrows them for `encode` and one that owns them for
//! `decode`. Both live inside their match arm, so they can't collide with anything. IMPORTANT: the two must say the same
//! bytes; that's why they come from the same list of fields and carry the same names.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Ident, LitStr};

use crate::input::{EventEnum, EventField, EventVariant, Shape};

pub(crate) fn implementation(events: &EventEnum) -> TokenStream {
    let EventEnum { ident, runtime, events } = events;
    let types = events.iter().map(|event| event_type(runtime, event));
    let event_type_arms = events.iter().map(|event| {
        let (variant, kind) = (&event.ident, event_type(runtime, event));
        quote!(Self::#variant { .. } => #kind,)
    });
    let encode_arms = events.iter().map(|event| encode_arm(runtime, event));
    let decode_arms = events.iter().map(|event| decode_arm(runtime, event));
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #runtime::Event for #ident {
            const TYPES: &'static [#runtime::EventType] = &[#(#types),*];

            fn event_type(&self) -> #runtime::EventType {
                match self { #(#event_type_arms)* }
            }

            fn encode(
                &self,
                __codec: #runtime::CodecId,
                __out: &mut #runtime::PayloadWriter<'_>,
            ) -> ::core::result::Result<(), #runtime::CodecError> {
                match self { #(#encode_arms)* }
            }

            fn decode(
                __name: &str,
                __revision: u16,
                __codec: #runtime::CodecId,
                __payload: &[u8],
            ) -> ::core::result::Result<Self, #runtime::DecodeError> {
                let __decoded = match (__name, __revision) {
                    #(#decode_arms)*
                    _ => {
                        let __types = <Self as #runtime::Event>::TYPES;
                        return ::core::result::Result::Err(
                            #runtime::DecodeError::unknown(__types, __name, __revision),
                        );
                    }
                };
                ::core::result::Result::map_err(__decoded, |__error| {
                    #runtime::DecodeError::payload(__name, __revision, __error)
                })
            }
        }
    }
}

fn event_type(runtime: &syn::Path, event: &EventVariant) -> TokenStream {
    let EventVariant { name, revision, .. } = event;
    quote!(#runtime::EventType { name: #name, revision: #revision })
}

fn encode_arm(runtime: &syn::Path, event: &EventVariant) -> TokenStream {
    let bindings = bindings(event);
    let wrappers = event.fields.iter().enumerate().filter_map(|(at, field)| {
        let path = field.serde.serialize_with.as_ref()?;
        Some(serialize_wrapper(runtime, &wrapper(at), &field.ty, path))
    });
    let fields = event.fields.iter().enumerate().map(|(at, field)| {
        let (rename, ident, ty, wrapper) = (rename(field), &field.ident, &field.ty, wrapper(at));
        let ident = ident.as_ref().map(|ident| quote!(#ident:));
        match field.serde.serialize_with {
            Some(_) => quote!(#rename #ident #wrapper<'__event>),
            None => quote!(#rename #ident &'__event #ty),
        }
    });
    let values = event.fields.iter().zip(&bindings).enumerate().map(|(at, (field, binding))| {
        let wrapper = wrapper(at);
        match field.serde.serialize_with {
            Some(_) => quote!(#wrapper(#binding)),
            None => binding.to_token_stream(),
        }
    });
    let lifetime = (!event.fields.is_empty()).then(|| quote!(<'__event>));
    let definition = definition(runtime, event, &quote!(Serialize), lifetime, fields);
    let pattern = braced(event, &event.ident, bindings.iter().map(ToTokens::to_token_stream));
    let stored = braced(event, &format_ident!("__Fields"), values);
    quote! {
        Self::#pattern => {
            #(#wrappers)*
            #definition
            #runtime::CodecId::encode(__codec, &#stored, __out)
        }
    }
}

/// serde calls a `serialize_with` with a reference to the field; ours is a reference already, and the function shall not
/// see one more. So such a field goes through a wrapper that calls the function itself.
fn serialize_wrapper(runtime: &syn::Path, wrapper: &Ident, ty: &TokenStream, path: &TokenStream) -> TokenStream {
    quote! {
        struct #wrapper<'__event>(&'__event #ty);

        impl #runtime::__private::serde::Serialize for #wrapper<'_> {
            fn serialize<__S: #runtime::__private::serde::Serializer>(
                &self,
                __serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #path(self.0, __serializer)
            }
        }
    }
}

fn decode_arm(runtime: &syn::Path, event: &EventVariant) -> TokenStream {
    let EventVariant { ident, name, revision, .. } = event;
    let bindings = bindings(event);
    let fields = event.fields.iter().map(|field| {
        let (rename, read, ident, ty) = (rename(field), deserialize_with(runtime, field), &field.ident, &field.ty);
        let ident = ident.as_ref().map(|ident| quote!(#ident:));
        quote!(#rename #read #ident #ty)
    });
    let definition = definition(runtime, event, &quote!(Deserialize), None, fields);
    let stored = braced(event, &format_ident!("__Fields"), bindings.iter().map(ToTokens::to_token_stream));
    let rebuilt = braced(event, ident, bindings.iter().map(ToTokens::to_token_stream));
    quote! {
        (#name, #revision) => {
            #definition
            ::core::result::Result::map(
                #runtime::CodecId::decode::<__Fields>(__codec, __payload),
                |#stored| Self::#rebuilt,
            )
        }
    }
}

/// IMPORTANT: every field names its function, the usual one if no other was asked for, because then serde refuses a
/// payload without that field. Otherwise it would read a missing `Option` as `None`: a guess.
fn deserialize_with(runtime: &syn::Path, field: &EventField) -> TokenStream {
    let (path, at) = match &field.serde.deserialize_with {
        Some((path, at)) => (path.clone(), *at),
        None => (quote!(#runtime::__private::serde::Deserialize::deserialize), field.ty_span),
    };
    let path = LitStr::new(&path.to_string(), at);
    quote_spanned!(at=> #[serde(deserialize_with = #path)])
}

fn rename(field: &EventField) -> Option<TokenStream> {
    field.serde.rename.as_ref().map(|name| quote!(#[serde(rename = #name)]))
}

/// `struct __Fields` with these fields, and serde's derive on it.
fn definition(
    runtime: &syn::Path,
    event: &EventVariant,
    derive: &TokenStream,
    lifetime: Option<TokenStream>,
    fields: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let serde = quote!(#runtime::__private::serde);
    let serde_path = serde.to_string();
    let rename_all = event.rename_all.as_ref().map(|rule| quote!(#[serde(rename_all = #rule)]));
    let strict = (event.shape == Shape::Named).then(|| quote!(#[serde(deny_unknown_fields)]));
    let body = match event.shape {
        Shape::Named => quote!({ #(#fields),* }),
        Shape::Tuple => quote!((#(#fields),*);),
        Shape::Unit => quote!(;),
    };
    quote! {
        #[derive(#serde::#derive)]
        #[serde(crate = #serde_path)]
        #rename_all
        #strict
        struct __Fields #lifetime #body
    }
}

/// `Name { field: value, … }`, `Name(value, …)` or `Name`: a pattern or an expression, as the values are.
fn braced(event: &EventVariant, name: &Ident, values: impl Iterator<Item = TokenStream>) -> TokenStream {
    match event.shape {
        Shape::Named => {
            let idents = event.fields.iter().map(|field| &field.ident);
            quote!(#name { #(#idents: #values),* })
        }
        Shape::Tuple => quote!(#name(#(#values),*)),
        Shape::Unit => quote!(#name),
    }
}

/// One variable per field, named apart from whatever the fields are called.
fn bindings(event: &EventVariant) -> Vec<Ident> {
    (0..event.fields.len()).map(|at| format_ident!("__field{at}")).collect()
}

fn wrapper(at: usize) -> Ident {
    format_ident!("__Field{at}With")
}
