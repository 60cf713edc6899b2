//! The bare `onefold` command: it knows no events, and shows their names, revisions, lengths and bytes.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use onefold_cli::Cli;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    Cli::new().run()
}
