//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; verify: the journal is sound
  1  failed: an error of the disk, an event that does not decode
  2  wrong usage: an unknown option, no stream's name, a target that is there already
  3  damaged: the journal, or the file to be imported; repair: there is something to repair
  4  the journal is open in another process
  5  there is no such journal, or no such stream";

pub(crate) const EXAMPLES: &str = "\
Examples:
  onefold verify --journal bank-data
  onefold show account/ada --journal bank-data
  onefold tail -n 20 --json --journal bank-data
  onefold export bank.1fold --journal bank-data
  onefold import bank.1fold --journal bank-copy

A journal in use is locked by its process: none of these commands can look at it, and each of
them names that process. Copy a journal in use with the service's own backup.";

/// Examples below the help of each command.
pub(crate) const COMMAND_EXAMPLES: [(&str, &str); 9] = [
    (
        "verify",
        "\
Examples:
  onefold verify --journal bank-data
  onefold verify --journal bank-data --json | jq .problems",
    ),
    (
        "repair",
        "\
Examples:
  onefold repair --journal bank-data                  # says what it would do, and changes nothing
  onefold repair --journal bank-data --accept-loss    # does it

The damaged directory is kept as it is, under the name bank-data.damaged-1. Commits that cannot
be had are replaced by a record of the gap: the global feed passes it as removed, streams that
had events there stay unreadable, and no number is given twice.",
    ),
    (
        "export",
        "\
Examples:
  onefold export bank.1fold --journal bank-data
  onefold export - --journal bank-data | zstd > bank.1fold.zst",
    ),
    (
        "import",
        "\
Examples:
  onefold import bank.1fold --journal bank-copy
  zstd -dc bank.1fold.zst | onefold import - --journal bank-copy",
    ),
    (
        "backup",
        "\
Examples:
  onefold backup bank-backup --journal bank-data",
    ),
    (
        "streams",
        "\
Examples:
  onefold streams --journal bank-data
  onefold streams account --after ada --limit 1000 --journal bank-data",
    ),
    (
        "show",
        "\
Examples:
  onefold show account/ada --journal bank-data
  onefold show account/ada --after 10 --limit 5 --long --journal bank-data",
    ),
    (
        "tail",
        "\
Examples:
  onefold tail --journal bank-data
  onefold tail -n 100 --json --journal bank-data | jq -r .event | sort | uniq -c",
    ),
    (
        "stats",
        "\
Examples:
  onefold stats --journal bank-data",
    ),
];

/// Looks at a onefold journal and looks after it.
#[derive(Debug, Parser)]
#[command(version, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// The journal's directory
    #[arg(short, long, global = true, value_name = "DIR", env = "ONEFOLD_JOURNAL")]
    pub(crate) journal: Option<PathBuf>,

    /// Answer in JSON: one object, or one per line for lists
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Show no progress
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check everything: checksums, numbers, chains, heads, index, redo log, beacon, sled
    Verify {
        /// Open sled where it is, without a copy of its files: if they are damaged, sled may overwrite what a repair needs
        #[arg(long, conflicts_with = "scratch")]
        in_place: bool,
        #[command(flatten)]
        scratch: Scratch,
    },
    /// Say what is lost in a damaged journal; with --accept-loss, repair the rest
    Repair {
        /// Do it: give up what is lost
        #[arg(long)]
        accept_loss: bool,
        #[command(flatten)]
        scratch: Scratch,
    },
    /// Write all commits into one file
    Export {
        /// The file, which must not be there yet; - for stdout
        file: PathBuf,
    },
    /// Make a journal from such a file, with every number as it was
    Import {
        /// The file; - for stdin
        file: PathBuf,
    },
    /// Copy a journal that is not in use, and verify the copy
    Backup {
        /// The copy's directory, which must not be there yet
        target: PathBuf,
    },
    /// List the streams, of one type or of all
    Streams(Streams),
    /// Show the events of one stream
    Show(Show),
    /// Show the last commits of the journal
    Tail {
        /// How many
        #[arg(short = 'n', long = "commits", default_value_t = 10)]
        commits: u64,
        /// Show each commit's metadata, and payloads in full
        #[arg(short, long)]
        long: bool,
    },
    /// Show what takes how much space
    Stats,
}

/// Where copies may go.
#[derive(Debug, Args)]
pub(crate) struct Scratch {
    /// Where a copy of sled's files goes for a while [default: beside the journal]
    #[arg(long, value_name = "DIR")]
    pub(crate) scratch: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Streams {
    /// Only of this aggregate type
    #[arg(value_name = "TYPE")]
    pub(crate) aggregate_type: Option<String>,
    /// Only with ids behind this one; needs TYPE
    #[arg(long, value_name = "ID", requires = "aggregate_type")]
    pub(crate) after: Option<String>,
    /// At most so many of each type
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The stream: its aggregate type, a slash, its id
    #[arg(value_name = "STREAM")]
    pub(crate) stream: String,
    /// Only versions behind this one
    #[arg(long, default_value_t = 0, value_name = "VERSION")]
    pub(crate) after: u64,
    /// At most so many events
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Show each event's metadata, and payloads in full
    #[arg(short, long)]
    pub(crate) long: bool,
}
