//! `tail`: the last commits of the journal. A journal that grows is in use and cannot be looked at, so nothing is followed.

use onefold::admin::{Entry, Inspector};
use serde_json::json;

use crate::decoders::Decoders;
use crate::failure::Failure;
use crate::output::{Output, number};
use crate::{shown, time};

pub(super) fn run(
    inspector: &Inspector,
    commits: u64,
    long: bool,
    decoders: &Decoders,
    output: &mut Output,
) -> Result<(), Failure> {
    let end = inspector.end().commit.get();
    let mut undecodable = 0;
    let mut last_gap = None;
    for entry in inspector.records(end.saturating_sub(commits) + 1..=end) {
        match entry? {
            Entry::Commit(commit, _) => {
                for (stream, part) in &commit.parts {
                    if !output.is_json() {
                        output.line(format!("commit {}  {stream}", number(commit.number.get())))?;
                    }
                    for event in shown::events(stream, part, decoders) {
                        undecodable += u64::from(event.error.is_some());
                        match output.is_json() {
                            true => output.object(&event)?,
                            false => event.print(long, output)?,
                        }
                    }
                }
            }
            Entry::Removed(gap, _) if last_gap == Some(gap) => {}
            Entry::Removed(gap, _) => {
                last_gap = Some(gap);
                let removed_at = time::utc(gap.removed_at);
                match output.is_json() {
                    true => output.object(&json!({
                        "gap": {
                            "first_commit": gap.first_commit, "last_commit": gap.last_commit,
                            "first_position": gap.first_position, "last_position": gap.last_position,
                            "removed_at": removed_at,
                        }
                    }))?,
                    false => output.line(format!("{gap}, at {removed_at}"))?,
                }
            }
        }
    }
    output.flush()?;
    match undecodable {
        0 => Ok(()),
        undecodable => Err(Failure::Undecodable(undecodable)),
    }
}
