//! The bytes of a journal in memory: records back to back in large pages.

use bytes::Bytes;

use super::super::record::RecordView;
use crate::CommitNumber;

/// Bytes of a page; a larger record gets a page of its own.
const PAGE_BYTES: usize = 1024 * 1024;

/// Records by commit number, from 1.
#[derive(Default)]
pub(super) struct Log {
    full: Vec<Bytes>,
    open: Vec<u8>,
    /// Page and range of each record.
    records: Vec<(u32, u32, u32)>,
}

impl Log {
    /// The last commit's number.
    pub(super) fn last(&self) -> CommitNumber {
        CommitNumber::new(self.records.len() as u64)
    }

    /// Appends the record that `encode` writes.
    #[expect(clippy::cast_possible_truncation, reason = "pages are small, and there are fewer than 2^32 of them")]
    pub(super) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.open.len() >= PAGE_BYTES {
            self.full.push(Bytes::from(std::mem::take(&mut self.open)));
        }
        if self.open.capacity() == 0 {
            self.open.reserve(PAGE_BYTES + PAGE_BYTES / 8);
        }
        let start = self.open.len();
        encode(&mut self.open);
        self.records.push((self.full.len() as u32, start as u32, self.open.len() as u32));
    }

    /// A record's bytes: shared when its page is full, copied when it is not.
    pub(super) fn bytes(&self, commit: CommitNumber) -> Bytes {
        let (page, start, end) = self.place(commit);
        match self.full.get(page) {
            Some(page) => page.slice(start..end),
            None => Bytes::copy_from_slice(&self.open[start..end]),
        }
    }

    /// A record where it lies.
    pub(super) fn view(&self, commit: CommitNumber) -> RecordView<'_> {
        let (page, start, end) = self.place(commit);
        let page = self.full.get(page).map_or(&*self.open, |page| &**page);
        self.parse(&page[start..end])
    }

    /// Parses a record of ours.
    #[expect(clippy::unused_self, reason = "only what this log holds is known to parse")]
    pub(super) fn parse<'a>(&self, bytes: &'a [u8]) -> RecordView<'a> {
        RecordView::parse(bytes).expect("memory keeps what was written")
    }

    fn place(&self, commit: CommitNumber) -> (usize, usize, usize) {
        let index = usize::try_from(commit.get() - 1).expect("a record in memory");
        let (page, start, end) = self.records[index];
        (page as usize, start as usize, end as usize)
    }
}
