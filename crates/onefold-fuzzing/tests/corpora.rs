//! Replays what is kept of the fuzz targets' corpora, with any toolchain.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use onefold_fuzzing::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The names in a directory, without what their files end with.
fn names(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(directory)).unwrap_or_else(|error| panic!("fuzz/{directory}: {error}"));
    let stem =
        |path: PathBuf| path.file_stem().and_then(|stem| stem.to_str()).expect("file names are UTF-8").to_owned();
    entries.map(|entry| stem(entry.unwrap().path())).collect()
}

#[test]
fn every_target_has_a_corpus_and_can_be_run() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("corpus"), known, "fuzz/corpus has a directory for each target");
    assert_eq!(names("fuzz_targets"), known, "fuzz/fuzz_targets has a file for each target");
}

#[test]
fn corpora_hold_what_must_hold() {
    for (name, target) in TARGETS {
        let mut inputs: Vec<PathBuf> =
            fs::read_dir(fuzz().join("corpus").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
        for input in inputs {
            let data = fs::read(&input).unwrap();
            if let Err(panic) = std::panic::catch_unwind(|| target(&data)) {
                eprintln!("{name}: {}", input.display());
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn corpora_stay_small() {
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    let all: u64 = TARGETS
        .iter()
        .flat_map(|(name, _)| fs::read_dir(fuzz().join("corpus").join(name)).unwrap())
        .map(|entry| size(&entry.unwrap().path()))
        .sum();
    assert!(all <= 200 * 1024, "fuzz/corpus has {all} bytes: keep the small and the telling ones");
}
