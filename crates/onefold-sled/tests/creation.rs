//! A creation that was stopped in the middle: by a failing write, a kill or a power cut. The directory opens as a new one.

mod common;

use common::*;
use onefold_core::journal::Journal;
use onefold_sled::OpenJournalError;

/// Found by `cargo crash io`: sled writes its settings in two steps, and the second failed. With the first alone, four bytes
/// too short, sled called the directory corrupt at every opening.
#[tokio::test(flavor = "multi_thread")]
async fn settings_that_sled_left_half_written_are_written_anew() {
    let (temporary, path) = dir();
    let model = temporary.path().join("model");
    small(&model).open().unwrap().close().await.unwrap();
    let settings = std::fs::read(model.join("conf")).unwrap();
    for length in [0, 1, settings.len() / 2, settings.len() - 4, settings.len() - 1, settings.len()] {
        for with_db in [true, false] {
            std::fs::create_dir_all(path.join("blobs")).unwrap();
            std::fs::write(path.join("conf"), &settings[..length]).unwrap();
            if with_db {
                std::fs::write(path.join("db"), []).unwrap();
            }
            let journal = small(&path).open().unwrap_or_else(|error| panic!("{length} bytes: {error}"));
            note(&journal, "a", &["first"]).await.unwrap();
            journal.close().await.unwrap();
            assert_eq!(texts(&small(&path).open().unwrap(), "a").await, ["first"]);
            std::fs::remove_dir_all(&path).unwrap();
        }
    }
}

/// They go only while sled stores nothing: what is in a journal is never explained away.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_settings_of_a_journal_stay() {
    let (_temporary, path) = dir();
    let journal = small(&path).open().unwrap();
    note(&journal, "a", &["first"]).await.unwrap();
    journal.close().await.unwrap();
    let settings = std::fs::read(path.join("conf")).unwrap();
    std::fs::write(path.join("conf"), &settings[..settings.len() - 4]).unwrap();
    std::fs::remove_file(path.join("beacon")).unwrap();
    let refused = small(&path).open().map(drop);
    assert!(matches!(refused, Err(OpenJournalError::Storage { .. } | OpenJournalError::Damaged { .. })), "{refused:?}");
    assert_eq!(std::fs::read(path.join("conf")).unwrap().len(), settings.len() - 4);
}
