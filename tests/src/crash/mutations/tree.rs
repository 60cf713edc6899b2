//! The copy of the repository that mutations are built into, one after the other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use super::list::Mutation;

/// What is copied: all that is built, and the manifests of the workspace.
const COPIED: [&str; 6] = ["Cargo.toml", "Cargo.lock", "crates", "examples", "tests", "benches"];

/// See the module.
pub(super) struct Tree {
    /// `target/mutations`.
    pub(super) scratch: PathBuf,
    root: PathBuf,
}

/// A mutation in the tree.
#[must_use = "the next one needs the tree as it was"]
pub(super) struct Mutated<'a> {
    tree: &'a Tree,
    before: Vec<(String, String)>,
}

impl Tree {
    /// A copy of the repository at `repository`, in its `target`.
    pub(super) fn copy(repository: &Path) -> io::Result<Tree> {
        let scratch = repository.join("target/mutations");
        let root = scratch.join("tree");
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        COPIED.iter().try_for_each(|part| copy(&repository.join(part), &root.join(part)))?;
        Ok(Tree { scratch, root })
    }

    /// Where its builds go: they outlive the tree, so that what others wrote is built once.
    pub(super) fn target(&self) -> PathBuf {
        self.scratch.join("build")
    }

    /// Runs cargo in the tree, and returns what it writes to its standard output.
    pub(super) fn cargo(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let built = Command::new("cargo")
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.target())
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            // The harness itself is run by cargo, whose variables are not meant for this build.
            .env_remove("CARGO_MANIFEST_DIR")
            .output()?;
        anyhow::ensure!(built.status.success(), "it does not build:\n{}", String::from_utf8_lossy(&built.stderr));
        Ok(String::from_utf8_lossy(&built.stdout).into_owned())
    }

    pub(super) fn mutate(&self, mutation: &Mutation) -> io::Result<Mutated<'_>> {
        let mut before = Vec::new();
        for (file, was, is) in mutation.changes(&self.root)? {
            fs::write(self.root.join(&file), is)?;
            before.push((file, was));
        }
        Ok(Mutated { tree: self, before })
    }
}

impl Mutated<'_> {
    pub(super) fn undo(self) -> io::Result<()> {
        self.before.iter().try_for_each(|(file, was)| fs::write(self.tree.root.join(file), was))
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "target" {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
