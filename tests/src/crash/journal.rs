//! The journals that can be attacked: onefold's own, and plain sled for comparison. Opened alike, by whichever process.

mod plain_sled;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use onefold::journal::Journal;
use onefold::{Durability, Medium, SledJournal, Step};

pub use plain_sled::PlainSled;

/// Which journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum JournalKind {
    /// onefold's default journal: a redo log in front of sled.
    #[default]
    Sled,
    /// Plain sled 0.34.7: a batch and `flush()` before each acknowledgement.
    PlainSled,
}

impl JournalKind {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            JournalKind::Sled => "sled",
            JournalKind::PlainSled => "plain-sled",
        }
    }

    /// Whether its commits can carry more than the events of one aggregate: idempotency keys, claims, other aggregates' events.
    pub fn carries_extras(self) -> bool {
        self == JournalKind::Sled
    }
}

/// When an append counts as durable. What promises less must be caught losing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DurabilityKind {
    /// Synced to the disk.
    #[default]
    Fsync,
    /// Written to the operating system: a kill loses nothing, a power cut does.
    ProcessCrash,
    /// In memory: a kill loses acknowledged commits.
    Buffered,
}

impl DurabilityKind {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            DurabilityKind::Fsync => "fsync",
            DurabilityKind::ProcessCrash => "process-crash",
            DurabilityKind::Buffered => "buffered",
        }
    }
}

impl From<DurabilityKind> for Durability {
    fn from(kind: DurabilityKind) -> Durability {
        match kind {
            DurabilityKind::Fsync => Durability::Fsync,
            DurabilityKind::ProcessCrash => Durability::ProcessCrash,
            DurabilityKind::Buffered => Durability::Buffered,
        }
    }
}

/// What to open, and how.
#[derive(Clone, Debug, Args)]
pub struct JournalOptions {
    /// The journal's directory
    #[arg(long)]
    pub data: PathBuf,
    /// Which journal
    #[arg(long, default_value = "sled")]
    pub journal: JournalKind,
    /// When an append counts as durable, in onefold's journal
    #[arg(long, default_value = "fsync")]
    pub durability: DurabilityKind,
    /// Bytes of a segment of the redo log, in KiB; small ones are changed often
    #[arg(long, default_value_t = 65_536)]
    pub segment_kib: u32,
    /// Bytes of redo log after which a checkpoint begins, in segments
    #[arg(long, default_value_t = 8)]
    pub checkpoint_segments: u32,
    /// Free space below which appends are refused, in KiB
    #[arg(long, default_value_t = 0)]
    pub reserve_kib: u64,
    /// How long a write or sync may take before the journal is poisoned, in milliseconds
    #[arg(long, default_value_t = 30_000)]
    pub watchdog_ms: u64,
    /// Refuses sled's file the attribute "synchronous", as some file systems do
    #[arg(long)]
    pub without_attribute: bool,
    /// Takes every write and sync for a success, as a journal does that looks away: that must be caught
    #[arg(long, hide = true)]
    pub deaf: bool,
}

/// A file system that has no attribute "synchronous".
struct WithoutAttribute;

impl Medium for WithoutAttribute {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        onefold::Disk.write(file, bytes, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        onefold::Disk.sync(file)
    }

    fn before(&self, step: Step) -> io::Result<()> {
        match step {
            Step::WriteThrough => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(()),
        }
    }
}

/// A journal that does not hear a write or a sync fail.
struct Deaf;

impl Medium for Deaf {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        onefold::Disk.write(file, bytes, offset).or(Ok(()))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        onefold::Disk.sync(file).or(Ok(()))
    }
}

impl JournalOptions {
    /// onefold's journal in the directory `data`, with the defaults of the command line.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        JournalOptions {
            data: data.into(),
            journal: JournalKind::Sled,
            durability: DurabilityKind::Fsync,
            segment_kib: 65_536,
            checkpoint_segments: 8,
            reserve_kib: 0,
            watchdog_ms: 30_000,
            without_attribute: false,
            deaf: false,
        }
    }

    /// Hands them to a process.
    pub fn pass_to(&self, command: &mut Command) {
        command.arg("--data").arg(&self.data).args(["--journal", self.journal.name()]);
        command.args(["--durability", self.durability.name()]);
        command.arg("--segment-kib").arg(self.segment_kib.to_string());
        command.arg("--checkpoint-segments").arg(self.checkpoint_segments.to_string());
        command.arg("--reserve-kib").arg(self.reserve_kib.to_string());
        command.arg("--watchdog-ms").arg(self.watchdog_ms.to_string());
        if self.without_attribute {
            command.arg("--without-attribute");
        }
        if self.deaf {
            command.arg("--deaf");
        }
    }

    /// Opens the journal. Blocks.
    ///
    /// # Errors
    ///
    /// Whatever the journal says.
    pub fn open(&self) -> anyhow::Result<Arc<dyn Journal>> {
        Ok(match self.journal {
            JournalKind::Sled => {
                let segment_bytes = self.segment_kib as usize * 1024;
                let config = SledJournal::builder(&self.data)
                    .durability(self.durability.into())
                    .segment_bytes(segment_bytes)
                    .checkpoint_bytes(segment_bytes * self.checkpoint_segments.max(1) as usize)
                    .free_space_reserve_bytes(self.reserve_kib * 1024)
                    .watchdog_timeout(std::time::Duration::from_millis(self.watchdog_ms));
                Arc::new(match (self.without_attribute, self.deaf) {
                    (true, _) => config.medium(Arc::new(WithoutAttribute)).open()?,
                    (false, true) => config.medium(Arc::new(Deaf)).open()?,
                    (false, false) => config.open()?,
                })
            }
            JournalKind::PlainSled => Arc::new(PlainSled::open(&self.data)?),
        })
    }
}
