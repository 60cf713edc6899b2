//! What the embedding examples share: a small domain, and how a service begins and ends.
//!
//! The examples are excerpted in `docs/guide/embedding.md`.

mod article;
mod service;

pub(crate) use article::{Article, OutOfStock, Receive, Take};
pub(crate) use service::{Failure, start, stop, stop_signal};
