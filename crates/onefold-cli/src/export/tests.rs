//! What is written comes back; every flipped bit and every cut is found, with its place.

use super::*;

fn export(records: &[&[u8]]) -> (Vec<u8>, Footer) {
    let mut writer = ExportWriter::new(Vec::new()).unwrap();
    for (record, position) in records.iter().zip(1..) {
        writer.push(record, 1, position).unwrap();
    }
    writer.finish().unwrap()
}

fn import(mut bytes: &[u8]) -> Result<(Vec<Vec<u8>>, Footer), ExportError> {
    let mut reader = ExportReader::new(&mut bytes)?;
    let mut records = Vec::new();
    while let Some(record) = reader.next_record()? {
        records.push(record.to_vec());
    }
    Ok((records, reader.footer().expect("read to the end")))
}

#[test]
fn an_export_comes_back() {
    for records in [&[][..], &[&b"one"[..], b"", &[7; 200_000]]] {
        let (bytes, footer) = export(records);
        let (read, found) = import(&bytes).unwrap();
        assert_eq!(read, records);
        assert_eq!(found, footer);
        assert_eq!(footer.commits, records.len() as u64);
        assert_eq!(export(records).0, bytes, "the same bytes every time");
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let (bytes, _) = export(&[b"one", b"another"]);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(import(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_is_found_and_so_is_what_follows() {
    let (bytes, _) = export(&[b"one", b"another"]);
    for cut in 0..bytes.len() {
        let error = import(&bytes[..cut]).unwrap_err();
        assert!(matches!(error, ExportError::Truncated { offset, .. } if offset == cut as u64), "{cut}: {error}");
    }
    let longer = [&bytes[..], b"x"].concat();
    let error = import(&longer).unwrap_err();
    assert!(matches!(error, ExportError::Damaged { offset, .. } if offset == bytes.len() as u64), "{error}");
}

/// Whole frames that go missing, or change places, leave every checksum of a frame as it was.
#[test]
fn frames_that_are_gone_or_elsewhere_are_found() {
    let (bytes, footer) = export(&[b"one", b"two"]);
    let (header, rest) = bytes.split_at(16);
    let (one, rest) = rest.split_at(15);
    let (two, last) = rest.split_at(15);
    assert!(import(&[header, one, two, last].concat()).is_ok());
    for frames in [vec![header, one, last], vec![header, two, one, last], vec![header, one, two, one, last]] {
        let error = import(&frames.concat()).unwrap_err();
        assert!(matches!(error, ExportError::Damaged { .. }), "{error}");
    }
    assert_eq!(footer.record_bytes, 6);
}
