//! The commands of the command line.

pub(crate) mod limit;
pub(crate) mod memory;
pub(crate) mod recover;
pub(crate) mod run;
pub(crate) mod table;
