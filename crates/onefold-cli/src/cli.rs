//! The command line as a value: what it knows, what it is called, and running it.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, FromArgMatches as _};
use onefold::Aggregate;

use crate::arguments::{self, Arguments};
use crate::commands;
use crate::decoders::Decoders;
use crate::output::Output;

/// The command line, to be told which aggregates there are and then run. See the crate's documentation.
#[derive(Debug)]
#[must_use = "a command line does nothing until it is run"]
pub struct Cli {
    name: &'static str,
    journal_option: &'static str,
    default_journal: Option<PathBuf>,
    decoders: Decoders,
}

impl Default for Cli {
    fn default() -> Self {
        Cli { name: "onefold", journal_option: "journal", default_journal: None, decoders: Decoders::default() }
    }
}

impl Cli {
    /// Knows no aggregates, and is called `onefold`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes the events of this aggregate type.
    pub fn aggregate<A: Aggregate>(mut self) -> Self {
        self.decoders.add::<A>();
        self
    }

    /// What it is called in its help and messages, such as `bank journal`.
    pub fn name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The journal's directory when none is named. Without a default, one must be named.
    pub fn default_journal(mut self, directory: impl Into<PathBuf>) -> Self {
        self.default_journal = Some(directory.into());
        self
    }

    /// What the option that names the journal's directory is called; `journal` if nothing else is said.
    pub fn journal_option(mut self, name: &'static str) -> Self {
        self.journal_option = name;
        self
    }

    /// Does what the process's arguments say; the result is for `main` to return.
    pub fn run(self) -> ExitCode {
        self.run_from(std::env::args_os().skip(1))
    }

    /// Does what these arguments say: those behind the command's name.
    ///
    /// It blocks, for as long as the command takes. In async code call it in `tokio::task::spawn_blocking`.
    pub fn run_from(self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> ExitCode {
        let name = OsString::from(self.name);
        let all = std::iter::once(name).chain(arguments.into_iter().map(Into::into));
        let matches = self.command().try_get_matches_from(all);
        let parsed = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
            Ok(arguments) => arguments,
            Err(error) => {
                // A reader that left does not need the help any more.
                let _ = error.print();
                return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
            }
        };
        let mut output = Output::new(parsed.json, parsed.quiet);
        let journal = parsed.journal.or(self.default_journal);
        let done = commands::run(parsed.command, journal, self.journal_option, &self.decoders, &mut output);
        let done = done.and_then(|()| Ok(output.flush()?));
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) if failure.is_reader_gone() => ExitCode::SUCCESS,
            Err(failure) => {
                let message = match output.is_json() {
                    true => failure.to_json(),
                    false => format!("{}: {failure}", self.name),
                };
                if failure.is_worth_saying() {
                    let _ = writeln!(std::io::stderr(), "{message}");
                }
                ExitCode::from(failure.exit_code())
            }
        }
    }

    fn command(&self) -> Command {
        let option = self.journal_option;
        let in_words = |text: &str| {
            text.replace("onefold ", &format!("{} ", self.name)).replace("--journal", &format!("--{option}"))
        };
        let command = Arguments::command().name(self.name).bin_name(self.name);
        let command = command.after_help(in_words(arguments::EXAMPLES));
        let command =
            command.after_long_help(in_words(&format!("{}\n\n{}", arguments::EXAMPLES, arguments::EXIT_CODES)));
        let command = match option {
            "journal" => command,
            option => command.mut_arg("journal", |argument| argument.long(option).short(None)),
        };
        let command = match &self.default_journal {
            None => command,
            Some(default) => {
                let help = format!("The journal's directory [default: {}]", default.display());
                command.mut_arg("journal", |argument| argument.help(help))
            }
        };
        arguments::COMMAND_EXAMPLES.iter().fold(command, |command, (name, examples)| {
            command.mut_subcommand(name, |subcommand| subcommand.after_help(in_words(examples)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::new().command().debug_assert();
        Cli::new().name("bank journal").journal_option("data").default_journal("bank-data").command().debug_assert();
    }

    #[test]
    fn help_is_in_the_words_of_whoever_embeds_it() {
        let mut command = Cli::new().name("bank journal").journal_option("data").default_journal("bank-data").command();
        let help = command.render_long_help().to_string();
        assert!(help.contains("bank journal verify") && help.contains("--data <DIR>"), "{help}");
        assert!(help.contains("[default: bank-data]") && !help.contains("onefold verify"), "{help}");
    }
}
