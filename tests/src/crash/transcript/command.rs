//! Commands and commits in the words of a transcript: one share for each aggregate, with `and` between them.
//!
//! ```text
//! own-3-1 2                             2 events for own-3-1
//! own-3-1 2 amount:-30 and own-4-2 1 amount:30
//!                                       one decision over two aggregates; 30 goes from the one to the other
//! own-3-1 1 take:seat-5                 1 event, and the claim seat-5
//! own-3-1 39 1 taken:seat-5:-           of a commit: its event has version 39, and it holds the claim for good
//! ```

use std::fmt;
use std::str::FromStr as _;

use anyhow::Context as _;

use super::claim::{Fact, Step};

/// A command as it is sent, the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number, never used twice in a directory.
    pub number: u64,
    /// Whether it has an idempotency key.
    pub keyed: bool,
    /// What each aggregate is to do; the first is the one that was picked.
    pub shares: Vec<Share>,
}

/// What one aggregate is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The aggregate.
    pub stream: String,
    /// How many events.
    pub events: u16,
    /// What it gets from the others; less than nothing: what it gives.
    pub amount: i64,
    /// What it asks of a claim.
    pub step: Option<Step>,
}

impl Request {
    /// How many events there are in all.
    pub fn events(&self) -> u16 {
        self.shares.iter().map(|share| share.events).sum()
    }

    /// What its one aggregate is asked to do one by one, with one `ask_all`: half of those with several events are. Each piece has
    /// an event; a claim goes with the first. Told by its number, so it is the same each time.
    pub fn in_pieces(&self) -> Option<Vec<Share>> {
        let [share] = &*self.shares else { return None };
        let piece = |place| {
            let step = share.step.clone().filter(|_| place == 0);
            Share { stream: share.stream.clone(), events: 1, amount: 0, step }
        };
        (share.events > 1 && self.number.is_multiple_of(2)).then(|| (0..share.events).map(piece).collect())
    }

    /// The shares, each with the place of its first event among all of them.
    pub fn placed(&self) -> impl Iterator<Item = (u16, &Share)> {
        self.shares.iter().scan(0, |next, share| {
            let first = *next;
            *next += share.events;
            Some((first, share))
        })
    }

    pub(super) fn parse(rest: &str) -> anyhow::Result<Self> {
        let (number, rest) = rest.split_once(' ').context("it is too short")?;
        let (rest, keyed) = without_key(rest);
        let shares = rest.split(" and ").map(Share::parse).collect::<anyhow::Result<_>>()?;
        Ok(Request { number: number.parse()?, keyed, shares })
    }
}

impl Share {
    fn parse(words: &str) -> anyhow::Result<Self> {
        let mut words = words.split(' ');
        let mut next = || words.next().context("it is too short");
        let mut share = Share { stream: next()?.to_owned(), events: next()?.parse()?, ..Share::default() };
        for word in words {
            match word.strip_prefix("amount:") {
                Some(amount) => share.amount = amount.parse()?,
                None => share.step = Some(Step::from_str(word)?),
            }
        }
        Ok(share)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        for (index, Share { stream, events, amount, step }) in self.shares.iter().enumerate() {
            write!(f, "{} {stream} {events}{}", and(index), Amount(*amount))?;
            step.iter().try_for_each(|step| write!(f, " {step}"))?;
        }
        f.write_str(key(self.keyed))
    }
}

/// A commit as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitLine {
    /// Its number.
    pub commit: u64,
    /// The global position of its first event.
    pub position: u64,
    /// The number of its command; 0 of one that only ends holds whose time is up.
    pub number: u64,
    /// Whether it remembers the command's idempotency key.
    pub keyed: bool,
    /// What it holds for each aggregate.
    pub parts: Vec<Part>,
}

/// One aggregate's part of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The aggregate.
    pub stream: String,
    /// The version of its first event.
    pub version: u64,
    /// How many events it has.
    pub events: u16,
    /// The place of its first event among the command's.
    pub first: u16,
    /// What it got from the other parts.
    pub amount: i64,
    /// What became of claims.
    pub facts: Vec<Fact>,
}

impl CommitLine {
    /// How many events there are in all.
    pub fn events(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.events)).sum()
    }

    /// `commit position stream version number events …`
    pub(super) fn parse(rest: &str) -> anyhow::Result<Self> {
        let (rest, keyed) = without_key(rest);
        let [commit, position, rest] = head(rest)?;
        let mut shares = rest.split(" and ");
        let [stream, version, rest] = head(shares.next().context("it is too short")?)?;
        let (number, rest) = rest.split_once(' ').context("it is too short")?;
        let mut parts = vec![Part::parse(stream, version, rest)?];
        for share in shares {
            let [stream, version, rest] = head(share)?;
            parts.push(Part::parse(stream, version, rest)?);
        }
        Ok(CommitLine { commit: commit.parse()?, position: position.parse()?, number: number.parse()?, keyed, parts })
    }
}

impl Part {
    fn parse(stream: &str, version: &str, words: &str) -> anyhow::Result<Self> {
        let mut words = words.split(' ');
        let events = words.next().context("it is too short")?.parse()?;
        let (stream, version) = (stream.to_owned(), version.parse()?);
        let mut part = Part { stream, version, events, ..Part::default() };
        for word in words {
            match word.split_once(':') {
                Some(("amount", amount)) => part.amount = amount.parse()?,
                Some(("from", first)) => part.first = first.parse()?,
                _ => part.facts.push(Fact::from_str(word)?),
            }
        }
        Ok(part)
    }
}

impl fmt::Display for CommitLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CommitLine { commit, position, number, keyed, parts } = self;
        write!(f, "{commit} {position}")?;
        for (index, Part { stream, version, events, first, amount, facts }) in parts.iter().enumerate() {
            write!(f, "{} {stream} {version}", and(index))?;
            if index == 0 {
                write!(f, " {number}")?;
            }
            write!(f, " {events}{}", Amount(*amount))?;
            if *first > 0 {
                write!(f, " from:{first}")?;
            }
            facts.iter().try_for_each(|fact| write!(f, " {fact}"))?;
        }
        f.write_str(key(*keyed))
    }
}

/// Two words and the rest.
fn head(text: &str) -> anyhow::Result<[&str; 3]> {
    let (one, rest) = text.split_once(' ').context("it is too short")?;
    let (two, rest) = rest.split_once(' ').context("it is too short")?;
    Ok([one, two, rest])
}

/// Between the shares.
fn and(index: usize) -> &'static str {
    if index == 0 { "" } else { " and" }
}

/// The last word of what has an idempotency key.
fn key(keyed: bool) -> &'static str {
    if keyed { " key" } else { "" }
}

fn without_key(text: &str) -> (&str, bool) {
    text.strip_suffix(" key").map_or((text, false), |text| (text, true))
}

/// Told if there is any.
struct Amount(i64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, " amount:{}", self.0) }
    }
}
