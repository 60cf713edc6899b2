//! What is left of a damaged journal, held against what it was. Pure.
//!
//! Each way of reading must show the truth up to an error or to the end. At the end without an error nothing may be
//! missing, but for what nobody can tell from a write that a kill cut off: the end of the log that the beacon had not
//! reached.

use std::cmp::Ordering;

use super::content::{Content, Part};
use crate::crash::ledger::FindingKind;

/// What became of the damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Opening said so.
    Refused { kind: String, error: String },
    /// Something that was read said so.
    Detected { error: String },
    /// Everything is as it was.
    Harmless,
    /// The last commits, which the beacon had not reached, are gone: cannot be told from a torn write.
    Undecidable { commits: u64 },
    /// None of these.
    Violation { kind: FindingKind, what: String },
}

/// The verdict, when of the commits of `before` all up to `sure` must be there.
pub(super) fn judge(before: &Content, after: &Content, sure: u64) -> Outcome {
    let lost = judge_feed(before, after, sure).and_then(|end| {
        judge_streams(before, after, sure, end)?;
        judge_claims(before, after, sure, end)?;
        Ok(end)
    });
    match (lost, after.error()) {
        (Err((kind, what)), _) => Outcome::Violation { kind, what },
        (Ok(_), Some(error)) => Outcome::Detected { error: error.clone() },
        (Ok(end), None) => match before.end() - end.unwrap_or(before.end()) {
            0 => Outcome::Harmless,
            commits => Outcome::Undecidable { commits },
        },
    }
}

type Judged<T> = Result<T, (FindingKind, String)>;

/// The feed. Returns where it ends, if it came to an end.
fn judge_feed(before: &Content, after: &Content, sure: u64) -> Judged<Option<u64>> {
    let wrong = before.feed.items.iter().zip(&after.feed.items).find(|(before, after)| before != after);
    if let Some(((stream, part), _)) = wrong {
        return Err((FindingKind::Wrong, format!("the feed shows commit {} of {stream} otherwise", part.commit)));
    }
    if after.feed.items.len() > before.feed.items.len() {
        return Err((FindingKind::Doubled, "the feed goes on after its end".to_owned()));
    }
    if after.feed.error.is_some() {
        return Ok(None);
    }
    let end = after.end();
    if end < sure {
        let what = format!("the feed ends at commit {end} without a word, {sure} was acknowledged");
        return Err((FindingKind::Lost, what));
    }
    Ok(Some(end))
}

fn judge_streams(before: &Content, after: &Content, sure: u64, end: Option<u64>) -> Judged<()> {
    // Where the feed says nothing, a stream may end anywhere beyond what is sure.
    let (least, most) = (end.unwrap_or(sure), end.unwrap_or(before.end()));
    let (least, most) = (before.written_up_to(least), before.written_up_to(most));
    for (id, there) in &after.streams {
        let [least, most] = [&least, &most].map(|streams| streams.get(id).map_or(&[][..], Vec::as_slice));
        let parts = &there.parts;
        if parts.items.len() > most.len() || parts.items.iter().zip(most).any(|(after, before)| after != *before) {
            return Err((FindingKind::Wrong, format!("{id} shows something else")));
        }
        if parts.error.is_none() && parts.items.len() < least.len() {
            let (shown, all) = (parts.items.len(), least.len());
            let what = format!("{id} ends after {shown} of {all} commits without a word");
            return Err((FindingKind::Lost, what));
        }
        if let (Ok(head), None) = (&there.head, &parts.error)
            && *head != parts.items.last().map_or(0, Part::last_version)
        {
            return Err((FindingKind::Wrong, format!("{id} opens at version {head}, which is not where it ends")));
        }
        let versions =
            least.last().map_or(0, |part| part.last_version())..=most.last().map_or(0, |part| part.last_version());
        if let Ok(head) = &there.head
            && !versions.contains(head)
        {
            return Err((FindingKind::Lost, format!("{id} opens at version {head}, it is at {}", versions.end())));
        }
    }
    if let Ok(listed) = &after.listing {
        if let Some(missing) = least.keys().find(|id| !listed.contains(id)) {
            return Err((FindingKind::Lost, format!("{missing} is not listed")));
        }
        if let Some(more) = listed.iter().find(|id| !most.contains_key(id)) {
            return Err((FindingKind::Wrong, format!("{more} is listed, and has no events")));
        }
    }
    Ok(())
}

/// The claims are those after the commit where the feed ends; where it says nothing, after any from what is sure on.
fn judge_claims(before: &Content, after: &Content, sure: u64, end: Option<u64>) -> Judged<()> {
    let Ok(held) = &after.claims else { return Ok(()) };
    let (least, most) = (end.unwrap_or(sure), end.unwrap_or(before.end()));
    if (least..=most).any(|commit| before.held_after(commit) == *held) {
        return Ok(());
    }
    let expected = before.held_after(most);
    let kind = match held.len().cmp(&expected.len()) {
        Ordering::Less => FindingKind::Lost,
        Ordering::Equal => FindingKind::Wrong,
        Ordering::Greater => FindingKind::Doubled,
    };
    Err((kind, format!("the claims are {held:?} after commit {most}, and were {expected:?}")))
}

#[cfg(test)]
mod tests;
