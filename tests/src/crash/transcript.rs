//! What a process under attack says: a line per fact, in one write, into a file outside the attacked disk.
//!
//! A line is in the file before what it announces is done, and after what it reports has happened. A write to a file
//! outlives the process, so a kill loses no line; one that was cut off lacks its end and says nothing.
//!
//! ```text
//! opening                               the journal is about to be opened
//! opened 1250                           it took 1,250 microseconds
//! attempt 17 own-3-1 2                  command 17 is about to be sent to own-3-1, with 2 events; more in command.rs
//! attempt 18 own-3-1 2 key              the same, with an idempotency key
//! again 18                              command 18 is about to be sent again, with the same key
//! stored 17 40                          it was answered: stored, the aggregate is at version 40; of several, each one's
//! refused 17 the journal is …           it was answered: surely not stored
//! unknown 17 the outcome …              it was answered: perhaps stored
//! shown own-3-1 40 8810221              a read showed this version, with this digest of the state
//! commit 12 30 own-3-1 39 17 2          commit 12 was read: first position 30, first version 39, command 17, 2 events
//! commit 13 32 own-3-1 41 18 2 key      the same, and it remembers the key of command 18
//! holds seat-5 own-3-1 12 -             a look, or a reading, found that own-3-1 holds seat-5, for good, by commit 12
//! wrong torn commit 12 has …            what was read cannot be right
//! panicked thread 'x' …                 a thread panicked
//! failed the journal at …               the journal could not be opened, or not be read
//! done                                  it ended by itself, and everything went well
//! ```

mod claim;
mod command;

use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

pub use claim::{Fact, Holding, NAMESPACE, Step};
pub use command::{CommitLine, Part, Request, Share};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The journal is about to be opened.
    Opening,
    /// The journal is open.
    Opened {
        /// How long it took.
        micros: u64,
    },
    /// A command is about to be sent.
    Attempt(Request),
    /// A command is about to be sent again, with the same key.
    Again {
        /// Its number.
        number: u64,
    },
    /// A command was acknowledged.
    Stored {
        /// Its number.
        number: u64,
        /// The version of each of its aggregates after it.
        versions: Vec<u64>,
    },
    /// A command was answered: surely not stored.
    Refused {
        /// Its number.
        number: u64,
        /// The answer.
        error: String,
    },
    /// A command was answered: perhaps stored.
    Unknown {
        /// Its number.
        number: u64,
        /// The answer.
        error: String,
    },
    /// A read showed a state.
    Shown {
        /// The aggregate.
        stream: String,
        /// Its version.
        version: u64,
        /// The digest of its state.
        digest: u64,
    },
    /// A commit was read.
    Commit(CommitLine),
    /// Who holds a claim, as a look under load or a reading found it.
    Holds(Holding),
    /// What was read cannot be right.
    Wrong {
        /// Of which kind.
        kind: WrongKind,
        /// In words.
        what: String,
    },
    /// A thread panicked.
    Panicked {
        /// Which, where and why.
        what: String,
    },
    /// The journal could not be opened, or not be read.
    Failed {
        /// The error.
        error: String,
    },
    /// The process ended by itself, and everything went well.
    Done,
}

/// What a reader can see for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongKind {
    /// A commit is not whole.
    Torn,
    /// Content that nobody wrote.
    Content,
    /// Two ways of reading differ.
    Differs,
    /// A repeat was answered as none may be.
    Repeat,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Opening => write!(f, "opening"),
            Line::Opened { micros } => write!(f, "opened {micros}"),
            Line::Attempt(request) => write!(f, "attempt {request}"),
            Line::Again { number } => write!(f, "again {number}"),
            Line::Stored { number, versions } => {
                write!(f, "stored {number}")?;
                versions.iter().try_for_each(|version| write!(f, " {version}"))
            }
            Line::Refused { number, error } => write!(f, "refused {number} {}", OneLine(error)),
            Line::Unknown { number, error } => write!(f, "unknown {number} {}", OneLine(error)),
            Line::Shown { stream, version, digest } => write!(f, "shown {stream} {version} {digest}"),
            Line::Commit(commit) => write!(f, "commit {commit}"),
            Line::Holds(holding) => write!(f, "holds {holding}"),
            Line::Wrong { kind, what } => {
                let kind = match kind {
                    WrongKind::Torn => "torn",
                    WrongKind::Content => "content",
                    WrongKind::Differs => "differs",
                    WrongKind::Repeat => "repeat",
                };
                write!(f, "wrong {kind} {}", OneLine(what))
            }
            Line::Panicked { what } => write!(f, "panicked {}", OneLine(what)),
            Line::Failed { error } => write!(f, "failed {}", OneLine(error)),
            Line::Done => write!(f, "done"),
        }
    }
}

/// Text of others, without line ends.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.split(['\n', '\r']).enumerate().try_for_each(|(at, part)| match at {
            0 => write!(f, "{part}"),
            _ => write!(f, " {part}"),
        })
    }
}

impl Line {
    /// Reads a line, without its end.
    ///
    /// # Errors
    ///
    /// When it is not one.
    pub fn parse(line: &str) -> anyhow::Result<Line> {
        Self::parse_words(line).with_context(|| format!("not a line of a transcript: {line:?}"))
    }

