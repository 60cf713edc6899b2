//! The commands of the command line.

pub(crate) mod claims;
pub(crate) mod limit;
pub(crate) mod memory;
pub(crate) mod noisy_neighbour;
pub(crate) mod overload;
pub(crate) mod passivations;
pub(crate) mod recover;
pub(crate) mod run;
pub(crate) mod table;
pub(crate) mod transfers;
