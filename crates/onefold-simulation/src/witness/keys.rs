//! Idempotency keys (P8): what was asked for under which key, so that it can be asked for again, and whether each answer is
//! the one that is stored with the key.

use std::collections::BTreeSet;
use std::sync::Arc;

use onefold::journal::{KeyOutcome, KeyRecord};
use onefold::{CodecId, Error, StreamId};
use serde::de::DeserializeOwned;

use super::{OperationId, Witness};
use crate::simulated::{Refused, Seen};
use crate::{Random, Violation};

/// What a caller wants done once, however often it asks.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    /// Tells it from others: the command's fingerprint follows from it. Beginning with 1.
    pub(crate) number: u64,
    /// Of which aggregate, by its place among them.
    pub(crate) aggregate: usize,
    /// What the command is drawn from, the same each time.
    pub(crate) draw: Random,
    pub(crate) key: Arc<str>,
}

/// The key of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keyed {
    pub(crate) key: Arc<str>,
    pub(crate) intent: u64,
    /// Whether a rejection is to be remembered, too.
    pub(crate) remembers: bool,
}

/// All that was asked for with a key, over all lives of the process.
#[derive(Default)]
pub(super) struct Intents {
    all: Vec<Intent>,
    /// Those whose callers do not know yet what came of them.
    open: BTreeSet<u64>,
}

/// Of the newest so many, one is asked for again.
const NEWEST: usize = 32;

/// What is stored with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stored {
    Reply(Seen),
    Rejection(Refused),
    /// It does not decode.
    Unreadable,
}

impl Stored {
    fn of(record: &KeyRecord) -> Self {
        match record.outcome() {
            KeyOutcome::Reply => decoded(record).map_or(Stored::Unreadable, Stored::Reply),
            KeyOutcome::Rejection => decoded(record).map_or(Stored::Unreadable, Stored::Rejection),
        }
    }

    fn intent(&self) -> u64 {
        match self {
            Stored::Reply(seen) => seen.intent,
            Stored::Rejection(refused) => refused.intent,
            Stored::Unreadable => 0,
        }
    }
}

/// What a key's outcome was, behind the four bytes that the runtime knows it again by.
fn decoded<T: DeserializeOwned>(record: &KeyRecord) -> Option<T> {
    CodecId::from_number(record.codec())?.decode(record.reply().get(4..)?).ok()
}

impl Witness {
    /// Something new is to be asked for. `key`: another's, by mistake; else one of its own.
    pub(crate) fn intends(&self, aggregate: usize, draw: Random, key: Option<Arc<str>>) -> Intent {
        let mut state = self.state.lock();
        let intents = &mut state.intents;
        let number = intents.all.len() as u64 + 1;
        let key = key.unwrap_or_else(|| format!("key-{number}").into());
        let intent = Intent { number, aggregate, draw, key };
        intents.all.push(intent.clone());
        intents.open.insert(number);
        intent
    }

    /// What was asked for before: what nobody was told the outcome of, or anything.
    pub(crate) fn intended(&self, random: &mut Random) -> Option<Intent> {
        let state = self.state.lock();
        let Intents { all, open } = &state.intents;
        let number = match random.one_in(2) && !open.is_empty() {
            true => *open.iter().rev().nth(random.index(open.len().min(NEWEST)))?,
            false => (all.len() as u64).checked_sub(random.below(all.len().min(NEWEST) as u64))?,
        };
        all.get(usize::try_from(number).ok()?.checked_sub(1)?).cloned()
    }

    /// Everything that was asked for with a key and is open, and some of the rest: what is asked for once more in the end.
    pub(crate) fn to_be_settled(&self, random: &mut Random) -> Vec<Intent> {
        let state = self.state.lock();
        let Intents { all, open } = &state.intents;
        all.iter().filter(|intent| open.contains(&intent.number) || random.one_in(4)).cloned().collect()
    }

    /// Whether a key's outcome is durable.
    pub(super) fn is_settled(&self, stream: &StreamId, keyed: Option<&Keyed>) -> bool {
        keyed.is_some_and(|keyed| self.disk.key(stream, &keyed.key).is_some())
    }

    /// Whether the answer of an operation with a key is the one that is stored, at this moment, with that key.
    pub(crate) fn check_key(&self, id: OperationId, answer: &Result<Seen, Error<Refused>>) -> Result<(), Violation> {
        let (stream, keyed, was_settled) = {
            let mut state = self.state.lock();
            let alone = state.life.as_ref().is_none_or(|life| life.runtimes == 1);
            let operation = state.operation(id);
            let Some(keyed) = operation.asked.keyed.clone() else { return Ok(()) };
            (operation.asked.stream.clone(), keyed, operation.settled && alone)
        };
        let stored = self.disk.key(&stream, &keyed.key).as_ref().map(Stored::of);
        let fits = match (answer, &stored) {
            (Ok(seen), stored) => seen.intent == keyed.intent && *stored == Some(Stored::Reply(*seen)),
            (Err(Error::Rejected(refused)), stored) if keyed.remembers => {
                refused.intent == keyed.intent && *stored == Some(Stored::Rejection(refused.clone()))
            }
            (Err(Error::KeyReused { .. }), Some(stored)) => stored.intent() != keyed.intent,
            (Err(Error::KeyReused { .. } | Error::AlreadyDone(_)), None) => false,
            (Err(Error::AlreadyDone(_)), Some(stored)) => {
                !keyed.remembers && stored.intent() == keyed.intent && matches!(stored, Stored::Rejection(_))
            }
            // Decided anew, though its outcome was there before it was asked for.
            (Err(Error::Rejected(_) | Error::Conflict { .. } | Error::OutcomeUnknown(_)), _) => !was_settled,
            (Err(Error::Overloaded { bound, .. }), _) => !was_settled || *bound != "idempotency_bytes_max",
            _ => true,
        };
        let is_told = match answer {
            Ok(_) | Err(Error::KeyReused { .. } | Error::AlreadyDone(_)) => true,
            Err(Error::Rejected(_)) => keyed.remembers,
            Err(_) => false,
        };
        if is_told {
            self.state.lock().intents.open.remove(&keyed.intent);
        }
        if fits {
            return Ok(());
        }
        let told = answer.as_ref().map_or_else(|error| format!("{error}"), |seen| format!("{seen:?}"));
        let stored = stored.map_or_else(|| "nothing".to_owned(), |stored| format!("{stored:?}"));
        Err(Violation::WrongRepeat { stream, operation: id, key: keyed.key.to_string(), told, stored })
    }

    /// The key of an operation that wrote something.
    pub(crate) fn key_of(&self, id: OperationId) -> Option<Arc<str>> {
        let mut state = self.state.lock();
        Some(state.operation(id).asked.keyed.as_ref()?.key.clone())
    }
}
