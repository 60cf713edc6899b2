//! What the tests of the bank share.

pub(crate) mod server;
