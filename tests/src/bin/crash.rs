//! `cargo crash`: attacks on onefold's claim to lose nothing. See docs/reliability.md.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    onefold_tests::crash::cli::main()
}
