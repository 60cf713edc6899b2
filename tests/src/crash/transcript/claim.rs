//! Claims in the words of a transcript: what is asked of one, what became of it, and who holds it.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde::Serialize;

/// The namespace of all claims of the load.
pub const NAMESPACE: &str = "seat";

/// What a command asks of a claim. Times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Step {
    /// Takes it for good.
    Take(String),
    /// Takes it until then.
    Hold(String, u64),
    /// Makes a hold one for good.
    Confirm(String),
    /// Gives it up.
    Release(String),
    /// Hands it to another aggregate.
    Move(String, String),
}

/// What became of a claim, by a part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The part's aggregate holds it, perhaps only until some time.
    Taken(String, Option<u64>),
    /// The part's aggregate gave it up.
    Released(String),
    /// The part's aggregate handed it to another; a hold keeps its limit.
    Moved(String, String, Option<u64>),
    /// The hold of that commit is over.
    Expired(String, u64),
}

/// Who holds a claim.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holding {
    /// The claim.
    pub claim: String,
    /// The aggregate.
    pub stream: String,
    /// The commit that made it so.
    pub since: u64,
    /// When it may be ended; `None`: held for good.
    pub until: Option<u64>,
}

impl Step {
    /// Of which claim.
    pub fn claim(&self) -> &str {
        match self {
            Step::Take(claim)
            | Step::Hold(claim, _)
            | Step::Confirm(claim)
            | Step::Release(claim)
            | Step::Move(claim, _) => claim,
        }
    }

    /// Whether it may make somebody the holder who was not.
    pub fn takes(&self) -> bool {
        matches!(self, Step::Take(_) | Step::Hold(..))
    }

    /// Whether `fact` is what it asks for. A hold that is held for good already stays so.
    pub fn is_done_by(&self, fact: &Fact) -> bool {
        match (self, fact) {
            (Step::Take(asked) | Step::Confirm(asked), Fact::Taken(claim, until)) => asked == claim && until.is_none(),
            (Step::Hold(asked, limit), Fact::Taken(claim, until)) => {
                asked == claim && until.is_none_or(|until| until == *limit)
            }
            (Step::Release(asked), Fact::Released(claim)) => asked == claim,
            (Step::Move(asked, asked_to), Fact::Moved(claim, to, _)) => asked == claim && asked_to == to,
            _ => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Take(claim) => write!(f, "take:{claim}"),
            Step::Hold(claim, until) => write!(f, "hold:{claim}:{until}"),
            Step::Confirm(claim) => write!(f, "confirm:{claim}"),
            Step::Release(claim) => write!(f, "release:{claim}"),
            Step::Move(claim, to) => write!(f, "move:{claim}:{to}"),
        }
    }
}

impl FromStr for Step {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        Ok(match *word.split(':').collect::<Vec<_>>() {
            ["take", claim] => Step::Take(claim.to_owned()),
            ["hold", claim, until] => Step::Hold(claim.to_owned(), until.parse()?),
            ["confirm", claim] => Step::Confirm(claim.to_owned()),
            ["release", claim] => Step::Release(claim.to_owned()),
            ["move", claim, to] => Step::Move(claim.to_owned(), to.to_owned()),
            _ => bail!("{word} asks nothing of a claim"),
        })
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Taken(claim, until) => write!(f, "taken:{claim}:{}", Until(*until)),
            Fact::Released(claim) => write!(f, "released:{claim}"),
            Fact::Moved(claim, to, until) => write!(f, "moved:{claim}:{to}:{}", Until(*until)),
            Fact::Expired(claim, since) => write!(f, "expired:{claim}:{since}"),
        }
    }
}

impl FromStr for Fact {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        Ok(match *word.split(':').collect::<Vec<_>>() {
            ["taken", claim, limit] => Fact::Taken(claim.to_owned(), until(limit)?),
            ["released", claim] => Fact::Released(claim.to_owned()),
            ["moved", claim, to, limit] => Fact::Moved(claim.to_owned(), to.to_owned(), until(limit)?),
            ["expired", claim, since] => Fact::Expired(claim.to_owned(), since.parse()?),
            _ => bail!("{word} tells nothing of a claim"),
        })
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holding { claim, stream, since, until } = self;
        write!(f, "{claim} {stream} {since} {}", Until(*until))
    }
}

impl FromStr for Holding {
    type Err = anyhow::Error;

    fn from_str(words: &str) -> anyhow::Result<Self> {
        let mut words = words.split(' ');
        let mut next = || words.next().context("it is too short");
        let (claim, stream) = (next()?.to_owned(), next()?.to_owned());
        Ok(Holding { claim, stream, since: next()?.parse()?, until: until(next()?)? })
    }
}

/// A limit, or `-`.
struct Until(Option<u64>);

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(until) => write!(f, "{until}"),
            None => f.write_str("-"),
        }
    }
}

fn until(word: &str) -> anyhow::Result<Option<u64>> {
    Ok(if word == "-" { None } else { Some(word.parse()?) })
}
