//! Writing an export.

use std::io::{self, Write};

use super::Footer;
use super::frame::{self, CONTENT_BYTES_MAX, FOOTER, RECORD};

/// Writes an export, record by record.
#[derive(Debug)]
pub struct ExportWriter<W> {
    out: W,
    digest: blake3::Hasher,
    footer: Footer,
}

impl<W: Write> ExportWriter<W> {
    /// Begins an export.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let footer = Footer { commits: 0, gone: 0, events: 0, record_bytes: 0, last_position: 0, digest: [0; 32] };
        let mut writer = ExportWriter { out, digest: blake3::Hasher::new(), footer };
        writer.write(&frame::header())?;
        Ok(writer)
    }

    /// Adds the record of the next commit: how many events it has, 0 for that of a gap, and the position of the last one.
    ///
    /// # Errors
    ///
    /// Those of `out`; or the record is larger than a frame may be.
    pub fn push(&mut self, record: &[u8], events: u64, last_position: u64) -> io::Result<()> {
        let length = u32::try_from(record.len()).ok().filter(|length| *length <= CONTENT_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("the record is larger than a frame may be"))?;
        self.write(&frame::frame_header(RECORD, length, record))?;
        self.write(record)?;
        self.footer.commits += 1;
        self.footer.gone += u64::from(events == 0);
        self.footer.events += events;
        self.footer.record_bytes += u64::from(length);
        self.footer.last_position = last_position;
        Ok(())
    }

    /// Writes the last frame; returns `out` and what the frame says.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    #[expect(clippy::cast_possible_truncation, reason = "72 bytes")]
    pub fn finish(mut self) -> io::Result<(W, Footer)> {
        self.footer.digest = *self.digest.finalize().as_bytes();
        let content = self.footer.encode();
        self.out.write_all(&frame::frame_header(FOOTER, content.len() as u32, &content))?;
        self.out.write_all(&content)?;
        Ok((self.out, self.footer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }
}
