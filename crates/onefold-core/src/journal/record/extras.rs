//! Extras as bytes: what a part of a commit carries beside its events. The record of a key is encoded already, see
//! [`EncodedEvents`](super::super::EncodedEvents); here are the facts about claims, which the journal decides.
//!
//! ```text
//!    facts, each:
//!       kind u8               1 taken, 2 released, 3 moved, 4 expired
//!       namespace length u8, value length u8, namespace, value
//!       taken:     limit
//!       moved:     limit, type length u8, id length u8, type, id       the new holder
//!       expired:   commit u64                                          of the hold that ended
//!    then, when a byte follows that is no kind of fact, the record of a command with a key, see key_record.rs
//!    or 0, if that is all: changes of claims that came to nothing
//!
//!    limit:   0 u8, held for good;  or 1 u8, microseconds since 1970 u64
//! ```
//!
//! All integers are little-endian.

use smallvec::SmallVec;

use super::super::{Append, ClaimFact, DecidedClaims, KeyRecord, RecordedExtras};
use super::{FORMAT, FORMAT_WITH_EXTRAS};
use crate::{ClaimName, CommitNumber, StreamId, Timestamp};

const NOTHING: u8 = 0;
const TAKEN: u8 = 1;
const RELEASED: u8 = 2;
const MOVED: u8 = 3;
const EXPIRED: u8 = 4;

/// The facts about claims of a commit's parts, encoded; by default none.
#[derive(Clone, Debug, Default)]
pub struct EncodedFacts {
    bytes: Vec<u8>,
    /// Where those of each part end; empty when no part has extras.
    ends: SmallVec<[usize; 1]>,
}

impl EncodedFacts {
    /// Encodes the facts that were decided about `append`.
    pub fn encode(append: &Append, claims: &DecidedClaims<'_>) -> Self {
        if !append.parts.iter().any(|part| part.has_extras()) {
            return Self::default();
        }
        let mut encoded = Self::default();
        let mut facts = claims.facts.iter().peekable();
        for (index, part) in append.parts.iter().enumerate() {
            if part.has_extras() {
                let own = std::iter::from_fn(|| facts.next_if(|(of, _)| *of == index)).map(|(_, fact)| fact);
                let begin = encoded.bytes.len();
                own.for_each(|fact| encode_fact(fact, &mut encoded.bytes));
                if encoded.bytes.len() == begin && part.events.key_bytes().is_empty() {
                    encoded.bytes.push(NOTHING);
                }
            }
            encoded.ends.push(encoded.bytes.len());
        }
        encoded
    }

    /// Those of the part with this index in the append.
    pub fn of(&self, part: usize) -> &[u8] {
        let Some(end) = self.ends.get(part) else { return &[] };
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..*end]
    }

    pub(super) fn format(&self) -> u8 {
        if self.ends.is_empty() { FORMAT } else { FORMAT_WITH_EXTRAS }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn encode_fact(fact: &ClaimFact, out: &mut Vec<u8>) {
    out.push(match fact {
        ClaimFact::Taken { .. } => TAKEN,
        ClaimFact::Released { .. } => RELEASED,
        ClaimFact::Moved { .. } => MOVED,
        ClaimFact::Expired { .. } => EXPIRED,
    });
    push_names(fact.claim().namespace(), fact.claim().value(), out);
    match fact {
        ClaimFact::Taken { expires_at, .. } => push_limit(*expires_at, out),
        ClaimFact::Released { .. } => {}
        ClaimFact::Moved { to, expires_at, .. } => {
            push_limit(*expires_at, out);
            push_names(to.aggregate_type(), to.aggregate_id(), out);
        }
        ClaimFact::Expired { since, .. } => out.extend(since.get().to_le_bytes()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "both were checked: 255 bytes at most")]
fn push_names(first: &str, second: &str, out: &mut Vec<u8>) {
    out.extend([first.len() as u8, second.len() as u8]);
    out.extend_from_slice(first.as_bytes());
    out.extend_from_slice(second.as_bytes());
}

fn push_limit(expires_at: Option<Timestamp>, out: &mut Vec<u8>) {
    out.push(u8::from(expires_at.is_some()));
    out.extend(expires_at.iter().flat_map(|at| at.as_micros().to_le_bytes()));
}

impl RecordedExtras {
    /// Reads the stored form; no bytes are no extras. `None` when they are anything
    /// else.
    pub fn decode(bytes: &[u8]) -> Option<RecordedExtras> {
        let (claims, key) = parse(bytes)?;
        Some(RecordedExtras { claims, key: key.map(|record| record.to_owned()) })
    }
}

/// Whether bytes are the stored form of extras.
pub(super) fn are_extras(bytes: &[u8]) -> bool {
    parse(bytes).is_some()
}

/// What extras consist of; the record lies where it lay.
type Parsed<'a> = (Vec<ClaimFact>, Option<KeyRecord<&'a [u8]>>);

fn parse(bytes: &[u8]) -> Option<Parsed<'_>> {
    if bytes == [NOTHING] {
        return Some((Vec::new(), None));
    }
    let mut rest = Rest(bytes);
    let mut claims = Vec::new();
    while let [TAKEN..=EXPIRED, ..] = rest.0 {
        claims.push(rest.fact()?);
    }
    let key = match rest.0 {
        [] => None,
        record => Some(KeyRecord::decode(record)?),
    };
    Some((claims, key))
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn fact(&mut self) -> Option<ClaimFact> {
        let kind = self.byte()?;
        let (namespace, value) = self.names()?;
        let claim = ClaimName::new(namespace, value).ok()?;
        Some(match kind {
            TAKEN => ClaimFact::Taken { claim, expires_at: self.limit()? },
            RELEASED => ClaimFact::Released { claim },
            MOVED => {
                let expires_at = self.limit()?;
                let (aggregate_type, id) = self.names()?;
                ClaimFact::Moved { claim, to: StreamId::new(aggregate_type, id).ok()?, expires_at }
            }
            EXPIRED => ClaimFact::Expired { claim, since: CommitNumber::new(u64::from_le_bytes(self.array()?)) },
            _ => return None,
        })
    }

    fn names(&mut self) -> Option<(&'a str, &'a str)> {
        let (first, second) = (usize::from(self.byte()?), usize::from(self.byte()?));
        let (first, second) = (self.take(first)?, self.take(second)?);
        Some((std::str::from_utf8(first).ok()?, std::str::from_utf8(second).ok()?))
    }

    fn limit(&mut self) -> Option<Option<Timestamp>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(Timestamp::from_micros(u64::from_le_bytes(self.array()?)))),
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
