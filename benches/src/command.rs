//! The commands of the command line.

pub(crate) mod limit;
pub(crate) mod run;
