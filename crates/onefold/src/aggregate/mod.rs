//! The life of one aggregate in memory, a file per part.
//!
//! ```text
//!  ask ──▶ call ──▶ slot ═══════════════▶ actor ──▶ recovery ──▶ serving ──▶ execution ──▶ gate ──▶ journal
//!          one       the aggregate's       ractor     open,        takes the    handle,      append     │
//!          record    own bounded queue;    runs it    replay       queue in     encode,      or         │
//!          per       outlives              once                    turns        apply,       barrier    │
//!          command   incarnations                                               reply                   │
//!            ▲                                                                                          │
//!            └───────────────────────────── releaser ◀── acknowledgement ───────────────────────────────┘
//!
//!   incarnation:   waiting for work ─▶ recovering ─▶ serving ─▶ closed (passivated, or the runtime ends)
//!                        ▲                              │
//!                        └───────── settling ◀──────────┘  after a failed append or a panic: the state is thrown away,
//!                                                          what is in flight settles, the queue stays
//! ```
//!
//! The slot belongs to the aggregate, not to an incarnation: panics and recovery leave its queue untouched, and it closes
//! only when it is empty with nothing in flight. That is what makes passivation lose nothing and keeps the order.

pub(crate) mod actor;
pub(crate) mod call;
pub(crate) mod execution;
pub(crate) mod fifo;
pub(crate) mod gate;
pub(crate) mod instance;
pub(crate) mod kind;
pub(crate) mod panics;
pub(crate) mod quarantine;
pub(crate) mod recovery;
pub(crate) mod run;
pub(crate) mod scope;
pub(crate) mod serving;
pub(crate) mod slot;
