//! One damaged journal: written out, opened, read, judged; and if nothing seems wrong, written to and opened again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use onefold::journal::Journal;
use onefold::{OpenJournalError, Runtime};
use tokio::runtime::Runtime as Tokio;

use super::content::Content;
use super::judgement::{Outcome, judge};
use super::mutation::Mutation;
use super::template::{self, Template};
use crate::crash::chronicle::{Chronicle, Write};
use crate::crash::journal::JournalKind;
use crate::crash::ledger::FindingKind;

/// The number of the command that is written to a journal that seems sound.
const NEW_COMMAND: u64 = u64::MAX;

/// A template and what it holds.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) template: Template,
    journal: JournalKind,
    content: Content,
}

impl Sound {
    /// Reads a copy of the template in `scratch`, to know what it holds.
    pub(super) fn read(tokio: &Tokio, kind: JournalKind, template: Template, scratch: &Path) -> anyhow::Result<Sound> {
        template.write(scratch)?;
        let journal = template::journal(kind, scratch).open()?;
        let content = tokio.block_on(async {
            let first = Content::read(&journal, std::iter::empty()).await;
            Content::read(&journal, first.streams.keys()).await
        });
        drop(journal);
        std::fs::remove_dir_all(scratch)?;
        anyhow::ensure!(content.error().is_none(), "the template is not sound: {:?}", content.error());
        let held = content.held_after(content.end());
        anyhow::ensure!(content.claims.as_ref() == Ok(&held), "the template's claims are not those of its commits");
        anyhow::ensure!(content.end() >= template.beacon_commit, "the template is not whole");
        Ok(Sound { template, journal: kind, content })
    }

    /// Up to which commit nothing may be missing.
    fn sure(&self, mutation: &Mutation) -> u64 {
        match (self.template.is_killed, mutation.kind.is_larger()) {
            (false, _) => self.content.end(),
            // One bit is in one group, and only the last one has none behind it.
            (true, false) => self.content.end() - 1,
            (true, true) => self.template.beacon_commit,
        }
    }

    /// Checks one mutation in the directory `scratch`. With `go_on`, a journal that seems sound is written to as well.
    pub(super) fn check(
        &self,
        tokio: &Tokio,
        mutation: &Mutation,
        scratch: &Path,
        go_on: bool,
    ) -> anyhow::Result<Outcome> {
        mutation.apply(&self.template).write(scratch)?;
        let sure = self.sure(mutation);
        let outcome = self.look(tokio, scratch, sure)?;
        Ok(match outcome {
            Outcome::Harmless if go_on => self.go_on(tokio, scratch, sure)?,
            outcome => outcome,
        })
    }

    /// Opens the directory and reads everything.
    fn look(&self, tokio: &Tokio, scratch: &Path, sure: u64) -> anyhow::Result<Outcome> {
        let journal = match template::journal(self.journal, scratch).open() {
            Ok(journal) => journal,
            Err(error) => return Ok(refused(&error)),
        };
        let content = tokio.block_on(Content::read(&journal, self.content.streams.keys()));
        let outcome = judge(&self.content, &content, sure);
        let closed = tokio.block_on(journal.close());
        Ok(match (outcome, closed) {
            (Outcome::Harmless, Err(error)) => Outcome::Detected { error: error.to_string() },
            (outcome, _) => outcome,
        })
    }

    /// Writes one more commit to every stream, and looks again at what was there before.
    fn go_on(&self, tokio: &Tokio, scratch: &Path, sure: u64) -> anyhow::Result<Outcome> {
        let journal = match template::journal(self.journal, scratch).open() {
            Ok(journal) => journal,
            Err(error) => return Ok(refused(&error)),
        };
        if let Err(error) = tokio.block_on(self.write(&journal)) {
            return Ok(Outcome::Detected { error });
        }
        drop(journal);
        let journal = match template::journal(self.journal, scratch).open() {
            Ok(journal) => journal,
            Err(error) => return Ok(refused(&error)),
        };
        let mut content = tokio.block_on(Content::read(&journal, self.content.streams.keys()));
        let more = content.feed.items.len().saturating_sub(self.content.feed.items.len());
        if content.error().is_none() && more != self.content.streams.len() {
            let what =
                format!("of {} commits that were acknowledged then, {more} are there", self.content.streams.len());
            return Ok(Outcome::Violation { kind: FindingKind::Lost, what });
        }
        // What was there before is judged as before.
        let end = self.content.end();
        content.feed.items.retain(|(_, part)| part.commit <= end);
        for (id, stream) in &mut content.streams {
            stream.parts.items.retain(|part| part.commit <= end);
            if let (Ok(head), Some(before)) = (&mut stream.head, self.content.streams.get(id)) {
                *head = before.head.clone().unwrap_or(*head);
            }
        }
        Ok(judge(&self.content, &content, sure))
    }

    async fn write(&self, journal: &Arc<dyn Journal>) -> Result<(), String> {
        let runtime = Runtime::builder(Arc::clone(journal)).aggregate::<Chronicle>(()).start().await;
        let runtime = runtime.map_err(|error| error.to_string())?;
        let chronicles = runtime.aggregates::<Chronicle>().map_err(|error| error.to_string())?;
        for id in self.content.streams.keys() {
            let write = Write { number: NEW_COMMAND, count: 1, event_bytes: 20..=100 };
            chronicles.ask(id.aggregate_id(), write).await.map_err(|error| error.to_string())?;
        }
        let report = runtime.shutdown(Duration::from_secs(20)).await;
        report.journal.map_err(|error| error.to_string())
    }
}

/// Opening failed: it was noticed.
fn refused(error: &anyhow::Error) -> Outcome {
    // Plain sled's errors have no types of ours.
    let typed = error.downcast_ref::<OpenJournalError>();
    let kind = typed.map_or_else(|| "an error".to_owned(), |typed| format!("{typed:?}"));
    let kind = kind.split(['(', '{']).next().unwrap_or_default().trim().to_owned();
    Outcome::Refused { kind, error: error.to_string() }
}
