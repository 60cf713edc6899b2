//! The export format, as an import reads it.

use onefold_cli::export::{ExportReader, ExportWriter};

/// Bytes that nobody of us wrote, as they are and as the frames of an export; and records there and back.
pub(crate) fn export(data: &[u8]) {
    read_all(data);
    read_all(&framed(data));

    let size = usize::from(data.first().copied().unwrap_or(0)) + 1;
    let records: Vec<&[u8]> = data.chunks(size).collect();
    let mut writer = ExportWriter::new(Vec::new()).expect("memory takes it");
    for (position, record) in (1..).zip(&records) {
        writer.push(record, 1, position).expect("memory takes it");
    }
    let (written, footer) = writer.finish().expect("memory takes it");
    let mut reader = ExportReader::new(&*written).expect("it was written");
    for record in &records {
        assert_eq!(reader.next_record().expect("it was written").as_deref(), Some(*record));
    }
    assert_eq!(reader.next_record().expect("it was written"), None);
    assert_eq!(reader.footer(), Some(footer));

    // One bit, chosen by the bytes, is changed: the import does not come to its end.
    let choice = data.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut damaged = written;
    let at = choice / 8 % damaged.len();
    damaged[at] ^= 1 << (choice % 8);
    assert!(!read_all(&damaged), "a changed bit at {at} was not noticed");
}

/// Whether it could be read to its end.
fn read_all(bytes: &[u8]) -> bool {
    let Ok(mut reader) = ExportReader::new(bytes) else { return false };
    let mut read = 0;
    loop {
        match reader.next_record() {
            Ok(Some(record)) => read += record.len(),
            Ok(None) => break,
            Err(_) => return false,
        }
        assert!(read <= bytes.len());
    }
    reader.footer().is_some()
}

/// The right header, then frames of a kind and a length that the bytes say, with right checksums.
fn framed(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from(*b"1foldExp");
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    let mut rest = data;
    while let Some((&[kind, length], after)) = rest.split_first_chunk() {
        let (content, after) = after.split_at(usize::from(length).min(after.len()));
        let mut header = u32::from(kind % 4).to_le_bytes().to_vec();
        header.extend(u32::from(length).to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header), content);
        bytes.extend(header);
        bytes.extend(crc.to_le_bytes());
        bytes.extend_from_slice(content);
        rest = after;
    }
    bytes
}
