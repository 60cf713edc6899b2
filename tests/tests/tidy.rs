//! Repository rules as tests: what would otherwise be repeated in every review.
//!
//! Each rule is one test. A rule that needs an exception names it here, with the reason.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository: its path relative to the root with `/` between the parts, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it is the source of one of the library crates, not one of their tests.
    fn is_library_source(&self) -> bool {
        self.is_rust() && self.path.starts_with("crates/") && self.path.contains("/src/")
    }

    fn lines_with<'a>(&'a self, pattern: &'a str) -> impl Iterator<Item = String> + 'a {
        let numbered = self.text.lines().enumerate().filter(move |(_, line)| line.contains(pattern));
        numbered.map(|(at, line)| format!("{}:{}: {}", self.path, at + 1, line.trim()))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// Every text file, without what is built or belongs to git.
fn files() -> Vec<File> {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    assert!(files.len() > 50, "the repository has more than {} files", files.len());
    files
}

fn collect(directory: &Path, prefix: &str, files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let name = entry.file_name().into_string().expect("file names are UTF-8");
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            // Built, or written by runs of the demo and of the harness.
            if name != ".git" && name != "target" && !name.starts_with("mutants.out") {
                collect(&entry.path(), &format!("{path}/"), files);
            }
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.push(File { path, text });
        }
    }
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with every place that breaks the rule, and with what to do instead.
#[track_caller]
fn check(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}\n  {}\n", broken.join("\n  "));
}

#[test]
fn every_rust_file_says_what_it_is() {
    let silent = |file: &File| file.is_rust() && !file.text.starts_with("//!");
    check(
        "a file opens with `//!`: what it is, its invariants, its neighbours",
        files().into_iter().filter(silent).map(|file| file.path).collect(),
    );
}

#[test]
fn no_source_file_is_too_long_to_be_read_at_once() {
    const LINES_MAX: usize = 400;
    let long = files().into_iter().filter(|file| file.is_library_source() && file.text.lines().count() > LINES_MAX);
    check(
        "a file in crates/*/src has at most 400 lines: one idea per file, its unit tests may move to a file of their own",
        long.map(|file| format!("{}: {} lines", file.path, file.text.lines().count())).collect(),
    );
}

#[test]
fn lints_are_expected_and_not_allowed() {
    // Generated code cannot know whether the lint will fire in the user's crate. What several test binaries share is
    // compiled into each of them, and each uses another part of it: an `expect` would be fulfilled in some only.
    let excepted = |path: &str| path == "crates/onefold-derive/src/expand.rs" || path.ends_with("/tests/common/mod.rs");
    let patterns = [concat!("#[", "allow("), concat!("#![", "allow(")];
    let rust = files().into_iter().filter(|file| file.is_rust() && !excepted(&file.path));
    check(
        "write `#[expect(…, reason = \"…\")]`: it goes away when it is no longer needed",
        rust.flat_map(|file| patterns.map(|pattern| file.lines_with(pattern).collect::<Vec<_>>()).concat()).collect(),
    );
}

#[test]
fn nothing_is_left_unfinished() {
    let patterns = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")];
    let rust = files().into_iter().filter(|file| file.is_rust());
    check(
        "what lands is finished; what is not built yet is said in an issue",
        rust.flat_map(|file| patterns.map(|pattern| file.lines_with(pattern).collect::<Vec<_>>()).concat()).collect(),
    );
}

#[test]
fn every_library_forbids_unsafe_code() {
    let library = |file: &File| file.path.starts_with("crates/") && file.path.ends_with("/src/lib.rs");
    let has_code = |file: &File| file.text.lines().any(|line| !line.is_empty() && !line.starts_with("//"));
    let forbids = |file: &File| file.text.contains("#![forbid(unsafe_code)]");
    let unsafe_allowed = |file: &File| library(file) && has_code(file) && !forbids(file);
    check(
        "crates/*/src/lib.rs says `#![forbid(unsafe_code)]`",
        files().into_iter().filter(unsafe_allowed).map(|file| file.path).collect(),
    );
}

#[test]
fn ci_runs_the_commands_that_the_readme_promises() {
    let (readme, ci) = (file("README.md"), file(".ci/run"));
    for command in ["cargo run --release", "cargo test --workspace"] {
        let is_run = |line: &str| line.trim().trim_start_matches("timeout 120 ") == command;
        assert!(readme.contains(command), "README.md does not show `{command}`");
        assert!(ci.lines().any(is_run), ".ci/run does not run `{command}`, which README.md promises");
    }
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let homes = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];
    let places = |file: &File| homes.map(|home| file.lines_with(home).collect::<Vec<_>>()).concat();
    check("paths are relative to the repository", files().iter().flat_map(places).collect());
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut dangling = Vec::new();
    for page in files().into_iter().filter(|file| file.path.ends_with(".md")) {
        let from = root().join(&page.path).parent().expect("a page lies in a directory").to_owned();
        for target in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") && !path.contains(' ') && !from.join(path).exists() {
                dangling.push(format!("{}: {target}", page.path));
            }
        }
    }
    check("a link leads to a file of the repository, or to a whole URL", dangling);
}

#[test]
fn each_crate_knows_only_what_belongs_to_it() {
    // (what, where it may be used). Which crate may *depend* on which is checked by .ci/arrows.
    let rules = [
        ("ractor::", "crates/onefold/src/aggregate/"),
        (concat!("sl", "ed::Db"), "crates/onefold-sled/"),
        ("onefold_testkit", "crates/onefold-testkit/"),
    ];
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_library_source() && !is_simulation(file)) {
        for (what, place) in rules {
            if !file.path.starts_with(place) {
                broken.extend(code_lines_with(file, what));
            }
        }
        if file.path.starts_with("crates/onefold-core/") {
            broken.extend(["std::fs", "std::net", "std::thread"].iter().flat_map(|what| code_lines_with(file, what)));
        }
    }
    check(
        "ractor lives in onefold's aggregate/, sled in onefold-sled, and the core knows no disk and no thread",
        broken,
    );
}

/// The simulation crate is made for tests: it may use the testkit.
fn is_simulation(file: &File) -> bool {
    file.path.starts_with("crates/onefold-simulation/")
}

/// Like `lines_with`, but comments may speak of anything.
fn code_lines_with(file: &File, pattern: &str) -> Vec<String> {
    file.lines_with(pattern)
        .filter(|line| !line.splitn(3, ':').nth(2).unwrap_or(line).trim().starts_with("//"))
        .collect()
}
