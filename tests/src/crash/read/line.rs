//! A commit as a line of the transcript, and what can be seen to be wrong with it alone.

use onefold::journal::{ClaimFact, RecordedCommit, RecordedExtras, RecordedPart};
use onefold::{CommitNumber, StreamId, Timestamp};

use super::Reader;
use crate::crash::chronicle::{ChronicleEvent, Entry, Write};
use crate::crash::transcript::{CommitLine, Fact, Part, WrongKind};

impl Reader {
    /// What a commit holds, if it can be made out.
    pub(super) fn line(&self, commit: &RecordedCommit) -> Option<CommitLine> {
        let number = commit.number;
        let mut entries = Vec::new();
        let mut parts = Vec::with_capacity(commit.parts.len());
        let mut keys = Vec::with_capacity(commit.parts.len());
        for (stream, part) in &commit.parts {
            let (Some(of_part), Some(extras)) = (self::entries(part), part.extras()) else {
                self.wrong(WrongKind::Content, format!("commit {number} of {stream} does not decode"));
                return None;
            };
            let RecordedExtras { claims, key } = extras;
            keys.push(key.map(|record| record.key().to_string()));
            parts.push(Part {
                stream: stream.aggregate_id().to_owned(),
                version: part.first_version.get(),
                events: u16::try_from(of_part.len()).unwrap_or(u16::MAX),
                first: of_part.first().map_or(0, |(entry, _)| entry.place),
                amount: of_part.iter().map(|(_, amount)| amount).sum(),
                facts: claims.iter().filter_map(|fact| self.fact(number, fact)).collect(),
            });
            let (Some(first), Some(last)) = (of_part.first(), of_part.last()) else { continue };
            if usize::from(last.0.place - first.0.place.min(last.0.place)) + 1 != of_part.len() {
                self.wrong(
                    WrongKind::Torn,
                    format!("commit {number}: {stream} has the events of others between its own"),
                );
            }
            entries.extend(of_part.into_iter().map(|(entry, _)| entry));
        }
        let Some((_, first)) = commit.parts.first() else {
            self.wrong(WrongKind::Torn, format!("commit {number} has no parts"));
            return None;
        };
        let command = self.command(number, entries);
        Some(CommitLine {
            commit: number.get(),
            position: first.first_position.get(),
            number: command,
            keyed: self.remembers_key(number, command, &keys),
            parts,
        })
    }

    /// Whose events they are, all of them; 0 if there are none.
    fn command(&self, number: CommitNumber, mut entries: Vec<Entry>) -> u64 {
        entries.sort_by_key(|entry| entry.place);
        let Some(first) = entries.first() else { return 0 };
        let in_place = |(place, entry): (usize, &Entry)| {
            entry.number == first.number && usize::from(entry.place) == place && entry.count == first.count
        };
        if !entries.iter().enumerate().all(in_place) || usize::from(first.count) != entries.len() {
            let (command, count, there) = (first.number, first.count, entries.len());
            let what = format!("commit {number}: command {command} has {count} events, {there} are there");
            self.wrong(WrongKind::Torn, what);
        }
        if let Some(entry) = entries.iter().find(|entry| !entry.is_genuine()) {
            let what = format!("commit {number}: event {} of command {} is not as written", entry.place, entry.number);
            self.wrong(WrongKind::Content, what);
        }
        first.number
    }

    /// Whether each part of a commit remembers the key of its command. Another's is wrong, and so is half of it.
    fn remembers_key(&self, commit: CommitNumber, command: u64, keys: &[Option<String>]) -> bool {
        let own = Write::key(command);
        if keys.iter().flatten().any(|key| *key != own) {
            self.wrong(WrongKind::Content, format!("commit {commit} of command {command} remembers another key"));
        }
        let remembering = keys.iter().flatten().count();
        if remembering != 0 && remembering != keys.len() {
            let what = format!("commit {commit}: {remembering} of {} parts remember their key", keys.len());
            self.wrong(WrongKind::Torn, what);
        }
        remembering > 0
    }

    fn fact(&self, commit: CommitNumber, fact: &ClaimFact) -> Option<Fact> {
        let claim = fact.claim().value().to_owned();
        let until = |expires_at: &Option<Timestamp>| expires_at.map(Timestamp::as_micros);
        Some(match fact {
            ClaimFact::Taken { expires_at, .. } => Fact::Taken(claim, until(expires_at)),
            ClaimFact::Released { .. } => Fact::Released(claim),
            ClaimFact::Moved { to, expires_at, .. } => Fact::Moved(claim, id(to), until(expires_at)),
            ClaimFact::Expired { since, .. } => Fact::Expired(claim, since.get()),
            fact => {
                self.wrong(WrongKind::Content, format!("commit {commit}: an unknown fact, {fact:?}"));
                return None;
            }
        })
    }
}

fn id(stream: &StreamId) -> String {
    stream.aggregate_id().to_owned()
}

/// The events of a part, each with what the aggregate got by it; `None` when one does not decode.
pub(super) fn entries(part: &RecordedPart) -> Option<Vec<(Entry, i64)>> {
    part.events().map(|frame| Some(frame?.decode::<ChronicleEvent>().ok()?.content())).collect()
}
