//! What is put under load: the runtime on one of its journals, or the raw limit.

use std::future::Future;

use crate::workload::Operation;

/// Something that clients send operations to. A clone per client.
pub(crate) trait Target: Clone + Send + Sync + 'static {
    /// Does one operation, and resolves when it is answered.
    fn call(&self, operation: Operation) -> impl Future<Output = Outcome> + Send + use<Self>;
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Durable, as this aggregate's event of that number.
    Written {
        /// The event's number in its stream.
        sequence: u64,
    },
    /// The state was read.
    Read,
    /// Refused at a bound, at once.
    Overloaded {
        /// The bound's name.
        bound: &'static str,
    },
    /// Surely nothing is stored.
    Failed(String),
    /// Perhaps something is stored.
    Unknown(String),
}
