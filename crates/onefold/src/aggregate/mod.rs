//! The life of one aggregate in memory, a file per part.
//!
//! ```text
//!                     at rest: the caller runs it ─────────────────────────┐ not ready: handed over
//!                       │                                                  ▼    to the actor
//!  ask ──▶ call ──▶ slot ═══════════════▶ actor ──▶ recovery ──▶ serving ──▶ run ──▶ execution ──▶ gate ──▶ journal
//!          one       the aggregate's       ractor     open,        takes the   one    handle,       append     │
//!          record    own bounded queue,    runs it    replay       queue in    call   encode,       or         │
//!          per       and the instance      once                    turns              apply,        barrier    │
//!          command   between runs                                                     reply                    │
//!            ▲                                                                                                 │
//!            └───────────────────────────── releaser ◀── acknowledgement ──────────────────────────────────────┘
//!
//!   incarnation:   waiting for work ─▶ recovering ─▶ serving ─▶ closed (passivated, or the runtime ends)
//!                        ▲                              │
//!                        └───────── settling ◀──────────┘  after a failed append or a panic: the state is thrown away,
//!                                                          what is in flight settles, the queue stays
//! ```
//!
//! Between two runs the instance rests in the slot. Whoever takes it out is the only one who runs: the actor; or a caller
//! that finds it at rest, with nobody waiting, and runs its own call at its first poll (`docs/adr/0008`). An actor with
//! nothing to do goes, and its instance stays; the next one finds it where it rests (`docs/adr/0009`).
//!
//! The slot belongs to the aggregate, not to an incarnation: panics and recovery leave its queue untouched, and it closes
//! only when it is empty with nothing in flight. That is what makes passivation lose nothing and keeps the order.

pub(crate) mod actor;
pub(crate) mod call;
pub(crate) mod claimed;
pub(crate) mod execution;
pub(crate) mod fifo;
pub(crate) mod gate;
pub(crate) mod instance;
pub(crate) mod joint;
pub(crate) mod keys;
pub(crate) mod kind;
pub(crate) mod panics;
pub(crate) mod quarantine;
pub(crate) mod recovery;
pub(crate) mod run;
pub(crate) mod scope;
pub(crate) mod serving;
pub(crate) mod slot;
