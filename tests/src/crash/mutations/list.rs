//! A mutation as a file of `tests/mutations`, or of `tests/mutations/explored`: what it breaks, and which text becomes which.
//!
//! ```text
//! P16: the queue gives the last call first
//!
//! file crates/onefold/src/aggregate/fifo.rs
//! <<<<<<<
//! what stands there, exactly once
//! =======
//! what stands there instead
//! >>>>>>>
//! ```

use std::path::Path;
use std::{fs, io};

use super::Hunter;

/// A deliberate bug.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// The file's name.
    pub name: String,
    /// Which promise it breaks, and how.
    pub title: String,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug)]
struct Edit {
    file: String,
    from: String,
    to: String,
}

/// All mutations of the repository at `root` that this hunter is to catch, by name.
///
/// # Errors
///
/// A file that can't be read, or is none.
pub fn all(root: &Path, hunter: Hunter) -> anyhow::Result<Vec<Mutation>> {
    let folder = match hunter {
        Hunter::Simulation => "tests/mutations",
        Hunter::Exploration => "tests/mutations/explored",
    };
    let mut mutations = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let path = entry?.path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mutation = parse(&name, &fs::read_to_string(&path)?);
        mutations.push(mutation.ok_or_else(|| anyhow::anyhow!("{} is no mutation", path.display()))?);
    }
    mutations.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(mutations)
}

fn parse(name: &str, text: &str) -> Option<Mutation> {
    let mut parts = text.split("\nfile ");
    let title = parts.next()?.trim().to_owned();
    let edits = parts.map(|part| {
        let (file, rest) = part.split_once("\n<<<<<<<\n")?;
        let (from, rest) = rest.split_once("\n=======\n")?;
        let (to, _) = rest.split_once("\n>>>>>>>")?;
        Some(Edit { file: file.to_owned(), from: from.to_owned(), to: to.to_owned() })
    });
    let edits: Vec<Edit> = edits.collect::<Option<_>>()?;
    (!edits.is_empty()).then(|| Mutation { name: name.to_owned(), title, edits })
}

impl Mutation {
    /// The files it changes, with their text before and after.
    ///
    /// # Errors
    ///
    /// A text that does not stand there exactly once: the code has changed, and the mutation must follow.
    pub fn changes(&self, root: &Path) -> io::Result<Vec<(String, String, String)>> {
        let mut changes: Vec<(String, String, String)> = Vec::new();
        for Edit { file, from, to } in &self.edits {
            let at = match changes.iter().position(|(known, ..)| known == file) {
                Some(at) => at,
                None => {
                    let before = fs::read_to_string(root.join(file))?;
                    changes.push((file.clone(), before.clone(), before));
                    changes.len() - 1
                }
            };
            let after = &mut changes[at].2;
            let count = after.matches(from.as_str()).count();
            if count != 1 {
                let message = format!("{}: this stands {count} times in {file}, and should once:\n{from}", self.name);
                return Err(io::Error::other(message));
            }
            *after = after.replace(from, to);
        }
        Ok(changes)
    }
}