    fn parse_words(line: &str) -> anyhow::Result<Line> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split(' ');
        let mut next = || words.next().context("it is too short");
        Ok(match word {
            "opening" => Line::Opening,
            "opened" => Line::Opened { micros: next()?.parse()? },
            "attempt" => Line::Attempt(Request::parse(rest)?),
            "again" => Line::Again { number: next()?.parse()? },
            "stored" => {
                let (number, version) = (next()?.parse()?, next()?.parse()?);
                let others = words.map(str::parse).collect::<Result<Vec<_>, _>>()?;
                Line::Stored { number, versions: std::iter::once(version).chain(others).collect() }
            }
            "refused" | "unknown" => {
                let (number, error) = rest.split_once(' ').context("it is too short")?;
                let (number, error) = (number.parse()?, error.to_owned());
                if word == "refused" { Line::Refused { number, error } } else { Line::Unknown { number, error } }
            }
            "shown" => Line::Shown { stream: next()?.to_owned(), version: next()?.parse()?, digest: next()?.parse()? },
            "commit" => Line::Commit(CommitLine::parse(rest)?),
            "holds" => Line::Holds(rest.parse()?),
            "wrong" => {
                let kind = match next()? {
                    "torn" => WrongKind::Torn,
                    "content" => WrongKind::Content,
                    "differs" => WrongKind::Differs,
                    "repeat" => WrongKind::Repeat,
                    other => bail!("{other} is not a kind of wrong"),
                };
                Line::Wrong { kind, what: rest.split_once(' ').map_or("", |(_, what)| what).to_owned() }
            }
            "panicked" => Line::Panicked { what: rest.to_owned() },
            "failed" => Line::Failed { error: rest.to_owned() },
            "done" => Line::Done,
            _ => bail!("{word} is not a word of a transcript"),
        })
    }
}

/// Reads a transcript. A last line without its end was cut off.
///
/// # Errors
///
/// When a line is not one.
pub fn parse(text: &str) -> anyhow::Result<Vec<Line>> {
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(Line::parse).collect()
}

/// Writes a transcript. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<File>);

impl Recorder {
    /// Writes to the end of the file `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Recorder(Arc::new(File::options().create(true).append(true).open(path)?)))
    }

    /// Writes a line, in one write: appended whole, whoever else is writing.
    ///
    /// # Panics
    ///
    /// When it cannot be written: the process would go on unheard.
    pub fn say(&self, line: &Line) {
        (&*self.0).write_all(format!("{line}\n").as_bytes()).expect("the transcript can be written");
    }

    /// Has panics of this process written down too.
    pub fn hear_panics(&self) {
        let (recorder, before) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            let what = format!("thread '{}': {panic}", thread.name().unwrap_or("?"));
            // IMPORTANT: not by `say`, whose own panic would be a second one.
            let _lost = (&*recorder.0).write_all(format!("{}\n", Line::Panicked { what }).as_bytes());
            before(panic);
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_back_as_it_was_written() {
        let (number, stream, claim) = (17, "own-3-1".to_owned(), "seat-5".to_owned());
        let share = |stream: &str, events, amount, step| Share { stream: stream.to_owned(), events, amount, step };
        let attempt = |keyed, shares| Line::Attempt(Request { number, keyed, shares });
        let part = |first, amount, facts| Part { stream: stream.clone(), version: 39, events: 2, first, amount, facts };
        let commit = |keyed, parts| Line::Commit(CommitLine { commit: 12, position: 30, number, keyed, parts });
        let lines = [
            Line::Opening,
            Line::Opened { micros: 1_250 },
            attempt(false, vec![share("own-3-1", 2, 0, None)]),
            attempt(true, vec![share("own-3-1", 2, 0, None)]),
            attempt(false, vec![share("own-3-1", 2, 0, Some(Step::Take(claim.clone())))]),
            attempt(false, vec![share("own-3-1", 1, 0, Some(Step::Hold(claim.clone(), 7)))]),
            attempt(false, vec![share("own-3-1", 1, 0, Some(Step::Confirm(claim.clone())))]),
            attempt(
                true,
                vec![
                    share("own-3-1", 1, -30, Some(Step::Move(claim.clone(), "b".to_owned()))),
                    share("b", 3, 30, Some(Step::Release("seat-6".to_owned()))),
                ],
            ),
            Line::Again { number: 18 },
            Line::Stored { number, versions: vec![40] },
            Line::Stored { number, versions: vec![40, 8, 3] },
            Line::Refused { number, error: "too late".to_owned() },
            Line::Unknown { number, error: "who knows".to_owned() },
            Line::Shown { stream: stream.clone(), version: 40, digest: u64::MAX },
            commit(true, vec![part(0, 0, vec![])]),
            commit(false, vec![part(0, 0, vec![Fact::Expired(claim.clone(), 9), Fact::Taken(claim.clone(), None)])]),
            commit(
                true,
                vec![
                    part(0, -30, vec![Fact::Released(claim.clone())]),
                    part(2, 30, vec![Fact::Moved(claim.clone(), "b".to_owned(), Some(8))]),
                ],
            ),
            Line::Holds(Holding { claim: claim.clone(), stream: stream.clone(), since: 12, until: None }),
            Line::Holds(Holding { claim: claim.clone(), stream: stream.clone(), since: 12, until: Some(8) }),
            Line::Wrong { kind: WrongKind::Torn, what: "commit 12 is half there".to_owned() },
            Line::Panicked { what: "thread 'x' at line 1".to_owned() },
            Line::Failed { error: "no such directory".to_owned() },
            Line::Done,
        ];
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(parse(&text).unwrap(), lines);
        assert_eq!(parse(&format!("{text}stored 17 4")).unwrap(), lines, "a line that was cut off says nothing");
        assert!(parse("stored 17\n").is_err());
        let two = Line::Failed { error: "one\ntwo".to_owned() };
        assert_eq!(two.to_string(), "failed one two");
    }
}
