//! Reading an export: every frame is checked, then handed out; what the last one says is checked against all of them.

use std::io::{self, Read};

use bytes::Bytes;

use super::Footer;
use super::frame::{self, CONTENT_BYTES_MAX, FOOTER, FRAME_HEADER_BYTES, HEADER_BYTES, RECORD};

/// What is wrong with an export, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It does not begin as an export does.
    #[error("it is no export of a onefold journal: its first 16 bytes are none of an export's")]
    NotAnExport,
    /// It was written by a newer version.
    #[error("it has format {found}, this build knows {known} at most: use a newer build")]
    NewerFormat {
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// It ends where more has to come.
    #[error("it is cut off at offset {offset}: {missing}")]
    Truncated {
        /// Where it ends.
        offset: u64,
        /// What is not there.
        missing: &'static str,
    },
    /// A frame is damaged.
    #[error("the frame at offset {offset} is damaged: {evidence}")]
    Damaged {
        /// Where the frame begins.
        offset: u64,
        /// What is wrong with it.
        evidence: String,
    },
    /// It could not be read.
    #[error("it cannot be read at offset {offset}: {source}")]
    Read {
        /// Up to where it was read.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads an export, record by record. Records are not looked into: that is for
/// [`JournalWriter`](onefold::admin::JournalWriter).
#[derive(Debug)]
pub struct ExportReader<R> {
    input: R,
    offset: u64,
    digest: blake3::Hasher,
    commits: u64,
    record_bytes: u64,
    footer: Option<Footer>,
}

impl<R: Read> ExportReader<R> {
    /// Begins to read: checks the header.
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub fn new(input: R) -> Result<Self, ExportError> {
        let digest = blake3::Hasher::new();
        let mut reader = ExportReader { input, offset: 0, digest, commits: 0, record_bytes: 0, footer: None };
        let header = reader.read(HEADER_BYTES, "the header")?;
        let is_one = header.starts_with(&frame::MAGIC) && crc32c::crc32c(&header[..12]) == frame::u32_at(&header, 12);
        if !is_one {
            return Err(ExportError::NotAnExport);
        }
        let found = frame::u32_at(&header, 8);
        if found != frame::FORMAT {
            return Err(ExportError::NewerFormat { found, known: frame::FORMAT });
        }
        reader.digest.update(&header);
        Ok(reader)
    }

    /// The next record; `None` when the last frame was read, and everything agrees with it.
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub fn next_record(&mut self) -> Result<Option<Bytes>, ExportError> {
        if self.footer.is_some() {
            return Ok(None);
        }
        let at = self.offset;
        let header = self.read(FRAME_HEADER_BYTES, "the last frame is missing")?;
        let (kind, length) = (frame::u32_at(&header, 0), frame::u32_at(&header, 4));
        let damaged = |evidence: String| ExportError::Damaged { offset: at, evidence };
        if !matches!(kind, RECORD | FOOTER) || length > CONTENT_BYTES_MAX {
            return Err(damaged(format!("there is no frame of kind {kind} with {length} bytes")));
        }
        let content = self.read(length as usize, "a frame is not whole")?;
        if frame::frame_header(kind, length, &content) != *header {
            return Err(damaged("it does not match its checksum".to_owned()));
        }
        if kind == FOOTER {
            let footer =
                Footer::decode(&content).ok_or_else(|| damaged("the last frame has another length".to_owned()))?;
            self.end(footer, at)?;
            return Ok(None);
        }
        self.digest.update(&header).update(&content);
        self.commits += 1;
        self.record_bytes += u64::from(length);
        Ok(Some(content.into()))
    }

    /// What the last frame says, once it was read.
    pub fn footer(&self) -> Option<Footer> {
        self.footer
    }

    /// Up to where it was read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn end(&mut self, footer: Footer, offset: u64) -> Result<(), ExportError> {
        let damaged = |evidence: String| ExportError::Damaged { offset, evidence };
        if (footer.commits, footer.record_bytes) != (self.commits, self.record_bytes) {
            let Footer { commits, record_bytes, .. } = footer;
            let (found, found_bytes) = (self.commits, self.record_bytes);
            return Err(damaged(format!(
                "it says {commits} commits of {record_bytes} bytes, there are {found} of {found_bytes}"
            )));
        }
        if footer.digest != *self.digest.finalize().as_bytes() {
            return Err(damaged("its digest is not that of what comes before".to_owned()));
        }
        let end = self.offset;
        if !self.read_up_to(1)?.is_empty() {
            return Err(ExportError::Damaged { offset: end, evidence: "something follows the last frame".to_owned() });
        }
        self.footer = Some(footer);
        Ok(())
    }

    fn read(&mut self, bytes: usize, missing: &'static str) -> Result<Vec<u8>, ExportError> {
        let read = self.read_up_to(bytes)?;
        match read.len() == bytes {
            true => Ok(read),
            false => Err(ExportError::Truncated { offset: self.offset, missing }),
        }
    }

    /// Memory grows with what is there, not with what a damaged length says.
    fn read_up_to(&mut self, bytes: usize) -> Result<Vec<u8>, ExportError> {
        let mut buffer = Vec::with_capacity(bytes.min(64 << 10));
        let read = self.input.by_ref().take(bytes as u64).read_to_end(&mut buffer);
        self.offset += buffer.len() as u64;
        read.map_err(|source| ExportError::Read { offset: self.offset, source })?;
        Ok(buffer)
    }
}
