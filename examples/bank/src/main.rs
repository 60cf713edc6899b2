//! The `bank` command; everything is in the library, see `cli`.

use std::process::ExitCode;

use clap::Parser as _;
use onefold_bank::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::main(Cli::parse()).await
}
