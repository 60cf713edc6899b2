//! Changing what lies in a journal's store, and saying what verifying finds.

use std::path::Path;

use onefold_sled::admin::{self, ProblemKind, VerifyOptions, VerifyReport};

pub(crate) fn verify(path: &Path) -> VerifyReport {
    admin::verify(path, &VerifyOptions::default(), &mut |_| ()).unwrap()
}

pub(crate) fn kinds(report: &VerifyReport) -> Vec<ProblemKind> {
    report.problems.items.iter().map(|problem| problem.kind).collect()
}

/// Changes values in sled: `change` sees each key of a kind, and its value. sled is made anew, so that its file holds no older
/// copy of what was changed.
pub(crate) fn edit(path: &Path, kind: u8, mut change: impl FnMut(usize, &[u8], &mut Vec<u8>) -> Edit) {
    let entries: Vec<_> = open_store(path).iter().map(Result::unwrap).collect();
    let made = path.with_file_name("made-anew");
    let db = open_store(&made);
    let mut index = 0;
    for (key, value) in entries {
        let mut value = value.to_vec();
        let mut keep = true;
        if key[0] == kind {
            keep = !matches!(change(index, &key, &mut value), Edit::Remove);
            index += 1;
        }
        if keep {
            db.insert(key, value).unwrap();
        }
    }
    db.flush().unwrap();
    drop(db);
    replace_store(&made, path);
    std::fs::remove_dir_all(made).unwrap();
}

pub(crate) fn open_store(path: &Path) -> sled::Db {
    loop {
        match sled::Config::new().path(path).open() {
            // Threads of sled's hold its file for a moment after it was closed.
            Err(error) if error.to_string().contains("could not acquire lock") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// sled's files of one directory in the place of those of another.
pub(crate) fn replace_store(from: &Path, to: &Path) {
    let is_sleds = |name: &str| name == "db" || name == "conf" || name.starts_with("snap.");
    let names = |path: &Path| -> Vec<String> {
        let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| is_sleds(name)).collect()
    };
    names(to).iter().for_each(|name| std::fs::remove_file(to.join(name)).unwrap());
    for name in names(from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

pub(crate) enum Edit {
    Keep,
    Write,
    Remove,
}

pub(crate) fn write_if(wanted: bool, change: impl FnOnce()) -> Edit {
    match wanted {
        true => {
            change();
            Edit::Write
        }
        false => Edit::Keep,
    }
}

pub(crate) fn find(value: &[u8], text: &str) -> Option<usize> {
    value.windows(text.len()).position(|window| window == text.as_bytes())
}
