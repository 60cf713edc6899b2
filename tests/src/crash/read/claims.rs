//! Who holds which claim, as the journal says: all of the load's namespace, page by page, and each by itself.

use onefold::Timestamp;
use onefold::journal::{ClaimPage, ReadError};

use super::Reader;
use crate::crash::transcript::{Holding, Line, NAMESPACE, WrongKind};

/// Claims in a page: few, so that there are several.
const PAGE: usize = 10;

impl Reader {
    pub(super) async fn claims(&self) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let page = ClaimPage { namespace: NAMESPACE.to_owned(), after: after.take(), limit: PAGE };
            let page = match self.journal.claims(page).await {
                Err(ReadError::Unsupported { .. }) => return Ok(()),
                page => page?,
            };
            for (claim, holder) in &page {
                let alone = self.journal.claim(claim.clone()).await?;
                if alone.as_ref() != Some(holder) {
                    let what = format!("{claim} is listed with {holder:?}, by itself it has {alone:?}");
                    self.recorder.say(&Line::Wrong { kind: WrongKind::Differs, what });
                }
                let (claim, stream) = (claim.value().to_owned(), holder.stream.aggregate_id().to_owned());
                let until = holder.expires_at.map(Timestamp::as_micros);
                self.recorder.say(&Line::Holds(Holding { claim, stream, since: holder.since.get(), until }));
            }
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.value().to_owned());
        }
    }
}
