//! How a failed test tells its story: what was given, each command and what came of it, and what is wrong, as a diff where
//! two things should be the same.
//!
//! Plain text: the message goes through test runners and logs, and is kept as an expectation by tests of its own.

use std::any::Any;
use std::fmt::{Debug, Write};

use onefold_core::StreamId;
use similar::{ChangeTag, DiffTag, TextDiff};

/// Lines of what is the same that are shown around a difference.
const CONTEXT_LINES: usize = 5;
/// Events that are the same, likewise.
const CONTEXT_BLOCKS: usize = 2;
/// What stands for what is left out between.
const GAP: &str = "  ⋮\n";

/// Given events that are shown, the last ones; of a long history the beginning says little.
const GIVEN_SHOWN_MAX: usize = 30;

/// Characters of a line of the story; what is longer is rarely read.
const LINE_CHARS_MAX: usize = 300;

/// What is wrong: in a sentence, and what there is to see.
#[derive(Debug)]
pub(super) struct Failure {
    what: String,
    shown: String,
}

impl Failure {
    pub(super) fn new(what: String, shown: String) -> Self {
        Failure { what, shown }
    }

    /// Two things that should be the same.
    pub(super) fn differ(what: String, one: (&str, &[String]), other: (&str, &[String])) -> Self {
        let shown = match one.1 == other.1 {
            true => format!("{}\n\nBoth are shown alike, and `==` says that they differ.", one.1.join("\n")),
            false => format!("- {}\n+ {}\n\n{}", one.0, other.0, diff(one.1, other.1)),
        };
        Failure { what, shown }
    }

    /// The same of two texts.
    pub(super) fn differs(what: String, one: (&str, String), other: (&str, String)) -> Self {
        Self::differ(what, (one.0, &[one.1]), (other.0, &[other.1]))
    }

    pub(super) fn panicked(place: &str, panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Failure { what: format!("{place} panicked"), shown: message.unwrap_or_else(|| "without a message".to_owned()) }
    }
}

/// What happened so far, in lines of text.
#[derive(Debug, Default)]
pub(super) struct Story(String);

impl Story {
    pub(super) fn given(&mut self, events: impl ExactSizeIterator<Item = String>, claims: Vec<String>) {
        let (count, hidden) = (events.len(), events.len().saturating_sub(GIVEN_SHOWN_MAX));
        let before = (hidden > 0).then(|| format!("… {hidden} earlier events …"));
        let nothing = (count == 0 && claims.is_empty()).then(|| "nothing".to_owned());
        self.add("given", before.into_iter().chain(nothing).chain(events.skip(hidden)).chain(claims));
    }

    pub(super) fn when(&mut self, command: String) {
        self.add("when", [command]);
    }

    pub(super) fn then(&mut self, lines: impl IntoIterator<Item = String>) {
        self.add("then", lines);
    }

    fn add(&mut self, mut label: &str, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            let shown: String = line.chars().take(LINE_CHARS_MAX).collect();
            let cut = if shown.len() < line.len() { " …" } else { "" };
            let _ = writeln!(self.0, "{label:<6} {shown}{cut}");
            label = "";
        }
    }

    pub(super) fn tell(&self, stream: &StreamId, Failure { what, shown }: &Failure) -> String {
        format!("{stream}: {what}\n\n{}\n{}\n", self.0, shown.trim_end())
    }
}

/// Each over as many lines as it takes.
pub(super) fn blocks_of<T: Debug>(values: &[T]) -> Vec<String> {
    match values {
        [] => vec!["nothing".to_owned()],
        values => values.iter().map(|value| format!("{value:#?}")).collect(),
    }
}

pub(super) fn text_of<T: Debug>(values: &[T]) -> String {
    blocks_of(values).join("\n")
}

/// Both as blocks: `-` only in the one, `+` only in the other, with some of what is the same around them. Whole blocks are
/// compared first, so that an event that is missing doesn't borrow a brace from its neighbour.
fn diff(one: &[String], other: &[String]) -> String {
    let (one, other): (Vec<&str>, Vec<&str>) =
        (one.iter().map(String::as_str).collect(), other.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&one, &other);
    let mut text = String::new();
    for (index, group) in diff.grouped_ops(CONTEXT_BLOCKS).iter().enumerate() {
        text.push_str(if index > 0 { GAP } else { "" });
        for op in group {
            let (removed, added) = (&one[op.old_range()], &other[op.new_range()]);
            if op.tag() == DiffTag::Equal {
                removed.iter().for_each(|block| push(&mut text, ' ', block));
                continue;
            }
            let pairs = removed.len().min(added.len());
            removed.iter().zip(added).for_each(|(one, other)| push_changed(&mut text, one, other));
            removed[pairs..].iter().for_each(|block| push(&mut text, '-', block));
            added[pairs..].iter().for_each(|block| push(&mut text, '+', block));
        }
    }
    text
}

fn push_changed(text: &mut String, one: &str, other: &str) {
    let diff = TextDiff::from_lines(one, other);
    for (index, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        let hidden = group.first().map_or(0, |op| op.old_range().start);
        if index == 0 && hidden > 0 {
            // Which event it is, or which reply.
            one.lines().take(1).for_each(|line| push(text, ' ', line));
        }
        text.push_str(if index > 0 || hidden > 1 { GAP } else { "" });
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            push(text, sign, change.value());
        }
    }
}

fn push(text: &mut String, sign: char, block: &str) {
    for line in block.lines() {
        let _ = writeln!(text, "{sign} {line}");
    }
}
