//! The load harness of onefold: durable commands per second, beside what the disk can do at all.
//!
//! ```text
//! options ─▶ command::run ─▶ driver ─▶ closed_loop │ open_loop ─▶ target: the runtime on a journal, or the raw limit
//!                 │                          │ pickers (workload)        │
//!                 │                          └────────▶ recorders ◀──────┘  latencies, and the ledger of what was
//!                 │                                         │               acknowledged
//!                 ├─▶ verify: reopened journal = ledger? ◀──┤
//!                 └─▶ report: text, JSON, HTML ◀────────────┘ series of rounds
//! ```
//!
//! The binary `load` is a few lines; README.md says how to run it and how to read what it prints.
#![forbid(unsafe_code)]

pub mod cli;
mod command;
mod options;

pub mod counter;
pub mod entry;
mod ids;
mod rng;
mod user;
mod workload;
mod zipf;

mod arrivals;
mod closed_loop;
mod contender;
mod driver;
mod fill;
mod limit;
mod noise;
mod open_loop;
mod prober;
mod store;
mod target;

mod core_time;
mod cores;
mod ledger;
mod memory_watch;
mod pooled;
mod recorder;
mod report;
mod series;
mod statistics;
mod timeline;
mod verify;

mod filesystem;
mod footprint;
mod machine;
mod page_cache;
mod place;
mod progress;
